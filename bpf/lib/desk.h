/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the record of an exec is put together, and how its texts are hashed there. */
#ifndef HABITUS_DESK_H
#define HABITUS_DESK_H

#include "environment.h"
#include "token.h"
#include "walk.h"

#define HASH_STEP 32

/* Larger than the stack. A program never interrupts itself on a CPU, and lists run one at a time. */
struct program {
	struct exec_record record;
	char room[2 * HASH_STEP]; /* a text is hashed in steps, with zeros after its end */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct program);
} programs SEC(".maps");

/* Room to work in, all of it in maps. */
struct desk {
	struct program *program;
	struct environment *environment;
	struct walk *walk;
};

static __always_inline bool take_desk(struct desk *desk)
{
	__u32 zero = 0;

	desk->program = bpf_map_lookup_elem(&programs, &zero);
	desk->environment = bpf_map_lookup_elem(&environments, &zero);
	desk->walk = bpf_map_lookup_elem(&walks, &zero);
	return desk->program && desk->environment && desk->walk;
}

struct hashing {
	struct sip sip;
	struct program *of;
	__u32 at; /* in record.data */
};

static long hash_step(__u32 i, struct hashing *hashing)
{
	__u32 at = hashing->at + i * HASH_STEP;
	const char *data = hashing->of->record.data;
	int word;

	if (at > EXEC_DATA_BYTES)
		return 1;
	for (word = 0; word < HASH_STEP; word += 8)
		sip_word(&hashing->sip, *(const __u64 *)&data[at + word]);
	return 0;
}

/* Hashes `length` bytes of record.data, which were put there last: what follows is overwritten. */
static __always_inline void hash_text(struct hashing *hashing, __u32 at, __u32 length)
{
	__u32 after = at + length;
	__u64 *end;
	int i;

	sip_word(&hashing->sip, length);
	barrier_var(after); /* or clang checks one register and uses another */
	if (after > EXEC_DATA_BYTES)
		return; /* never: for the verifier */
	end = (__u64 *)&hashing->of->record.data[after];
	for (i = 0; i < HASH_STEP / 8; i++)
		end[i] = 0;
	hashing->at = at;
	bpf_loop((length + HASH_STEP - 1) / HASH_STEP, hash_step, hashing, 0);
}

#endif
