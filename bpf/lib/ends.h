/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both ends of a connection on one node: the connecting end is noted when its handshake is done,
 * which is before the accepting one's, so the accept finds it; a close finds the accepting one.
 * Where addresses are translated in between the two do not meet here; user space then has only the
 * address to go by.
 */
#ifndef HABITUS_ENDS_H
#define HABITUS_ENDS_H

#include "flow_token.h"

/* As the connecting end sees it. */
struct pair {
	__u8 from[16];
	__u8 to[16];
	__u16 from_port;
	__u16 to_port;
	__u32 reserved;
	__u64 net; /* of loopback, which every network namespace has; else 0 */
};

/* Cgroups, as in `head`. */
struct ends {
	__u64 connecting;
	__u64 accepting; /* 0: not seen */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct pair);
	__type(value, struct ends);
} pairs SEC(".maps");

static __always_inline void set_pair(struct pair *pair, const __u8 *from, __u16 from_port, const __u8 *to,
				     __u16 to_port, struct sock *sk)
{
	__builtin_memcpy(pair->from, from, sizeof(pair->from));
	__builtin_memcpy(pair->to, to, sizeof(pair->to));
	pair->from_port = from_port;
	pair->to_port = to_port;
	pair->reserved = 0;
	pair->net = 0;
	if (class_of((const __u32 *)to) == ADDRESS_LOOPBACK)
		pair->net = sk->__sk_common.skc_net.net->net_cookie;
}

static __always_inline void note_connecting(const struct flow *flow, struct sock *sk, __u64 cgroup)
{
	struct ends ends = { cgroup, 0 };
	struct pair pair;

	set_pair(&pair, flow->local, flow->local_port, flow->address, flow->port, sk);
	bpf_map_update_elem(&pairs, &pair, &ends, BPF_ANY);
}

/* Returns the cgroup of the connecting end, or 0. */
static __always_inline __u64 note_accepting(const struct flow *flow, struct sock *sk, __u64 cgroup)
{
	struct pair pair;
	struct ends *ends;

	set_pair(&pair, flow->address, flow->port, flow->local, flow->local_port, sk);
	ends = bpf_map_lookup_elem(&pairs, &pair);
	if (!ends)
		return 0;
	ends->accepting = cgroup;
	return ends->connecting;
}

/* The connecting end is done: returns the cgroup of the accepting one, or 0. */
static __always_inline __u64 forget_pair(const struct flow *flow, struct sock *sk)
{
	struct pair pair;
	struct ends *ends;
	__u64 accepting = 0;

	set_pair(&pair, flow->local, flow->local_port, flow->address, flow->port, sk);
	ends = bpf_map_lookup_elem(&pairs, &pair);
	if (ends) {
		accepting = ends->accepting;
		bpf_map_delete_elem(&pairs, &pair);
	}
	return accepting;
}

#endif
