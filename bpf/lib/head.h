/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every record begins with: when, in which cgroup, which process, and whose child it is. */
#ifndef HABITUS_HEAD_H
#define HABITUS_HEAD_H

#include "inside.h"

/* As plain loads: `task` is a pointer that the verifier knows. */
static __always_inline void read_comm(__u64 *comm, struct task_struct *task)
{
	comm[0] = *(const __u64 *)&task->comm[0];
	comm[1] = *(const __u64 *)&task->comm[8];
}

/* `task` is such a pointer here, too. */
static __always_inline void fill_head(struct record *head, __u32 kind, struct task_struct *task, __u64 cgroup)
{
	struct task_struct *parent = task->real_parent->group_leader;

	head->time = bpf_ktime_get_boot_ns();
	head->cgroup = cgroup;
	head->kind = kind;
	head->pid = task->tgid;
	head->uid = task->cred->uid.val;
	head->ppid = 0;
	head->token = (struct token){};
	__builtin_memset(head->parent, 0, sizeof(head->parent));
	read_comm((__u64 *)head->comm, task);
	if (same_container(parent->cgroups->dfl_cgrp->kn->id, cgroup)) {
		head->ppid = parent->tgid;
		read_comm((__u64 *)head->parent, parent);
	}
}

#endif
