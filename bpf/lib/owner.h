/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose socket is it? Packets and handshakes are worked on in interrupts, where `current` is
 * whoever was running. So the process is remembered beside the socket while `current` is right:
 * in listen(), connect() and sendmsg(). The kernel frees the memory with the socket: about half a
 * kilobyte for each socket whose flow was told. A connect or an accept that is known has none, so
 * its close finds nothing to tell.
 */
#ifndef HABITUS_OWNER_H
#define HABITUS_OWNER_H

#include "flow_records.h"
#include "head.h"

struct owner {
	struct record head; /* as when the flow began; `kind` means nothing */
	struct flow flow;   /* the last one: `op` is what it began with, 0: no flow was told */
	__u64 peer;         /* cgroup of the other end, or 0 */
	__u64 sent;         /* UDP: bytes of payload */
	__u64 received;
	__u8 connected; /* UDP: connect() was called, the first packet is still to come */
	__u8 dns;       /* it spoke to port 53 */
	__u16 reserved[3];
};

/* BPF_F_CLONE: an accepted socket begins with the owner of its listener. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct owner);
} owners SEC(".maps");

/* A program may have been replaced under the same pid. */
static __always_inline bool is_same(const struct record *head, struct task_struct *task)
{
	const __u64 *one = (const __u64 *)head->comm;
	__u64 comm[TASK_COMM_LEN / 8];

	read_comm(comm, task);
	return head->pid == (__u32)task->tgid && one[0] == comm[0] && one[1] == comm[1];
}

/* Makes `task` the owner. What a socket is differs from program type to program type. */
static __always_inline struct owner *own(void *sk, struct task_struct *task, __u64 cgroup)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (owner && !is_same(&owner->head, task))
		fill_head(&owner->head, 0, task, cgroup);
	return owner;
}

static __always_inline bool same_peer(const struct owner *owner, const __u8 *address, __u16 port)
{
	const __u64 *one = (const __u64 *)owner->flow.address, *other = (const __u64 *)address;

	return owner->flow.port == port && one[0] == other[0] && one[1] == other[1];
}

#endif
