/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The shortest way for what most deeds are: an open file, and what was decided before is that it is
 * known. Nothing but the stack is written, and nothing is prepared for a record. Whatever else it turns
 * out to be begins anew by the usual way.
 */
#ifndef HABITUS_FILE_SETTLED_H
#define HABITUS_FILE_SETTLED_H

#include "file_weigh.h"

static __always_inline bool is_of_interest(__u32 op, const struct sight *sight)
{
	if (op == FILE_OP_OPEN)
		return !(sight->mode & FMODE_PATH);
	return is_kept(sight->kind);
}

/*
 * Is there nothing to tell of what the current process did to its descriptor `fd`? A global function, as
 * `weigh`. Only where the kernel can be read by plain loads: else it would be work done twice.
 */
__noinline int is_settled(__u64 cgroup, __u32 profile, int fd, __u32 op, __u32 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct decision now = { .profile = profile, .revision = revision_of(profile) }, *before;
	struct deed deed = { .cgroup = cgroup, .op = op, .flags = flags };
	struct sight sight;
	struct file *file;

	if (!DIRECT || !now.revision)
		return 0;
	file = file_of(task, fd);
	if (!file)
		return 0;
	now.moves = moves_now();
	look_at(&sight, file);
	if (!is_of_interest(op, &sight))
		return 1;
	if (op == FILE_OP_OPEN)
		fill_open(&deed, &sight);
	identify(&now.identity, &sight.at);
	deed.place[0] = (__u64)sight.at.dentry;
	deed.place[1] = (__u64)sight.at.mnt;
	read_comm((__u64 *)deed.comm, task);
	before = bpf_map_lookup_elem(&deeds, &deed);
	if (!before || !before->known || !holds(before, &now))
		return 0;
	count_passed(LOSS_FILE);
	return 1;
}

#endif
