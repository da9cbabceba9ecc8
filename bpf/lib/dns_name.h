/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a message of DNS (RFC 1035) as far as the kernel side needs it: the number of the name
 * that is asked for, and whether an answer says anything new. The bytes are hostile: every loop is
 * bounded, and what is not plain goes up to user space, which reads it with more care.
 */
#ifndef HABITUS_DNS_NAME_H
#define HABITUS_DNS_NAME_H

#include "names.h"
#include "ring.h"
#include "token.h"

#define DNS_BYTES 1232 /* what resolvers agree to send at most (DNS flag day 2020) */
#define DNS_HEADER 12
#define DNS_NAME_BYTES 255
#define DNS_LABELS 128
#define DNS_STEPS 96 /* labels and records of an answer that are walked */
#define NAME_WORDS 32
#define TYPE_A 1
#define TYPE_AAAA 28
#define CLASS_IN 1

/*
 * A message, and how far it was read: in a map, where the verifier does not follow. What works on
 * it are functions of their own, not static, so that they are verified once and not at every call.
 * Loops are calls of bpf_loop(): their bodies are verified once, too, however often they run.
 */
struct message {
	__u32 length;
	__u32 end;  /* where the question's name ends */
	__u32 at;   /* the walk through the answers */
	__u32 left; /* answers still to come */
	__u32 busy; /* somebody works on it */
	__u32 reserved;
	struct sip sip;
	__u8 data[2048 + 64];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2); /* what leaves, what comes */
	__type(key, __u32);
	__type(value, struct message);
} messages SEC(".maps");

/*
 * A program on a packet that leaves can be interrupted by one on the same CPU. Who finds the room
 * taken goes without: a lost question is counted, a mixed-up one would be judged as another.
 */
static __always_inline struct message *claimed(__u32 which)
{
	struct message *message = bpf_map_lookup_elem(&messages, &which);

	if (!message)
		return NULL;
	if (__sync_fetch_and_add(&message->busy, 1)) {
		__sync_fetch_and_sub(&message->busy, 1);
		count_loss(LOSS_NETWORK);
		return NULL;
	}
	return message;
}

static __always_inline void give_back(struct message *message)
{
	__sync_fetch_and_sub(&message->busy, 1);
}

/* What the bodies of loops are given: bpf_loop() takes a pointer into the stack only. */
struct reading {
	struct message *message;
	__u64 root;
	__u64 number;
	__u64 found; /* 1: the end of the name, or something new */
};

static __always_inline __u8 byte_at(const struct message *message, __u32 at)
{
	return message->data[at & 2047];
}

static __always_inline __u16 short_at(const struct message *message, __u32 at)
{
	return (__u16)byte_at(message, at) << 8 | byte_at(message, at + 1);
}

/* A … Z of eight bytes at once in lower case. A label's length is below 64 and stays as it is. */
static __always_inline __u64 lowered(__u64 word)
{
	const __u64 ones = 0x0101010101010101ull, tops = ones << 7;
	__u64 rest = word & ~tops;
	__u64 from_a = rest + ones * (128 - 'A'), after_z = rest + ones * (127 - 'Z');

	return word | ((from_a ^ after_z) & ~word & tops) >> 2;
}

static long skip_label(__u32 index, struct reading *reading)
{
	struct message *message = reading->message;
	__u32 at = message->end;
	__u8 label;

	if (at >= message->length || at >= DNS_HEADER + DNS_NAME_BYTES)
		return 1;
	label = byte_at(message, at);
	if (label > 63)
		return 1;
	message->end = at + label + 1;
	reading->found = !label && at + 5 <= message->length;
	return !label;
}

/* The header is 12 bytes: the words of a name lie at multiples of 4. */
static long mix_word(__u32 index, struct reading *reading)
{
	struct message *message = reading->message;
	__u32 at = (index & (NAME_WORDS - 1)) * 8, length = message->end - DNS_HEADER;
	__u64 word;

	if (at >= length)
		return 1;
	word = *(__u32 *)&message->data[DNS_HEADER + at];
	word |= (__u64)*(__u32 *)&message->data[DNS_HEADER + at + 4] << 32;
	if (length - at < 8)
		word &= ~0ull >> (64 - ((length - at) & 7) * 8);
	sip_word(&message->sip, lowered(word));
	return 0;
}

/* The number of the name that is asked for, in lower case; 0: no plain query of one name. */
__noinline __u64 number_of_name(struct message *message)
{
	struct reading reading = { .message = message };
	struct token token;

	if (!message || byte_at(message, 2) & 0x78 || short_at(message, 4) != 1)
		return 0;
	message->end = DNS_HEADER;
	bpf_loop(DNS_LABELS, skip_label, &reading, 0);
	if (!reading.found)
		return 0;
	token_begin(&message->sip, TOKEN_DNS, ~0u);
	sip_word(&message->sip, message->end - DNS_HEADER);
	bpf_loop(NAME_WORDS, mix_word, &reading, 0);
	token_end(&message->sip, &token);
	return token.two;
}

/* One record of the answer at `at`: true when it is no address, or one that is known by the name. */
static __always_inline bool is_old(struct message *message, __u64 root, __u64 number)
{
	__u16 type = short_at(message, message->at), class = short_at(message, message->at + 2);
	__u16 length = short_at(message, message->at + 8);
	__u32 data = message->at + 10;
	struct name_key key = { .root = root };
	__u32 *words = (__u32 *)key.address;
	struct name *name;

	message->at = data + length;
	if (class != CLASS_IN || data + length > message->length)
		return true;
	if (type == TYPE_A && length == 4) {
		words[2] = __builtin_bswap32(0xffff);
		__builtin_memcpy(&words[3], &message->data[data & 2047], 4);
	} else if (type == TYPE_AAAA && length == 16) {
		__builtin_memcpy(words, &message->data[data & 2047], 16);
	} else {
		return true;
	}
	name = bpf_map_lookup_elem(&names, &key);
	if (!name || name->number != number)
		return false;
	name->seen = bpf_ktime_get_boot_ns();
	return true;
}

/* A label, or the end of a name and the record that follows it. */
static long skip_record(__u32 index, struct reading *reading)
{
	struct message *message = reading->message;
	__u8 label;

	if (!message->left)
		return 1;
	if (message->at >= message->length) { /* cut: there is nothing more to read */
		message->left = 0;
		return 1;
	}
	label = byte_at(message, message->at);
	message->at += label >= 0xc0 ? 2 : label + 1;
	if (label && label < 0xc0)
		return 0; /* a label of a name that is not compressed */
	message->left--;
	reading->found = !is_old(message, reading->root, reading->number);
	return reading->found;
}

/* Says the answer nothing that user space does not know? Then it need not be read there. */
__noinline bool is_old_answer(struct message *message, __u64 root, __u64 number)
{
	struct reading reading = { message, root, number, 0 };

	if (!message || !root)
		return false;
	message->left = byte_at(message, 3) & 15 ? 0 : short_at(message, 6);
	message->at = message->end + 4;
	bpf_loop(DNS_STEPS, skip_record, &reading, 0);
	return !reading.found && !message->left;
}

#endif
