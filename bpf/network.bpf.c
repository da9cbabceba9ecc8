/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Network activity of containers. TCP by a typed raw tracepoint; UDP and DNS by programs on each
 * watched container's own cgroup, which stand beside those of others (they are attached as links):
 * the host's packets and calls never meet them. Every program lets everything pass.
 */
#include "lib/common.h"
#include "lib/arrival.h"
#include "lib/dns.h"
#include "lib/tcp.h"
#include "lib/udp.h"
#include "lib/unix.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PASS 1

/* Keeps the layouts in the object's BTF, where a test reads them. */
const struct flow_record *layout_flow __attribute__((unused));
const enum network_kind *layout_kind __attribute__((unused));
const struct dns_record *layout_dns __attribute__((unused));
const enum flow_op *layout_op __attribute__((unused));
const enum flow_outcome *layout_outcome __attribute__((unused));
const struct unix_record *layout_unix __attribute__((unused));
const enum dns_way *layout_way __attribute__((unused));

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_made, struct cgroup *group)
{
	return cgroup_is_made(group);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int before, int after)
{
	if (sk->sk_protocol != PROTOCOL_TCP)
		return 0;
	if (before == BPF_TCP_CLOSE && after == BPF_TCP_SYN_SENT)
		return tcp_connects(sk);
	if (after == BPF_TCP_CLOSE)
		return tcp_closes(sk, before);
	if (after == BPF_TCP_LISTEN)
		return tcp_listens(sk);
	if (before == BPF_TCP_SYN_SENT && after == BPF_TCP_ESTABLISHED)
		return tcp_is_connected(sk);
	if (before == BPF_TCP_SYN_RECV && after == BPF_TCP_ESTABLISHED)
		return tcp_accepts(sk);
	return 0;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	struct flow flow = {};

	if (ctx->protocol != PROTOCOL_UDP)
		return PASS;
	read_peer4(&flow, ctx);
	udp_connects(ctx, &flow);
	return PASS;
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	struct flow flow = {};

	if (ctx->protocol != PROTOCOL_UDP)
		return PASS;
	read_peer6(&flow, ctx);
	udp_connects(ctx, &flow);
	return PASS;
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct flow flow = { .op = FLOW_SEND };

	read_peer4(&flow, ctx);
	udp_passes(ctx, &flow);
	return PASS;
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct flow flow = { .op = FLOW_SEND };

	read_peer6(&flow, ctx);
	udp_passes(ctx, &flow);
	return PASS;
}

SEC("cgroup/recvmsg4")
int on_recvmsg4(struct bpf_sock_addr *ctx)
{
	struct flow flow = { .op = FLOW_RECEIVE };

	read_peer4(&flow, ctx);
	udp_passes(ctx, &flow);
	return PASS;
}

SEC("cgroup/recvmsg6")
int on_recvmsg6(struct bpf_sock_addr *ctx)
{
	struct flow flow = { .op = FLOW_RECEIVE };

	read_peer6(&flow, ctx);
	udp_passes(ctx, &flow);
	return PASS;
}

extern void *bpf_cast_to_kern_ctx(void *context) __ksym __weak;

SEC("cgroup/connect_unix")
int on_connect_unix(struct bpf_sock_addr *ctx)
{
	struct bpf_sock_addr_kern *address = bpf_cast_to_kern_ctx(ctx);

	unix_call(address->uaddr + sizeof(__u16), address->uaddrlen, false);
	return PASS;
}

/* The start of the record of a classic tracepoint. */
struct connect_call {
	__u64 header;
	long number;
	long fd;
	const void *address;
	long length;
};

SEC("tp/syscalls/sys_enter_connect")
int on_connect_call(struct connect_call *call)
{
	const void *address = call->address;
	__u16 family;

	if (bpf_probe_read_user(&family, sizeof(family), address) || family != AF_UNIX)
		return 0;
	return unix_call(address + sizeof(family), call->length, true);
}

/* The socket that a packet belongs to if it may be of interest, or NULL: UDP, and DNS over TCP. */
static __always_inline struct bpf_sock *socket_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol == PROTOCOL_UDP)
		return sk;
	return sk->protocol == PROTOCOL_TCP && sk->dst_port == bpf_htons(DNS_PORT) ? sk : NULL;
}

/* Of payload, by the headers' usual lengths: a packet with options counts a little more. */
static __always_inline __u32 datagram_bytes(struct __sk_buff *skb)
{
	__u32 headers = skb->protocol == bpf_htons(ETHERTYPE_IP4) ? 20 + 8 : 40 + 8;

	return skb->len > headers ? skb->len - headers : 0;
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = socket_of(skb);
	struct owner *owner = sk ? bpf_sk_storage_get(&owners, sk, 0, 0) : NULL;
	__u32 at;

	if (!owner)
		return PASS;
	if (sk->protocol == PROTOCOL_UDP)
		__sync_fetch_and_add(&owner->sent, datagram_bytes(skb));
	if (owner->connected)
		udp_leaves(owner, sk);
	if (!owner->dns)
		return PASS;
	at = sk->protocol == PROTOCOL_UDP ? payload_of(skb) : segment_of(skb, true);
	if (at)
		dns_asks(skb, at, owner);
	return PASS;
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = socket_of(skb);
	struct owner *owner = sk ? bpf_sk_storage_get(&owners, sk, 0, 0) : NULL;
	__u32 at;

	if (!owner)
		return PASS;
	if (sk->protocol == PROTOCOL_UDP)
		__sync_fetch_and_add(&owner->received, datagram_bytes(skb));
	if (!owner->dns)
		return PASS;
	at = sk->protocol == PROTOCOL_UDP ? payload_of(skb) : segment_of(skb, false);
	if (at)
		dns_answers(skb, at, owner);
	return PASS;
}

SEC("cgroup/sock_release")
int on_release(struct bpf_sock *ctx)
{
	struct owner *owner;

	if (ctx->protocol != PROTOCOL_UDP)
		return PASS;
	owner = bpf_sk_storage_get(&owners, ctx, 0, 0);
	if (owner)
		udp_closes(owner);
	return PASS;
}
