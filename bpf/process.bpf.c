/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes of containers: exec, fork, exit. Typed raw tracepoints of the scheduler: they carry
 * the kernel's own objects, load wherever BTF does, and cost nothing between events.
 */
#include "lib/program.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Keeps the layouts in the object's BTF, where the test of records.py reads them. */
const struct new_cgroup_record *layout_new_cgroup __attribute__((unused));
const struct fork_record *layout_fork __attribute__((unused));
const struct exit_record *layout_exit __attribute__((unused));
const enum record_kind *layout_kind __attribute__((unused));
const enum loss_class *layout_loss __attribute__((unused));
const enum path_flag *layout_path __attribute__((unused));
const enum argv_flag *layout_argv __attribute__((unused));
const enum preload_flag *layout_preload __attribute__((unused));
const enum exe_class *layout_class __attribute__((unused));

/* A stage of the runtime: it shares the mounts of the nearest process outside of the container. */
static __always_inline bool is_stage(struct task_struct *task, __u64 cgroup)
{
	struct task_struct *ancestor = parent_of(task);
	int i;

	for (i = 0; i < ANCESTORS_MAX; i++) {
		/* Process 0 is its own parent. */
		if (!BPF_CORE_READ(ancestor, tgid) || !same_container(cgroup_of(ancestor), cgroup))
			return same_mounts(task, ancestor);
		ancestor = parent_of(ancestor);
	}
	return false;
}

/*
 * Fork and exit are evidence: no profile judges them. Where a revision is in force they are told
 * of a process whose last exec was news to it, and of no other.
 */
static __always_inline bool is_no_news(struct arrival *arrival, __u32 profile)
{
	__u64 revision = revision_of(profile);

	if (!revision)
		return false;
	if (!arrival || !arrival->news) {
		count_passed(LOSS_PROCESS);
		return true;
	}
	if (!is_known(revision, &arrival->program, LOSS_PROCESS))
		return false;
	arrival->news = 0; /* the verdict has come since, and holds whatever revision follows */
	return true;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	__u64 cgroup = task->cgroups->dfl_cgrp->kn->id, now; /* as the helper gives it, without the call */
	struct target target = target_of(task, cgroup);
	struct arrival *arrival;
	struct desk desk;

	if (target.ignored)
		return 0;
	arrival = arrival_of(task);
	if (!arrival && !is_older(task) && is_stage(task, cgroup))
		return 0;
	if (!arrival)
		arrival = mark_arrived(task);
	now = telling(BPF_CORE_READ(task, mm), target.epoch);
	if (arrival && __sync_lock_test_and_set(&arrival->told, now) == now)
		return 0; /* the list of running processes was faster */
	if (take_desk(&desk))
		tell_program(&desk, task, cgroup, &target, arrival, false);
	return 0;
}

/* What is known of the parent holds for the child: it runs the same program. */
static __always_inline struct arrival inherited(struct task_struct *child, struct arrival *parents, __u16 epoch)
{
	struct arrival arrival = { .told = telling(BPF_CORE_READ(child, mm), epoch) }; /* by its fork */

	if (parents) {
		arrival.program = parents->program;
		arrival.news = parents->news;
	}
	return arrival;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u64 cgroup = child->cgroups->dfl_cgrp->kn->id;
	struct target target = target_of(child, cgroup);
	struct arrival *parents, arrival;
	struct fork_record *record;
	bool is_told;

	if (target.ignored)
		return 0;
	parents = arrival_of(parent->group_leader);
	if (!parents && !is_older(parent))
		return 0;
	if (!same_container(cgroup, parent->cgroups->dfl_cgrp->kn->id))
		return 0; /* a runtime puts a child into a container: it has not arrived */
	arrival = inherited(child, parents, target.epoch);
	is_told = child->pid == child->tgid && !is_no_news(&arrival, target.profile); /* a thread is no process */
	set_arrival(child, &arrival, BPF_ANY);
	if (!is_told)
		return 0;
	record = reserve(sizeof(*record), LOSS_PROCESS);
	if (!record)
		return 0;
	fill_head(&record->head, RECORD_FORK, child, cgroup);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	__u64 cgroup = task->cgroups->dfl_cgrp->kn->id;
	struct exit_record *record;
	struct arrival *arrival;
	__u32 status, profile;

	if (!watched(task, cgroup, &profile))
		return 0;
	/* The last one may be a thread of io_uring: no fork told of it. */
	arrival = arrival_of(task->group_leader);
	if (!arrival && !is_older(task))
		return 0;
	if (task->signal->live.counter)
		return 0; /* other threads of the process go on */
	if (is_no_news(arrival, profile))
		return 0;
	record = reserve(sizeof(*record), LOSS_PROCESS);
	if (!record)
		return 0;
	status = task->exit_code;
	fill_head(&record->head, RECORD_EXIT, task, cgroup);
	record->code = (status >> 8) & 0xff;
	record->signal = status & 0x7f;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tp_btf/sched_process_free")
int BPF_PROG(on_free, struct task_struct *task)
{
	if (is_remembered(task)) /* most never were: a look-up takes no lock */
		forget_arrival(task);
	return 0;
}
