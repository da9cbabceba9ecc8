/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A system call that is file activity, seen at its end. */
#ifndef HABITUS_FILE_ACTIVITY_H
#define HABITUS_FILE_ACTIVITY_H

#include "file_settled.h"

static __always_inline int weigh_call(struct scratch *scratch, const struct arguments *is, long result,
				      struct task_struct *task)
{
	struct call *call = &scratch->call;

	if (!describe(call, is, result))
		return 0;
	name_deed(scratch);
	if (by_name(call))
		return has_arrived(task) && see_names(scratch, call, task) ? weigh_names(scratch) : 0;
	scratch->file = (__u64)file_of(task, call->at[0].fd);
	return see_file(scratch->slot) ? on_seen(scratch, task) : 0;
}

/* The descriptor was opened by one who is watched. */
static __always_inline int on_opened(int fd, __u64 how, struct task_struct *task, __u64 cgroup, __u32 profile)
{
	struct scratch *scratch;

	if (is_settled(cgroup, profile, fd, FILE_OP_OPEN, opened(how)))
		return 0;
	scratch = begin(cgroup, profile);
	if (!scratch)
		return 0;
	one(&scratch->call, FILE_OP_OPEN, opened(how), fd, 0);
	name_deed(scratch);
	scratch->file = (__u64)file_of(task, fd);
	if (see_file(scratch->slot))
		on_seen(scratch, task);
	finish(scratch);
	return 0;
}

/* By one who is watched. */
static __always_inline int on_activity(const struct arguments *is, long result, struct task_struct *task,
				       __u64 cgroup, __u32 profile)
{
	struct scratch *scratch = begin(cgroup, profile);

	if (!scratch)
		return 0;
	weigh_call(scratch, is, result, task);
	finish(scratch);
	return 0;
}

#endif
