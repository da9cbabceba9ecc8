/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files of containers: open, create, rename, unlink, chmod, chown, link, mount, modules, and what is
 * read and written of open files. One typed raw tracepoint at the end of every system call: it
 * loads wherever BTF does, where fentry and LSM may be refused. At the end, not at the start: only then
 * is there a file to look at, and what failed changed nothing. An opened file is read from the kernel; a
 * call that takes names leaves nothing behind but the names, in memory that another thread may have
 * changed meanwhile.
 *
 * The order is the price: most calls cost one bit; those of others one look-up; a known open file
 * two, without a walk, a hash or a clock.
 */
#include "lib/file_activity.h"
#include "lib/file_uses.h"
#include "lib/moves_asked.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_exit")
int BPF_PROG(on_file_call, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 number = (__u32)regs->orig_ax & ~X32_BIT, profile;
	struct arguments is;
	__u64 cgroup;

	barrier_var(number); /* or clang looks up with another register than the one that it checked */
	if (number >= NUMBERS_MAX || result < 0 || !take(&is, regs, task, number))
		return 0;
	number = numbers[is.number & (NUMBERS_MAX - 1)];
	if (number & NUMBER_MOVES && is_move(&is))
		count_move();
	if (number & NUMBER_ENDS)
		return settings.file_totals ? on_end(&is, task) : 0;
	if (!(number & (NUMBER_EVENT | NUMBER_OPEN)) && !(number & NUMBER_USE && settings.file_totals && result))
		return 0;
	cgroup = task->cgroups->dfl_cgrp->kn->id; /* as the helper gives it, without the call */
	if (!watched(task, cgroup, &profile))
		return 0;
	if (number & NUMBER_OPEN)
		return on_opened(result, is.number == __NR_open ? is.b : is.c, task, cgroup, profile);
	if (number & NUMBER_USE)
		return on_use(&is, result, cgroup, profile);
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
int BPF_PROG(on_thread_gone, struct task_struct *task)
{
	asker_is_gone(task);
	return user_is_gone(task);
}
