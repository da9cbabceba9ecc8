/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way from a dentry up to the root, as one number. A rename of a folder is counted at the end of
 * its system call (moves.h), and shows a moment earlier: whoever opens a file by its new path in
 * between would be taken for one who opened it by the old. The kernel's `rename_lock` tells in time.
 * Where it is hidden, the way is compared: each name on it by its hash, which the folder that it is in
 * has a part in, and its length. Plain loads of what the open itself has just gone through.
 *
 * Two names of one hash look the same here. They do for that moment only: the count follows.
 */
#ifndef HABITUS_WAY_H
#define HABITUS_WAY_H

#include "direct.h"
#include "moves.h"

#define WAY_STEPS 24
#define WAY_FACTOR 0x9e3779b97f4a7c15ull /* 2^64 / golden ratio: spreads each bit over all */

static __always_inline bool needs_way(void)
{
	return !&rename_lock || !&mount_lock;
}

static __always_inline __u64 mixed(__u64 way, __u64 more)
{
	return (way ^ more ^ way >> 29) * WAY_FACTOR;
}

/* Both are typed pointers. A way that is longer than we look is never the same twice. */
static __always_inline __u64 way_up(struct dentry *dentry, struct mount *mount)
{
	struct dentry *parent;
	struct mount *over;
	__u64 way = 1;
	int i;

	for (i = 0; i < WAY_STEPS; i++) {
		if (dentry == mount->mnt.mnt_root) {
			over = mount->mnt_parent;
			if (over == mount)
				return way;
			dentry = mount->mnt_mountpoint;
			mount = over;
			way = mixed(way, mount->mnt_id);
			continue;
		}
		parent = dentry->d_parent;
		if (parent == dentry)
			return way;
		way = mixed(way, dentry->d_name.hash_len);
		dentry = parent;
	}
	return bpf_ktime_get_ns();
}

#endif
