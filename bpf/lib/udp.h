/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * UDP has no connections: a flow is a socket and a peer, told at its first datagram in either
 * direction. connect() on a UDP socket sends nothing (getaddrinfo() does it to sort addresses), so
 * it is told when the first packet follows.
 */
#ifndef HABITUS_UDP_H
#define HABITUS_UDP_H

#include "flow.h"
#include "kernel_net.h"
#include "owner.h"
#include "tcp.h"

struct udp_key {
	__u64 cookie; /* of the socket: never reused */
	__u8 address[16];
	__u16 port;
	__u16 reserved[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct udp_key);
	__type(value, __u8);
} udp_flows SEC(".maps");

static __always_inline void read_peer4(struct flow *flow, struct bpf_sock_addr *ctx)
{
	set_ip4(flow->address, ctx->user_ip4);
	flow->port = bpf_ntohs(ctx->user_port);
}

static __always_inline void read_peer6(struct flow *flow, struct bpf_sock_addr *ctx)
{
	__u32 *words = (__u32 *)flow->address;

	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	flow->port = bpf_ntohs(ctx->user_port);
}

/* Says whether this is the first datagram between this socket and this peer, and remembers it. */
static __always_inline bool first_of(struct bpf_sock_addr *ctx, const struct flow *flow)
{
	struct udp_key key = { .cookie = bpf_get_socket_cookie(ctx), .port = flow->port };
	__u8 yes = 1;

	__builtin_memcpy(key.address, flow->address, sizeof(key.address));
	if (bpf_map_lookup_elem(&udp_flows, &key))
		return false;
	bpf_map_update_elem(&udp_flows, &key, &yes, BPF_ANY);
	return true;
}

static __always_inline void remember_peer(struct owner *owner, const struct flow *flow)
{
	__builtin_memcpy(owner->flow.address, flow->address, sizeof(owner->flow.address));
	owner->flow.port = flow->port;
	if (flow->port == DNS_PORT)
		owner->dns = 1;
}

/*
 * The first datagram of a flow: what is known stays here, and will tell no close either. Another
 * thread may make itself the owner meanwhile: judged and told is one copy of what was there.
 */
static __always_inline void udp_begins(struct owner *owner, const struct flow *flow)
{
	struct record head = owner->head;
	struct whose whose;
	struct token token;
	__u64 name;

	if (!still_wanted(head.cgroup, &whose) || is_known_flow(&whose, head.comm, flow, &token, &name))
		return;
	owner->head.token = token;
	if (!owner->flow.op)
		owner->head.time = bpf_ktime_get_boot_ns();
	owner->flow = *flow;
	head.token = token;
	tell(&head, flow, name, 0);
}

/* A datagram to or from a named peer. */
static __always_inline void udp_passes(struct bpf_sock_addr *ctx, struct flow *flow)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct bpf_sock *sk = ctx->sk;
	struct owner *owner;
	struct whose whose;

	if (!sk || !wanted(task, cgroup, &whose))
		return;
	owner = own(sk, task, cgroup);
	if (!owner || same_peer(owner, flow->address, flow->port))
		return; /* as the one before */
	if (flow->op == FLOW_SEND)
		remember_peer(owner, flow);
	flow->protocol = PROTOCOL_UDP;
	flow->local_port = sk->src_port;
	if (first_of(ctx, flow))
		udp_begins(owner, flow);
}

/* connect(): the peer is remembered until a packet goes to it. */
static __always_inline void udp_connects(struct bpf_sock_addr *ctx, const struct flow *flow)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct bpf_sock *sk = ctx->sk;
	struct owner *owner;
	struct whose whose;

	if (!sk || !wanted(task, cgroup, &whose))
		return;
	owner = own(sk, task, cgroup);
	if (!owner)
		return;
	remember_peer(owner, flow);
	owner->connected = 1;
}

/* A packet leaves a connected socket. */
static __always_inline void udp_leaves(struct owner *owner, struct bpf_sock *sk)
{
	struct flow flow = { .op = FLOW_SEND, .protocol = PROTOCOL_UDP };

	owner->connected = 0;
	__builtin_memcpy(flow.address, owner->flow.address, sizeof(flow.address));
	flow.port = owner->flow.port;
	flow.local_port = sk->src_port;
	udp_begins(owner, &flow);
}

/* The socket goes: totals of all its datagrams, told with its last peer. */
static __always_inline void udp_closes(struct owner *owner)
{
	struct totals totals = { owner->sent, owner->received, 0 };

	if (owner->flow.op)
		tell_close(owner, OUTCOME_NONE, &totals, 0);
}

#endif
