/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose event is it? The key is the cgroup v2 id: never reused, and right even for the first
 * instruction of a container. User space sorts cgroups into `targets` and `ignored`; one that is in
 * neither is announced once, and its events are sent on, so that a container that lives for 50 ms
 * loses none: user space holds them until it knows.
 */
#ifndef HABITUS_CONTAINER_H
#define HABITUS_CONTAINER_H

#include "ring.h"

/* cgroup id → id of the container's own cgroup: a container may have cgroups below it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} targets SEC(".maps");

/* Cgroups of the host itself. One that falls out is announced again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u8);
} ignored SEC(".maps");

/* Announced, not yet sorted. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u8);
} seen SEC(".maps");

static __always_inline __u64 cgroup_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

static __always_inline struct kernfs_node *above(struct kernfs_node *node)
{
	if (bpf_core_field_exists(node->__parent))
		return BPF_CORE_READ(node, __parent);
	return BPF_CORE_READ((struct kernfs_node___before_6_15 *)node, parent);
}

static __always_inline void fill_levels(struct new_cgroup_record *record, struct kernfs_node *node)
{
	struct kernfs_node *parent;
	int level;

	record->cut = 1;
	for (level = 0; level < LEVELS_MAX; level++) {
		parent = above(node);
		if (!parent) { /* the root: "/" */
			record->cut = 0;
			break;
		}
		record->ids[level] = BPF_CORE_READ(node, id);
		bpf_probe_read_kernel_str(record->names[level], LEVEL_BYTES, BPF_CORE_READ(node, name));
		node = parent;
	}
	record->depth = level;
}

/* Not inlined into the guards: they stay small, and this runs once a cgroup. */
static __noinline int announce(__u64 cgroup, __u64 node)
{
	struct new_cgroup_record *record;
	__u8 yes = 1;

	if (bpf_map_update_elem(&seen, &cgroup, &yes, BPF_NOEXIST))
		return 0;
	record = reserve(sizeof(*record), LOSS_CONTAINER);
	if (!record) {
		bpf_map_delete_elem(&seen, &cgroup); /* the next event tries again */
		return 0;
	}
	__builtin_memset(&record->head, 0, sizeof(record->head));
	record->head.time = bpf_ktime_get_boot_ns();
	record->head.cgroup = cgroup;
	record->head.kind = RECORD_NEW_CGROUP;
	fill_levels(record, (struct kernfs_node *)node);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* Guard of every handler: may this event leave the kernel? */
static __always_inline bool watched(struct task_struct *task, __u64 cgroup)
{
	if (bpf_map_lookup_elem(&targets, &cgroup))
		return true;
	if (bpf_map_lookup_elem(&ignored, &cgroup))
		return false;
	announce(cgroup, (__u64)BPF_CORE_READ(task, cgroups, dfl_cgrp, kn));
	return true;
}

static __always_inline bool same_container(__u64 one, __u64 other)
{
	__u64 *one_root, *other_root;

	if (one == other)
		return true;
	one_root = bpf_map_lookup_elem(&targets, &one);
	other_root = bpf_map_lookup_elem(&targets, &other);
	return one_root && other_root && *one_root == *other_root;
}

#endif
