/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP by the changes of a socket's state. CLOSE → SYN_SENT and CLOSE → LISTEN happen inside the
 * caller's connect() and listen(); SYN_RECV → ESTABLISHED in whatever runs when the packet comes.
 */
#ifndef HABITUS_TCP_H
#define HABITUS_TCP_H

#include "flow.h"
#include "kernel_net.h"
#include "owner.h"

static __always_inline void read_ends(struct flow *flow, struct sock *sk)
{
	flow->protocol = PROTOCOL_TCP;
	flow->local_port = sk->__sk_common.skc_num;
	if (flow->op == FLOW_LISTEN)
		return; /* nobody at the other end */
	flow->port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (sk->__sk_common.skc_family == AF_INET)
		set_ip4(flow->address, sk->__sk_common.skc_daddr);
	else
		bpf_probe_read_kernel(flow->address, sizeof(flow->address), &sk->__sk_common.skc_v6_daddr);
}

/* The attempt is told, whatever becomes of it: a peer that never answers must not hide it. */
static __always_inline int tcp_connects(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct flow flow = { .op = FLOW_CONNECT };
	__u32 profile;

	if (!watched(task, cgroup, &profile))
		return 0;
	read_ends(&flow, sk);
	tell_current(task, cgroup, &flow);
	return 0;
}

static __always_inline int tcp_listens(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct flow flow = { .op = FLOW_LISTEN };
	__u32 profile;

	if (!watched(task, cgroup, &profile))
		return 0;
	own(sk, task, cgroup);
	read_ends(&flow, sk);
	tell_current(task, cgroup, &flow);
	return 0;
}

/* A listener older than we are has no owner: its own cgroup still tells whose it is. */
static __always_inline void fill_unknown(struct record *head, __u64 cgroup)
{
	__builtin_memset(head, 0, sizeof(*head));
	head->cgroup = cgroup;
}

static __always_inline int tcp_accepts(struct sock *sk)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, 0, 0);
	struct kernfs_node *node;
	struct flow flow = { .op = FLOW_ACCEPT };
	struct record unknown;
	__u32 profile;

	read_ends(&flow, sk);
	if (owner) {
		if (still_wanted(owner))
			tell_of(&owner->head, &flow);
		bpf_sk_storage_delete(&owners, sk); /* its work is done, and there may be very many */
		return 0;
	}
	node = BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn);
	fill_unknown(&unknown, BPF_CORE_READ(node, id));
	if (watched_group(unknown.cgroup, node, &profile))
		tell_of(&unknown, &flow);
	return 0;
}

#endif
