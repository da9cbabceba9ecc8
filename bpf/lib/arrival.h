/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A cgroup is announced when it is made, before anything runs in it: the programs that hang on a
 * container's own cgroup have to be there when its first process is.
 */
#ifndef HABITUS_ARRIVAL_H
#define HABITUS_ARRIVAL_H

#include "container.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cgroup_root {
	int hierarchy_id; /* 0: the tree of cgroup v2; those of v1 count their ids for themselves */
};

struct cgroup___rooted {
	struct cgroup_root *root;
};

#pragma clang attribute pop

static __always_inline int cgroup_is_made(struct cgroup *group)
{
	struct cgroup___rooted *rooted = (void *)group;
	struct kernfs_node *node = BPF_CORE_READ(group, kn);
	__u32 profile;

	if (!BPF_CORE_READ(rooted, root, hierarchy_id))
		watched_group(BPF_CORE_READ(node, id), node, &profile);
	return 0;
}

#endif
