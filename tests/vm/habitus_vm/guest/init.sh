#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# First program of the guest, run by busybox in the initramfs: lays a throw-away layer over the host's
# files and goes over to them.
/bin/busybox mkdir -p /proc /sys /dev /host /kernel /work /layer /root
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

fail() {
	echo "GUEST-FAULT $*"
	poweroff -f
}

while read -r module; do
	insmod "/modules/$module" || fail "module $module"
done </modules/order

mount -t virtiofs -o ro host /host || fail "the host's files"
mount -t tmpfs -o size=80%,mode=755 layer /layer
mkdir /layer/upper /layer/scratch
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/scratch overlay /root || fail overlay

mkdir -p /root/proc /root/sys /root/dev /root/mnt/kernel /root/mnt/work
mount -t virtiofs -o ro kernel /root/mnt/kernel || fail "the kernel's files"
mount -t virtiofs work /root/mnt/work || fail "the folder for results"
for folder in proc sys dev; do
	mount --move "/$folder" "/root/$folder"
done
exec switch_root /root /bin/sh /mnt/work/session.sh
