/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which name a container was told for an address, as a number: a keyed hash of the name. User
 * space writes it when it has read an answer, and keeps the text. The verdict on a flow depends on
 * the name, so the number is part of the flow's token and goes up with it; user space lets the
 * token stand only if the name that it puts into the event has the same number. So no verdict on
 * one name is ever remembered for another, however the two run.
 *
 * What remains: between an answer's packet and the write of user space lie some milliseconds, in
 * which a flow to that address still counts under its older name, or under none, and stays in the
 * kernel if that is known. It goes to an address and port that the profile contains, and the new
 * name is no secret: the question for it was an event before the answer could come.
 */
#ifndef HABITUS_NAMES_H
#define HABITUS_NAMES_H

#include "common.h"

struct name_key {
	__u64 root; /* id of the container's own cgroup */
	__u8 address[16];
};

struct name {
	__u64 number;
	__u64 seen; /* boot clock: when an answer last gave the address for the name */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct name_key);
	__type(value, struct name);
} names SEC(".maps");

static __always_inline struct name *name_of(__u64 root, const __u8 *address)
{
	struct name_key key = { .root = root };

	__builtin_memcpy(key.address, address, sizeof(key.address));
	return root ? bpf_map_lookup_elem(&names, &key) : NULL;
}

#endif
