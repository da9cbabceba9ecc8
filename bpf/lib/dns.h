/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS over UDP, and over TCP where a message begins with its segment. A question is an event, judged here by the process and the name; its message goes
 * to user space as it is, within bounds, and is read there. An answer goes up only when this socket
 * asked for it and it gives an address that user space does not have under this name yet.
 */
#ifndef HABITUS_DNS_H
#define HABITUS_DNS_H

#include "dns_name.h"
#include "flow.h"
#include "kernel_net.h"
#include "owner.h"

#define DNS_SHORT_BYTES 232 /* nearly all: the ring is not filled with empty room */
#define ASKED_NS 10000000000ULL

enum dns_way {
	DNS_QUESTION = 1,
	DNS_ANSWER = 2,
};

struct dns_record {
	struct record head;
	__u64 name;       /* number of the name that is asked for; 0: it could not be told */
	__u8 address[16]; /* of the server; IPv4 as ::ffff:a.b.c.d */
	__u16 port;
	__u16 protocol;
	__u16 length; /* of what is here; the message may be longer */
	__u16 way;
	__u8 data[DNS_BYTES];
};

struct asked_key {
	__u64 cookie; /* of the socket */
	__u64 name;
	__u64 id;
};

/* Questions without an answer yet: what nobody asked for is a forgery, or too old to matter. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct asked_key);
	__type(value, __u64);
} asked SEC(".maps");

/* Offset of what follows the IP header, or 0: a later fragment, or an IPv6 header with extensions. */
static __always_inline __u32 after_ip(struct __sk_buff *skb, __u8 protocol)
{
	__u8 ip[20]; /* as much as both versions have */

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	if (ip[0] >> 4 == 4)
		return ip[9] == protocol && !(ip[6] & 0x1f) && !ip[7] ? (ip[0] & 15) * 4 : 0;
	return ip[6] == protocol ? 40 : 0;
}

/* Offset of the UDP payload, or 0. */
static __always_inline __u32 payload_of(struct __sk_buff *skb)
{
	__u32 at = after_ip(skb, PROTOCOL_UDP);

	return at ? at + 8 : 0;
}

/*
 * Offset of the message with which a TCP segment begins, or 0. A question must be there as a whole;
 * of an answer what is there will do. Whatever else a segment holds is not looked at.
 */
static __always_inline __u32 segment_of(struct __sk_buff *skb, bool whole)
{
	__u32 at = after_ip(skb, PROTOCOL_TCP), length;
	__u8 offset, prefix[2];

	if (!at || bpf_skb_load_bytes(skb, at + 12, &offset, 1))
		return 0;
	at += (offset >> 4) * 4;
	if (bpf_skb_load_bytes(skb, at, prefix, sizeof(prefix)))
		return 0;
	at += sizeof(prefix);
	length = prefix[0] << 8 | prefix[1];
	return length >= DNS_HEADER && (!whole || at + length <= skb->len) ? at : 0;
}

/* Takes the message of a packet, at most its first DNS_BYTES; false when there is none. */
static __always_inline bool take_message(struct __sk_buff *skb, __u32 at, struct message *message)
{
	__u32 length = skb->len - at;

	if (at > skb->len || length < DNS_HEADER)
		return false;
	if (length > DNS_BYTES)
		length = DNS_BYTES;
	barrier_var(length); /* or clang checks another register than it passes on */
	if (length > DNS_BYTES || bpf_skb_load_bytes(skb, at, message->data, length))
		return false;
	message->length = length;
	return true;
}

/*
 * Who speaks to which server: one copy, because another thread may make itself the owner of the
 * socket meanwhile, and what is judged must be what is told.
 */
struct speaker {
	struct record head;
	__u8 address[16];
	__u16 port;
	__u16 protocol;
	__u32 reserved;
};

static __always_inline void set_speaker(struct speaker *speaker, const struct owner *owner)
{
	speaker->head = owner->head;
	__builtin_memcpy(speaker->address, owner->flow.address, sizeof(speaker->address));
	speaker->port = owner->flow.port;
	speaker->protocol = owner->flow.protocol;
	speaker->reserved = 0;
}

/* One record with `room` bytes of data: a constant, as the ring asks for. */
static __always_inline void send_with(const struct message *message, const struct speaker *speaker, __u16 way,
				      __u64 name, const struct token *token, const __u32 room)
{
	struct dns_record *record = reserve(offsetof(struct dns_record, data) + room, LOSS_NETWORK);

	if (!record)
		return;
	record->head = speaker->head;
	record->head.time = bpf_ktime_get_boot_ns();
	record->head.kind = RECORD_DNS;
	record->head.token = *token;
	record->name = name;
	__builtin_memcpy(record->address, speaker->address, sizeof(record->address));
	record->port = speaker->port;
	record->protocol = speaker->protocol;
	record->length = message->length;
	record->way = way;
	bpf_probe_read_kernel(record->data, room, message->data);
	bpf_ringbuf_submit(record, 0);
}

static __always_inline void send_dns(const struct message *message, const struct speaker *speaker, __u16 way,
				     __u64 name, const struct token *token)
{
	if (message->length <= DNS_SHORT_BYTES)
		send_with(message, speaker, way, name, token, DNS_SHORT_BYTES);
	else
		send_with(message, speaker, way, name, token, DNS_BYTES);
}

/* The same process asks for A and for AAAA, and again: one event a second. */
static __always_inline bool is_told(const struct speaker *speaker, __u64 name)
{
	struct fold_key key = { speaker->head.cgroup, speaker->head.pid, speaker->port, FLOW_ASK, PROTOCOL_UDP, {} };
	struct fold fresh = { bpf_ktime_get_boot_ns(), 0 }, *fold;

	__builtin_memcpy(key.address, &name, sizeof(name));
	fold = bpf_map_lookup_elem(&folds, &key);
	if (fold && fresh.since - fold->since < FOLD_NS)
		return true;
	bpf_map_update_elem(&folds, &key, &fresh, BPF_ANY);
	return false;
}

static __always_inline bool is_known_question(const struct whose *whose, const struct speaker *speaker, __u64 name,
					      struct token *token)
{
	__u64 revision = revision_of(whose->profile);
	struct sip sip;

	if (!revision)
		return false;
	token_begin(&sip, TOKEN_DNS, whose->profile);
	token_comm(&sip, speaker->head.comm);
	sip_word(&sip, name);
	sip_word(&sip, speaker->port);
	token_end(&sip, token);
	return is_known(revision, token, LOSS_NETWORK);
}

static __always_inline void judge_question(struct __sk_buff *skb, struct message *message,
					   const struct owner *owner)
{
	struct asked_key key = { .cookie = bpf_get_socket_cookie(skb) };
	struct speaker speaker;
	struct whose whose;
	struct token token = {};
	__u64 now = bpf_ktime_get_boot_ns();

	set_speaker(&speaker, owner);
	if (!still_wanted(speaker.head.cgroup, &whose))
		return;
	key.name = number_of_name(message);
	if (key.name) {
		key.id = short_at(message, 0);
		bpf_map_update_elem(&asked, &key, &now, BPF_ANY);
		if (is_known_question(&whose, &speaker, key.name, &token) || is_told(&speaker, key.name))
			return;
	}
	send_dns(message, &speaker, DNS_QUESTION, key.name, &token);
}

static __always_inline void judge_answer(struct __sk_buff *skb, struct message *message,
					 const struct owner *owner)
{
	struct asked_key key = { .cookie = bpf_get_socket_cookie(skb) };
	struct speaker speaker;
	struct whose whose;
	struct token none = {};
	__u64 *since;

	set_speaker(&speaker, owner);
	if (!still_wanted(speaker.head.cgroup, &whose))
		return;
	key.name = number_of_name(message);
	key.id = short_at(message, 0);
	since = bpf_map_lookup_elem(&asked, &key);
	if (!key.name || !since)
		return;
	if (bpf_ktime_get_boot_ns() - *since < ASKED_NS && !is_old_answer(message, whose.root, key.name))
		send_dns(message, &speaker, DNS_ANSWER, key.name, &none);
	bpf_map_delete_elem(&asked, &key);
}

static __always_inline void dns_asks(struct __sk_buff *skb, __u32 at, const struct owner *owner)
{
	struct message *message = claimed(0);

	if (!message)
		return;
	if (take_message(skb, at, message))
		judge_question(skb, message, owner);
	give_back(message);
}

static __always_inline void dns_answers(struct __sk_buff *skb, __u32 at, const struct owner *owner)
{
	struct message *message = claimed(1);

	if (!message)
		return;
	if (take_message(skb, at, message))
		judge_answer(skb, message, owner);
	give_back(message);
}

#endif
