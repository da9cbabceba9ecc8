/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's network types, in the manner of kernel.h: names only, CO-RE finds the offsets. */
#ifndef HABITUS_KERNEL_NET_H
#define HABITUS_KERNEL_NET_H

#include "common.h"

#include <bpf/bpf_endian.h>

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

#define ETHERTYPE_IP4 0x0800
#define ERROR_TIMEOUT 110
#define ERROR_REFUSED 111
#define FLAG_DONE (1 << 1) /* SOCK_DONE of skc_flags: the other end's FIN has come */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct net {
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__u32 skc_daddr; /* network order, as skc_dport */
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
	possible_net_t skc_net;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	int sk_err;
	__u16 sk_protocol;
};

/* since 6.7 */
struct bpf_sock_addr_kern {
	void *uaddr; /* a sockaddr */
	__u32 uaddrlen;
};

struct tcp_sock {
	__u64 bytes_received; /* a FIN counts as one */
	__u64 bytes_sent;
	__u64 bytes_retrans;
};

#pragma clang attribute pop

#endif
