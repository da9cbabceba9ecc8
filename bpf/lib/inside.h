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

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u8);
} arrived SEC(".maps");

static __always_inline bool has_arrived(struct task_struct *task)
{
	/* Older than we are: nobody could mark it, and a runtime's stages last milliseconds. */
	if (task->start_boottime < settings.loaded_at)
		return true;
	return bpf_task_storage_get(&arrived, task, 0, 0) != NULL;
}

static __always_inline void mark_arrived(struct task_struct *task)
{
	bpf_task_storage_get(&arrived, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
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
