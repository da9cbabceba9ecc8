/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP by the changes of a socket's state. CLOSE → SYN_SENT and CLOSE → LISTEN happen inside the
 * caller's connect() and listen(); all others in whatever runs when the packet comes.
 */
#ifndef HABITUS_TCP_H
#define HABITUS_TCP_H

#include "ends.h"
#include "flow.h"
#include "kernel_net.h"
#include "owner.h"

#define DNS_PORT 53
#define MUCH_BYTES (1 << 20) /* a close that tells of so many is never folded */

static __always_inline void read_ends(struct flow *flow, struct sock *sk)
{
	flow->protocol = PROTOCOL_TCP;
	flow->local_port = sk->__sk_common.skc_num;
	if (sk->__sk_common.skc_family == AF_INET)
		set_ip4(flow->local, sk->__sk_common.skc_rcv_saddr);
	else
		set_ip6(flow->local, &sk->__sk_common.skc_v6_rcv_saddr);
	if (flow->op == FLOW_LISTEN)
		return; /* nobody at the other end */
	flow->port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (sk->__sk_common.skc_family == AF_INET)
		set_ip4(flow->address, sk->__sk_common.skc_daddr);
	else
		set_ip6(flow->address, &sk->__sk_common.skc_v6_daddr);
}

static __always_inline void began(struct owner *owner, const struct flow *flow, const struct token *token)
{
	owner->head.time = bpf_ktime_get_boot_ns();
	owner->head.token = *token;
	owner->flow = *flow;
}

/* A flow of the current process: judged, told, and remembered for its close. */
static __always_inline int tcp_begins(struct sock *sk, __u8 op)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct flow flow = { .op = op };
	struct owner *owner;
	struct whose whose;
	struct token token;
	__u64 comm[TASK_COMM_LEN / 8], name;
	bool is_known, is_dns;

	if (!wanted(task, cgroup, &whose))
		return 0;
	read_ends(&flow, sk);
	read_comm(comm, task);
	is_known = is_known_flow(&whose, (const char *)comm, &flow, &token, &name);
	is_dns = op == FLOW_CONNECT && flow.port == DNS_PORT;
	/* A listener's owner is needed by its accepts, and one that asks by its questions, known or not. */
	if (is_known && op != FLOW_LISTEN && !is_dns)
		return 0;
	owner = own(sk, task, cgroup);
	if (!owner)
		return 0;
	began(owner, &flow, &token);
	owner->dns = is_dns;
	if (!is_known)
		tell(&owner->head, &flow, name, 0);
	else if (is_dns)
		owner->flow.op = 0; /* its close is not told */
	return 0;
}

/* The attempt is told, whatever becomes of it: a peer that never answers must not hide it. */
static __always_inline int tcp_connects(struct sock *sk)
{
	return tcp_begins(sk, FLOW_CONNECT);
}

static __always_inline int tcp_listens(struct sock *sk)
{
	return tcp_begins(sk, FLOW_LISTEN);
}

/* Only now its own port is known, and soon forgotten again: before the close is told. */
static __always_inline int tcp_is_connected(struct sock *sk)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, 0, 0);

	if (!owner || owner->flow.op != FLOW_CONNECT)
		return 0;
	read_ends(&owner->flow, sk);
	note_connecting(&owner->flow, sk, owner->head.cgroup);
	return 0;
}

/* A listener older than we are has no owner: its own cgroup still tells whose it is. */
static __always_inline struct owner *own_unknown(struct sock *sk)
{
	struct kernfs_node *node = sk->sk_cgrp_data.cgroup->kn;
	__u64 cgroup = node->id;
	struct owner *owner;
	__u32 profile;

	if (!watched_group(cgroup, node, &profile))
		return NULL;
	owner = bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (owner)
		owner->head.cgroup = cgroup;
	return owner;
}

static __always_inline int tcp_accepts(struct sock *sk)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, 0, 0);
	struct flow flow = { .op = FLOW_ACCEPT };
	struct token token;
	struct whose whose;
	__u64 name;

	if (!owner)
		owner = own_unknown(sk);
	if (!owner)
		return 0;
	read_ends(&flow, sk);
	if (!still_wanted(owner->head.cgroup, &whose) ||
	    is_known_flow(&whose, owner->head.comm, &flow, &token, &name)) {
		bpf_sk_storage_delete(&owners, sk); /* its work is done, and there may be very many */
		return 0;
	}
	began(owner, &flow, &token);
	owner->peer = note_accepting(&flow, sk, owner->head.cgroup);
	tell(&owner->head, &flow, name, owner->peer);
	return 0;
}

static __always_inline __u8 outcome_of(struct sock *sk, int before)
{
	if (before != BPF_TCP_SYN_SENT)
		return OUTCOME_ESTABLISHED;
	if (sk->sk_err == ERROR_REFUSED)
		return OUTCOME_REFUSED;
	return sk->sk_err == ERROR_TIMEOUT ? OUTCOME_TIMEOUT : OUTCOME_FAILED;
}

static __always_inline void count_bytes(struct totals *totals, struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	if (!tcp)
		return;
	totals->sent = tcp->bytes_sent - tcp->bytes_retrans;
	totals->received = tcp->bytes_received;
	if (totals->received && sk->__sk_common.skc_flags & FLAG_DONE)
		totals->received--;
}

/* Tells of the end of a flow that was told, unless the profile has learned it in the meantime. */
static __always_inline void tell_close(struct owner *owner, __u8 outcome, struct totals *totals, __u64 peer)
{
	struct flow flow = owner->flow;
	struct flow_record *record;
	struct whose whose;

	owner->flow.op = 0;
	if (!still_wanted(owner->head.cgroup, &whose) ||
	    is_known(revision_of(whose.profile), &owner->head.token, LOSS_NETWORK))
		return;
	totals->duration = bpf_ktime_get_boot_ns() - owner->head.time;
	flow.began = flow.op;
	flow.op = FLOW_CLOSE;
	flow.outcome = outcome;
	record = begin(&owner->head, &flow, totals->sent + totals->received >= MUCH_BYTES);
	if (!record)
		return;
	record->head.token = (struct token){};
	record->peer = peer;
	record->totals = *totals;
	bpf_ringbuf_submit(record, 0);
}

static __always_inline int tcp_closes(struct sock *sk, int before)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, 0, 0);
	struct totals totals = {};
	__u64 peer;

	if (!owner)
		return 0;
	peer = owner->peer;
	count_bytes(&totals, sk);
	if (owner->flow.op == FLOW_CONNECT) {
		if (before != BPF_TCP_SYN_SENT)
			peer = forget_pair(&owner->flow, sk);
		tell_close(owner, outcome_of(sk, before), &totals, peer);
	} else if (owner->flow.op == FLOW_ACCEPT) {
		tell_close(owner, OUTCOME_NONE, &totals, peer);
	}
	return 0;
}

#endif
