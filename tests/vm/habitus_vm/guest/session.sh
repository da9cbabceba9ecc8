#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Process 1 on the host's files: mounts what the kernel offers, runs /mnt/work/command, hands back its
# output and exit status, and powers off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
exec </dev/null >/dev/console 2>&1

mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t securityfs security /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracing /sys/kernel/tracing
mount -t debugfs debug /sys/kernel/debug
ln -sfn /proc/self/fd /dev/fd

release=$(uname -r)
mkdir -p /lib/modules
ln -sfn "/mnt/kernel/usr/lib/modules/$release" "/lib/modules/$release"
for headers in /mnt/kernel/usr/src/*; do
	[ -e "$headers" ] && ln -sfn "$headers" /usr/src/
done
for kbuild in /mnt/kernel/usr/lib/linux-kbuild-*; do
	[ -e "$kbuild" ] && ln -sfn "$kbuild" /usr/lib/
done

hostname guest
busybox ip link set lo up
modprobe virtio_net && busybox ip link set eth0 up && busybox ip address add 10.0.2.15/24 dev eth0 &&
	busybox ip route add default via 10.0.2.2 # it leads nowhere, but a connect to anywhere is one

read -r up _ </proc/uptime
echo "$up" >/mnt/work/booted
echo "GUEST-READY after $up s"
sh /mnt/work/command >/mnt/work/output 2>&1
status=$?
sync
echo "$status" >/mnt/work/status
echo "GUEST-DONE with status $status"
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
