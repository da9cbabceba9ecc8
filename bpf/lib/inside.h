/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Has this process arrived in its container? A runtime's own init stages (runc: `/proc/self/exe
 * init`, `memfd:runc_cloned`) already have the container's cgroup and still the mount namespace
 * of the runtime: they are no behaviour of the image. A process has arrived once it ran execve in
 * another mount namespace than that of the nearest process outside; its descendants have, too,
 * whatever namespace they enter later: `nsenter` into the host's must stay visible.
 */
#ifndef HABITUS_INSIDE_H
#define HABITUS_INSIDE_H

#include "container.h"

#include <linux/errno.h>

/* What is remembered of a process that has arrived. */
struct arrival {
	struct token program; /* token of its last exec; zero where there was none, or one that was cut */
	__u64 told;           /* `telling` of the program that was told; 0: none yet */
	__u32 news;           /* 1: a revision was in force at its last exec and did not know it */
	__u32 uses;           /* of a process: how many open files are accounted for it (file_uses.h) */
};

/*
 * By the task's address, from its fork or exec until the kernel gives its memory back. All of it is
 * there from the start: a task storage is made anew for each task, and what the kernel has to do now
 * and then to have memory for it is most of what a fork costs (docs/decisions/0030-arrivals-in-a-table.md).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct arrival);
} arrivals SEC(".maps");

/* Who finds no room there: nobody is forgotten because others are many. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct arrival);
} arrived SEC(".maps");

/* Older than we are: nobody could mark it, and a runtime's stages last milliseconds. */
static __always_inline bool is_older(struct task_struct *task)
{
	return task->start_boottime < settings.loaded_at;
}

static __always_inline struct arrival *arrival_of(struct task_struct *task)
{
	__u64 key = (__u64)task;
	struct arrival *arrival = bpf_map_lookup_elem(&arrivals, &key);

	return arrival ? arrival : bpf_task_storage_get(&arrived, task, 0, 0);
}

static __always_inline bool has_arrived(struct task_struct *task)
{
	return is_older(task) || arrival_of(task) != NULL;
}

/*
 * A program that is told, in one word: its memory's address in the kernel, and which choice of its
 * container told it. The top sixteen bits of such an address are the same for all of them (on
 * machines of less than 256 TiB), so two words are equal only if both parts are.
 */
static __always_inline __u64 telling(const struct mm_struct *mm, __u16 epoch)
{
	return mm ? (__u64)mm ^ (__u64)epoch << 48 : 0;
}

/* Has `fresh` remembered of a task: instead of what was, or (BPF_NOEXIST) unless there is something. */
static __always_inline void set_arrival(struct task_struct *task, struct arrival *fresh, __u64 flags)
{
	__u64 key = (__u64)task;
	long error = bpf_map_update_elem(&arrivals, &key, fresh, flags);

	if (error && error != -EEXIST)
		bpf_task_storage_get(&arrived, task, fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline struct arrival *mark_arrived(struct task_struct *task)
{
	struct arrival *arrival = arrival_of(task), fresh = {};

	if (arrival)
		return arrival;
	set_arrival(task, &fresh, BPF_NOEXIST);
	return arrival_of(task);
}

static __always_inline bool is_remembered(struct task_struct *task)
{
	__u64 key = (__u64)task;

	return bpf_map_lookup_elem(&arrivals, &key);
}

/* The address may be that of another task from now on. */
static __always_inline void forget_arrival(struct task_struct *task)
{
	__u64 key = (__u64)task;

	bpf_map_delete_elem(&arrivals, &key);
}

/* A thread's parent is the process that it belongs to: threads may carry other names. */
static __always_inline struct task_struct *parent_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, real_parent, group_leader);
}

static __always_inline bool same_mounts(struct task_struct *one, struct task_struct *other)
{
	return BPF_CORE_READ(one, nsproxy, mnt_ns) == BPF_CORE_READ(other, nsproxy, mnt_ns);
}

#endif
