/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose event is it? The key is the cgroup v2 id: never reused, and right even for the first
 * instruction of a container. User space sorts cgroups in `targets`; one that is not there is
 * announced once, and its events are sent on, so that a container that lives for 50 ms loses none:
 * user space holds them until it knows.
 */
#ifndef HABITUS_CONTAINER_H
#define HABITUS_CONTAINER_H

#include "ring.h"

struct target {
	__u64 root;    /* id of the container's own cgroup: a container may have cgroups below it */
	__u32 profile; /* number of its image's profile (known.h); 0: none yet */
	__u16 ignored; /* 1: of the host itself, or not chosen: no event is wanted */
	__u16 epoch;   /* how often it was chosen anew: what was told before counts for nothing (inside.h) */
};

/* cgroup id → whose it is: one look-up tells both what is wanted and what is not. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct target);
} targets SEC(".maps");

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

/* `watched` by the cgroup alone. */
static __always_inline bool watched_group(__u64 cgroup, struct kernfs_node *node, __u32 *profile)
{
	struct target *target = bpf_map_lookup_elem(&targets, &cgroup);

	*profile = 0;
	if (target) {
		*profile = target->profile;
		return !target->ignored;
	}
	announce(cgroup, (__u64)node);
	return true;
}

/* What user space says of a task's cgroup; all 0, and announced, where it says nothing yet. */
static __always_inline struct target target_of(struct task_struct *task, __u64 cgroup)
{
	struct target *target = bpf_map_lookup_elem(&targets, &cgroup);

	if (target)
		return *target;
	announce(cgroup, (__u64)BPF_CORE_READ(task, cgroups, dfl_cgrp, kn));
	return (struct target){};
}

/* Guard of every handler: may this event leave the kernel? Also gives the profile's number. */
static __always_inline bool watched(struct task_struct *task, __u64 cgroup, __u32 *profile)
{
	struct target target = target_of(task, cgroup);

	*profile = target.profile;
	return !target.ignored;
}

static __always_inline bool is_ignored(__u64 cgroup)
{
	struct target *target = bpf_map_lookup_elem(&targets, &cgroup);

	return target && target->ignored;
}

static __always_inline bool same_container(__u64 one, __u64 other)
{
	struct target *first, *second;

	if (one == other)
		return true;
	first = bpf_map_lookup_elem(&targets, &one);
	second = bpf_map_lookup_elem(&targets, &other);
	return first && second && first->root && first->root == second->root;
}

#endif
