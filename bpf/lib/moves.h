/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What gives an open file another path and leaves its dentry and its mount as they are: a folder
 * above it is renamed, a mount is made, moved or taken away, a root is changed. Each of them
 * counts here, by whomever on this node, and what was remembered by dentry and mount before holds
 * no longer. A folder that is removed counts too: only then may its inode number be used anew.
 *
 * Where the kernel shows them, the sequence counters of its own locks are compared as well. They
 * also see what no system call of this node did: a network file system whose server renamed.
 */
#ifndef HABITUS_MOVES_H
#define HABITUS_MOVES_H

#include "common.h"

struct moves {
	__u64 asked; /* of io_uring, and not over yet */
	__u64 seen;
	__u32 renames; /* the kernel's own counters, or 0 */
	__u32 mounts;
};

/* A section of its own: no other program's data share its cache line. */
__u64 moves_seen SEC(".bss.moves");
/* Asked of io_uring, and their end was not seen (moves_asked.h): until then nothing holds. */
__u64 moves_open SEC(".bss.moves");

extern const void rename_lock __ksym __weak;
extern const void mount_lock __ksym __weak;

static __always_inline void count_move(void)
{
	__sync_fetch_and_add(&moves_seen, 1);
}

/* Odd: somebody is at it. Such a number never comes again. */
static __always_inline struct moves moves_now(void)
{
	struct moves now = { .asked = *(volatile __u64 *)&moves_open };

#ifdef MOVES_BY_LOCKS
	if (!&rename_lock || !&mount_lock)
		now.asked = 1; /* nobody else would tell */
#endif
	/* In this order: a move that is over by the first look is counted by the second. */
	now.seen = *(volatile __u64 *)&moves_seen;
	if (&rename_lock)
		bpf_probe_read_kernel(&now.renames, sizeof(now.renames), &rename_lock);
	if (&mount_lock)
		bpf_probe_read_kernel(&now.mounts, sizeof(now.mounts), &mount_lock);
	return now;
}

/* Did nothing move from `one` to `other`, which is now? */
static __always_inline bool same_moves(const struct moves *one, const struct moves *other)
{
	return !other->asked && one->seen == other->seen && one->renames == other->renames && one->mounts == other->mounts;
}

#endif
