/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where does a program's file live: in the image, in a place that the container can write to, or
 * in memory only? Read from the file's own objects, so no name and no chroot can mislead it. A
 * root filesystem that is neither overlayfs nor read-only does not tell: EXE_UNKNOWN.
 */
#ifndef HABITUS_ORIGIN_H
#define HABITUS_ORIGIN_H

#include "walk.h"

#define OVERLAYFS_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define SB_RDONLY 0x1
#define MNT_READONLY 0x40
#define ROOTS_MAX 3

/* Mounted at "/", maybe over others: what a container has as its root filesystem. */
static __always_inline bool is_root_mount(struct mount *mount)
{
	struct mount *under;
	int i;

	for (i = 0; i < ROOTS_MAX; i++) {
		under = LOAD(mount, mount, mnt_parent);
		if (under == mount)
			return true;
		if (LOAD(mount, mount, mnt_mountpoint) != LOAD(mount, under, mnt.mnt_root))
			return false;
		mount = under;
	}
	return false;
}

/* A file of overlayfs: was it written since the container was made? */
static __always_inline enum exe_class layer_of(struct inode *inode)
{
	struct ovl_inode *overlay;

	if (!bpf_core_field_exists(((struct ovl_inode *)0)->__upperdentry))
		return EXE_UNKNOWN;
	overlay = (void *)inode - bpf_core_field_offset(struct ovl_inode, vfs_inode);
	return BPF_CORE_READ(overlay, __upperdentry) ? EXE_WRITABLE : EXE_IMAGE;
}

/* `flags` are those of the walk from the file upwards. */
static __always_inline enum exe_class class_of(struct file *file, __u32 flags)
{
	struct inode *inode = LOAD(file, file, f_inode);
	struct super_block *filesystem = LOAD(inode, inode, i_sb);
	unsigned long magic = LOAD(super_block, filesystem, s_magic);
	struct mount *mount;

	if (flags & PATH_NAMELESS)
		return EXE_MEMORY;
	if (magic == OVERLAYFS_MAGIC)
		return layer_of(inode);
	if (magic == TMPFS_MAGIC || magic == RAMFS_MAGIC)
		return EXE_WRITABLE;
	if (LOAD(super_block, filesystem, s_flags) & SB_RDONLY)
		return EXE_IMAGE;
	mount = mount_of(LOAD(file, file, f_path.mnt));
	if (!is_root_mount(mount))
		return EXE_WRITABLE;
	return LOAD(mount, mount, mnt.mnt_flags) & MNT_READONLY ? EXE_IMAGE : EXE_UNKNOWN;
}

#endif
