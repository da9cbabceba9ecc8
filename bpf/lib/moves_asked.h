/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Moves (moves.h) that are asked of io_uring, past every system call. A request is remembered from
 * when the ring takes it until its end is seen: the kernel may do it at any time in between, and
 * whoever asked may have it wait for hours, or leave its end lying. So time does not end it. An end
 * that is never told (a request can be asked for without, and a full ring swallows it) shows when
 * the request's memory is used for another, or when the thread that asked is gone: the kernel waits
 * for what is being done for it, and does nothing more.
 *
 * Ends are matched by the request: one that the ring never took has an end, too.
 */
#ifndef HABITUS_MOVES_ASKED_H
#define HABITUS_MOVES_ASKED_H

#include "moves.h"
#include "uring_call.h"

#define ASKED_MAX 1024 /* all are looked through when a thread ends */
#define CROWDS_MAX 256

/*
 * Address of a request → address of the thread that asked for it. All of it is there from the start: no
 * room is refused because the kernel is short of memory.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ASKED_MAX);
	__type(key, __u64);
	__type(value, __u64);
} asked_moves SEC(".maps");

/* Threads some of whose requests found no room there: until each of these is gone, nothing holds. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CROWDS_MAX);
	__type(key, __u64);
	__type(value, __u64);
} crowds SEC(".maps");

static __always_inline bool asks_for_move(struct io_kiocb *request)
{
	struct io_unlink *unlink = (void *)request + bpf_core_field_offset(struct io_kiocb, cmd);

	if (request->opcode == IORING_OP_UNLINKAT)
		return BPF_CORE_READ(unlink, flags) & AT_REMOVEDIR;
	return request->opcode == IORING_OP_RENAMEAT;
}

/* It is over: in this order, or somebody finds neither. */
static __always_inline void move_is_over(void)
{
	count_move();
	__sync_fetch_and_add(&moves_open, -1);
}

static __always_inline int request_is_over(__u64 request)
{
	if (moves_open && !bpf_map_delete_elem(&asked_moves, &request))
		move_is_over();
	return 0;
}

static __always_inline int request_is_taken(struct io_kiocb *request)
{
	__u64 address = (__u64)request, asker = (__u64)bpf_get_current_task_btf();

	request_is_over(address); /* what this memory was used for before */
	if (!asks_for_move(request))
		return 0;
	__sync_fetch_and_add(&moves_open, 1);
	if (!bpf_map_update_elem(&asked_moves, &address, &asker, BPF_NOEXIST))
		return 0;
	if (bpf_map_update_elem(&crowds, &asker, &asker, BPF_NOEXIST) && bpf_map_lookup_elem(&crowds, &asker))
		__sync_fetch_and_add(&moves_open, -1); /* counted for this thread already */
	return 0; /* no room there either: nothing holds any more */
}

static long forget_asked(void *map, __u64 *request, __u64 *asker, __u64 *gone)
{
	__u64 address = *request;

	if (*asker == *gone && !bpf_map_delete_elem(&asked_moves, &address))
		move_is_over();
	return 0;
}

static __always_inline int asker_is_gone(struct task_struct *task)
{
	__u64 gone = (__u64)task;

	if (!moves_open)
		return 0;
	bpf_for_each_map_elem(&asked_moves, forget_asked, &gone, 0);
	if (!bpf_map_delete_elem(&crowds, &gone))
		move_is_over();
	return 0;
}

#endif
