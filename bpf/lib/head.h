/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every record begins with: when, in which cgroup, which process, and whose child it is. */
#ifndef HABITUS_HEAD_H
#define HABITUS_HEAD_H

#include "inside.h"

static __always_inline void fill_head(struct record *head, __u32 kind, struct task_struct *task, __u64 cgroup)
{
	struct task_struct *parent = parent_of(task);

	head->time = bpf_ktime_get_boot_ns();
	head->cgroup = cgroup;
	head->kind = kind;
	head->pid = BPF_CORE_READ(task, tgid);
	head->uid = BPF_CORE_READ(task, cred, uid.val);
	head->ppid = 0;
	head->token = (struct token){};
	__builtin_memset(head->parent, 0, sizeof(head->parent));
	bpf_probe_read_kernel(head->comm, sizeof(head->comm), &task->comm);
	if (same_container(cgroup_of(parent), cgroup)) {
		head->ppid = BPF_CORE_READ(parent, tgid);
		bpf_probe_read_kernel(head->parent, sizeof(head->parent), &parent->comm);
	}
}

#endif
