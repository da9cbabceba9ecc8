/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS over UDP: the payload goes to user space as it is, within bounds, and is read there. Here
 * only what the packet's own headers say is looked at.
 */
#ifndef HABITUS_DNS_H
#define HABITUS_DNS_H

#include "flow.h"
#include "kernel_net.h"
#include "owner.h"

#define DNS_BYTES 1232      /* what resolvers agree to send at most (DNS flag day 2020) */
#define DNS_SHORT_BYTES 232 /* nearly all: the ring is not filled with empty room */
#define DNS_HEADER 12

enum dns_way {
	DNS_QUESTION = 1,
	DNS_ANSWER = 2,
};

struct dns_record {
	struct record head;
	__u8 address[16]; /* of the server; IPv4 as ::ffff:a.b.c.d */
	__u16 port;
	__u16 local_port;
	__u16 length; /* of what is here; the message may be longer */
	__u16 way;
	__u8 data[DNS_BYTES];
};

/* Offset of the UDP payload, or 0. A later fragment and an extended IPv6 header are left alone. */
static __always_inline __u32 payload_of(struct __sk_buff *skb)
{
	__u8 ip[20]; /* as much as both versions have */
	__u32 at;

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	if (ip[0] >> 4 == 4) {
		at = (ip[0] & 15) * 4;
		return ip[9] == PROTOCOL_UDP && !(ip[6] & 0x1f) && !ip[7] ? at + 8 : 0;
	}
	return ip[6] == PROTOCOL_UDP ? 40 + 8 : 0;
}

static __always_inline void fill_dns(struct dns_record *record, const struct owner *owner, __u16 way, __u16 length)
{
	record->head = owner->head;
	record->head.time = bpf_ktime_get_boot_ns();
	record->head.kind = RECORD_DNS;
	__builtin_memcpy(record->address, owner->address, sizeof(record->address));
	record->port = owner->port;
	record->local_port = 0;
	record->length = length;
	record->way = way;
}

/* One record with `room` bytes of data: a constant, as the ring asks for. */
static __always_inline void send_dns(struct __sk_buff *skb, const struct owner *owner, __u16 way, __u32 at,
				     __u32 length, const __u32 room)
{
	struct dns_record *record = reserve(offsetof(struct dns_record, data) + room, LOSS_NETWORK);

	if (!record)
		return;
	if (length > room)
		length = room;
	fill_dns(record, owner, way, length);
	if (length < DNS_HEADER || bpf_skb_load_bytes(skb, at, record->data, length)) {
		bpf_ringbuf_discard(record, 0);
		return;
	}
	bpf_ringbuf_submit(record, 0);
}

static __always_inline void dns_passes(struct __sk_buff *skb, const struct owner *owner, __u16 way)
{
	__u32 at = payload_of(skb);
	__u32 length = skb->len - at;

	if (!at || at > skb->len || length < DNS_HEADER)
		return;
	if (length <= DNS_SHORT_BYTES)
		send_dns(skb, owner, way, at, length, DNS_SHORT_BYTES);
	else
		send_dns(skb, owner, way, at, length, DNS_BYTES);
}

#endif
