/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The processes of containers that ran before us, each told once, as the exec that we missed. An
 * iterator over all tasks, run by user space once the cgroups are sorted, and again whenever more
 * of them are wanted: a program that was told by anyone is passed over, unless its container has
 * been chosen anew since, because what was told before may have been dropped. Sleepable, because
 * the arguments of another process are read from its memory, which may have to be fetched.
 */
#include "lib/program.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_iter__task {
	struct task_struct *task;
};

#pragma clang attribute pop

/* A runtime's own stage, started from outside and still with the mounts of there (inside.h). */
static __always_inline bool is_stage_now(struct task_struct *task, __u64 cgroup)
{
	struct task_struct *parent = parent_of(task);

	return !same_container(cgroup_of(parent), cgroup) && same_mounts(task, parent);
}

/* It has no number any more: the kernel gives its memory back as soon as we let go of it. */
static __always_inline bool is_gone(struct task_struct *task)
{
	return !BPF_CORE_READ(task, thread_pid);
}

/*
 * Is its program ours to tell? It is once for each, and the handler of exec asks the same. In the
 * middle of an exec the new program has no arguments yet: that handler comes, and tells it whole.
 */
static __always_inline bool claim(struct task_struct *task, struct arrival *arrival, __u16 epoch)
{
	__u64 told = arrival->told; /* read first: an exec that comes in between then shows */
	struct mm_struct *mm;
	__u64 now;

	barrier();
	mm = BPF_CORE_READ(task, mm);
	now = telling(mm, epoch);
	if (!mm || now == told || !BPF_CORE_READ(mm, env_end))
		return false;
	return __sync_val_compare_and_swap(&arrival->told, told, now) == told;
}

SEC("iter.s/task")
int list_running(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct target *target;
	struct arrival *arrival;
	struct desk desk;
	__u64 cgroup;

	if (!task)
		return 0;
	cgroup = cgroup_of(task);
	target = bpf_map_lookup_elem(&targets, &cgroup);
	if (!target || target->ignored || is_stage_now(task, cgroup))
		return 0;
	arrival = mark_arrived(task);
	if (is_gone(task)) { /* its end may have been seen before the mark */
		forget_arrival(task);
		return 0;
	}
	if (!arrival || task->pid != task->tgid || !claim(task, arrival, target->epoch))
		return 0;
	if (take_desk(&desk))
		tell_program(&desk, task, cgroup, target, arrival, true);
	return 0;
}
