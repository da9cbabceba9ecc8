/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The guards of container.h for who also needs the container itself: names are kept by its cgroup. */
#ifndef HABITUS_WHOSE_H
#define HABITUS_WHOSE_H

#include "container.h"

struct whose {
	__u64 root; /* id of the container's own cgroup; 0: not sorted yet */
	__u32 profile;
	__u32 reserved;
};

/* Its cgroup may have been sorted out since it was remembered; nothing is announced. */
static __always_inline bool still_wanted(__u64 cgroup, struct whose *whose)
{
	struct target *target = bpf_map_lookup_elem(&targets, &cgroup);

	*whose = (struct whose){};
	if (!target)
		return true;
	whose->root = target->root;
	whose->profile = target->profile;
	return !target->ignored;
}

static __always_inline bool wanted(struct task_struct *task, __u64 cgroup, struct whose *whose)
{
	bool yes = still_wanted(cgroup, whose);

	if (yes && !whose->root)
		announce(cgroup, (__u64)BPF_CORE_READ(task, cgroups, dfl_cgrp, kn));
	return yes;
}

#endif
