/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a verdict on a flow depends on, as habitus_profiler/habits.py (`network_path`) and
 * addresses.py have it; whoever changes one side changes the other:
 * - going out: process, protocol, the name of the other end, else its /24 or /64, its port
 * - coming in: process, protocol, the class of the other end's address, the own port, where all
 *   from 32768 up are one
 * A client's port and the own address play no part.
 */
#ifndef HABITUS_FLOW_TOKEN_H
#define HABITUS_FLOW_TOKEN_H

#include "flow_records.h"
#include "kernel_net.h"
#include "known.h"
#include "names.h"
#include "whose.h"

#define HIGH_PORT 32768

enum address_class {
	ADDRESS_PUBLIC,
	ADDRESS_LOOPBACK,
	ADDRESS_ANY,
	ADDRESS_LINK_LOCAL,
	ADDRESS_MULTICAST,
	ADDRESS_PRIVATE,
};

static __always_inline bool comes_in(__u8 op)
{
	return op == FLOW_ACCEPT || op == FLOW_RECEIVE || op == FLOW_LISTEN;
}

static __always_inline bool is_ip4(const __u32 *words)
{
	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

static __always_inline enum address_class class_of_ip4(__u32 ip)
{
	if (ip >> 24 == 127)
		return ADDRESS_LOOPBACK;
	if (!ip)
		return ADDRESS_ANY;
	if (ip >> 16 == 0xa9fe)
		return ADDRESS_LINK_LOCAL;
	if (ip >> 28 == 0xe)
		return ADDRESS_MULTICAST;
	if (ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || (ip & 0xffc00000) == 0x64400000)
		return ADDRESS_PRIVATE;
	return ADDRESS_PUBLIC;
}

static __always_inline enum address_class class_of(const __u32 *words)
{
	__u32 first = bpf_ntohl(words[0]);

	if (is_ip4(words))
		return class_of_ip4(bpf_ntohl(words[3]));
	if (!words[0] && !words[1] && !words[2] && words[3] == bpf_htonl(1))
		return ADDRESS_LOOPBACK;
	if (!words[0] && !words[1] && !words[2] && !words[3])
		return ADDRESS_ANY;
	if (first >> 22 == 0x3fa)
		return ADDRESS_LINK_LOCAL;
	if (first >> 24 == 0xff)
		return ADDRESS_MULTICAST;
	return first >> 25 == 0x7e ? ADDRESS_PRIVATE : ADDRESS_PUBLIC;
}

/* Where a network begins with zeros there are addresses with a meaning of their own: kept whole. */
static __always_inline void mix_network(struct sip *sip, const __u32 *words)
{
	__u32 ip = bpf_ntohl(words[3]);
	__u64 high = (__u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]);

	if (is_ip4(words)) {
		if (ip >> 24 == 127)
			ip = 127 << 24;
		else if (ip >> 8)
			ip &= ~0xffu;
		sip_word(sip, 4);
		sip_word(sip, ip);
		return;
	}
	sip_word(sip, high ? 6 : (__u64)7 << 32 | bpf_ntohl(words[2]));
	sip_word(sip, high ? high : ip);
}

static __always_inline void mix_peer(struct sip *sip, const struct flow *flow, __u64 name)
{
	const __u32 *words = (const __u32 *)flow->address;

	if (comes_in(flow->op)) {
		sip_word(sip, 1);
		sip_word(sip, flow->op == FLOW_LISTEN ? ~0ull : class_of(words));
	} else if (name) {
		sip_word(sip, 2);
		sip_word(sip, name);
	} else {
		mix_network(sip, words);
	}
}

static __always_inline __u16 habitual_port(const struct flow *flow)
{
	if (!comes_in(flow->op))
		return flow->port;
	return flow->local_port < HIGH_PORT ? flow->local_port : HIGH_PORT;
}

/*
 * Is this flow of a process called `comm` known? Fills its token (zero while the profile has no
 * revision in force) and the number of the other end's name that went into it.
 */
static __always_inline bool is_known_flow(const struct whose *whose, const char *comm, const struct flow *flow,
					  struct token *token, __u64 *number)
{
	__u64 revision = revision_of(whose->profile);
	struct name *name = comes_in(flow->op) ? NULL : name_of(whose->root, flow->address);
	struct sip sip;

	*token = (struct token){};
	*number = name ? name->number : 0;
	if (!revision)
		return false;
	token_begin(&sip, TOKEN_FLOW, whose->profile);
	token_comm(&sip, comm);
	sip_word(&sip, (__u64)flow->op << 32 | (__u32)flow->protocol << 16 | habitual_port(flow));
	mix_peer(&sip, flow, *number);
	token_end(&sip, token);
	return is_known(revision, token, LOSS_NETWORK);
}

#endif
