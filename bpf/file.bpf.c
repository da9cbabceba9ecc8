/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files of containers: open, create, rename, unlink, chmod, chown, link, mount, modules. One typed
 * raw tracepoint at the end of every system call: it loads wherever BTF does, where fentry and LSM
 * may be refused. At the end, not at the start: only then is there a file to look at, and what
 * failed changed nothing. An opened file is read from the kernel; a call that takes names leaves
 * nothing behind but the names, in memory that another thread may have changed meanwhile.
 *
 * The order is the price: most calls cost one load; those of others one look-up; a known open file
 * two, without a walk, a hash or a clock.
 */
#include "lib/file_send.h"
#include "lib/moves_asked.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The event is not held back by what was decided before: look closer, and send it. */
static __always_inline int weigh(struct scratch *scratch, struct call *call, struct deed *deed,
				 struct decision *now, struct task_struct *task)
{
	struct file_record *record = &scratch->record;
	struct decision *before;
	__u32 used;
	bool whole;

	__builtin_memcpy(record->head.comm, deed->comm, sizeof(deed->comm));
	record->op = deed->op;
	record->flags = deed->flags;
	record->value = deed->value;
	used = add_places(call->two);
	whole = add_token(now->profile, used);
	now->token = record->head.token;
	if (whole && is_known(now->revision, &now->token, LOSS_FILE)) {
		if (!by_name(call)) /* names are read anew each time */
			decide_known(deed, now);
		return 0;
	}
	if (by_name(call)) {
		deed->place[0] = now->token.one;
		deed->place[1] = now->token.two;
	}
	record->repeats = 0;
	before = bpf_map_lookup_elem(&deeds, deed);
	if (before) {
		if (is_repeat_by_token(before, now))
			return 0;
		record->repeats = before->repeats;
	}
	if (whole || !by_name(call))
		decide_sent(deed, now);
	if (!send(record, deed, task, used)) {
		count_loss(LOSS_FILE);
		forget_deed(deed); /* the next one is sent */
	}
	return 0;
}

static __always_inline int on_names(struct scratch *scratch, struct call *call, struct deed *deed,
				    struct decision *now, struct task_struct *task)
{
	if (!has_arrived(task) || !see_names(scratch, call, task))
		return 0;
	now->moves = (struct moves){};
	return weigh(scratch, call, deed, now, task);
}

static __always_inline int on_file(struct scratch *scratch, struct call *call, struct deed *deed,
				   struct decision *now, struct task_struct *task)
{
	struct file *file = see_file(call, deed, &now->identity, task);
	struct decision *before;

	if (!file)
		return 0;
	before = bpf_map_lookup_elem(&deeds, deed);
	if (before && holds(before, now)) {
		if (before->known) {
			count_passed(LOSS_FILE);
			return 0;
		}
		if (is_repeat(before))
			return 0;
	}
	if (!has_arrived(task))
		return 0;
	scratch->from[0] = &file->f_path;
	scratch->record.places[0].told_length = 0;
	scratch->record.places[0].told_flags = 0;
	return weigh(scratch, call, deed, now, task);
}

/* A call that is file activity, by one who is watched. */
static __always_inline int on_activity(const struct arguments *is, long result, struct task_struct *task,
				       __u64 cgroup, __u32 profile)
{
	struct decision now = { .profile = profile, .revision = revision_of(profile), .moves = moves_now() };
	struct deed deed = { .cgroup = cgroup };
	struct scratch *scratch;
	struct call call;
	__u32 zero = 0;

	if (!describe(&call, is, result))
		return 0;
	scratch = bpf_map_lookup_elem(&file_scratch, &zero);
	if (!scratch)
		return 0;
	__builtin_memcpy(deed.comm, task->comm, sizeof(deed.comm));
	deed.op = call.op;
	deed.flags = call.flags;
	deed.value = call.value;
	if (by_name(&call))
		return on_names(scratch, &call, &deed, &now, task);
	return on_file(scratch, &call, &deed, &now, task);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_file_call, struct pt_regs *regs, long result)
{
	__u32 number = (__u32)regs->orig_ax & ~X32_BIT, profile;
	struct task_struct *task;
	struct arguments is;
	__u64 cgroup;

	barrier_var(number); /* or clang looks up with another register than the one that it checked */
	if (number >= NUMBERS_MAX || result < 0 || !(numbers[number] || numbers_ia32[number]))
		return 0;
	task = bpf_get_current_task_btf();
	if (!take(&is, regs, task, number))
		return 0;
	number = numbers[is.number & (NUMBERS_MAX - 1)];
	if (number & NUMBER_MOVES && is_move(&is))
		count_move();
	if (!(number & NUMBER_EVENT))
		return 0;
	cgroup = task->cgroups->dfl_cgrp->kn->id; /* as the helper gives it, without the call */
	if (!watched(task, cgroup, &profile))
		return 0;
	return on_activity(&is, result, task, cgroup, profile);
}

/* Moves that are asked of io_uring. One tracepoint by two names, as in uring.bpf.c. */
SEC("?tp_btf/io_uring_submit_req")
int BPF_PROG(on_request_taken, struct io_kiocb *request)
{
	return request_is_taken(request);
}

SEC("?tp_btf/io_uring_submit_sqe") /* before 6.4 */
int BPF_PROG(on_request_taken_before_6_4, struct io_kiocb *request)
{
	return request_is_taken(request);
}

SEC("?tp_btf/io_uring_complete")
int BPF_PROG(on_request_over, void *ring, void *request)
{
	return request_is_over((__u64)request);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_asker_gone, struct task_struct *task)
{
	return asker_is_gone(task);
}
