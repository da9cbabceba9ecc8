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

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	__u32 skc_daddr; /* network order, as skc_dport */
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	__u16 sk_protocol;
};

#pragma clang attribute pop

#endif
