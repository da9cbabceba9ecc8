/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose socket is it? Packets and handshakes are worked on in interrupts, where `current` is
 * whoever was running. So the process is remembered beside the socket while `current` is right:
 * in listen(), connect() and sendmsg(). The kernel frees the memory with the socket.
 */
#ifndef HABITUS_OWNER_H
#define HABITUS_OWNER_H

#include "container.h"
#include "head.h"

struct owner {
	struct record head; /* as when it was remembered; `kind` means nothing */
	__u8 address[16];   /* the last peer, or none */
	__u16 port;
	__u8 connected; /* connect() was called: the first packet is still to come */
	__u8 dns;       /* it spoke to port 53 */
	__u32 reserved;
};

/* BPF_F_CLONE: an accepted socket begins with the owner of its listener. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct owner);
} owners SEC(".maps");

/* Makes `task` the owner. What a socket is differs from program type to program type. */
static __always_inline struct owner *own(void *sk, struct task_struct *task, __u64 cgroup)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (owner && owner->head.pid != (__u32)task->tgid)
		fill_head(&owner->head, 0, task, cgroup);
	return owner;
}

static __always_inline bool same_peer(const struct owner *owner, const __u8 *address, __u16 port)
{
	const __u64 *one = (const __u64 *)owner->address, *other = (const __u64 *)address;

	return owner->port == port && one[0] == other[0] && one[1] == other[1];
}

/* Its cgroup may have been sorted out since the owner was remembered. */
static __always_inline bool still_wanted(const struct owner *owner)
{
	return !is_ignored(owner->head.cgroup);
}

#endif
