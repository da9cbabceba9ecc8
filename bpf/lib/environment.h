/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * LD_PRELOAD in the environment that a program was started with. glibc takes the last one that is
 * there and musl the first, so both are kept. Eight bytes are looked at in one step, and only
 * those that hold the end of a text are looked at more closely.
 */
#ifndef HABITUS_ENVIRONMENT_H
#define HABITUS_ENVIRONMENT_H

#include "common.h"

#define ENV_BYTES 16384
#define ENV_STEP 64
#define ENV_BEFORE 8 /* zeros: the first text, too, begins after a zero byte */

#define LD_PRELO 0x4f4c4552505f444cull /* as a word of memory, low end first */
#define AD_IS 0x3d4441u                /* AD= */

struct environment {
	char text[ENV_BEFORE + ENV_BYTES + 2 * ENV_STEP];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct environment);
} environments SEC(".maps");

struct env_search {
	struct environment *in;
	__u32 first; /* where the value of the first one begins in `text`; 0: there is none */
	__u32 last;
};

#define EACH_BYTE 0x0101010101010101ull

/* The highest bit of each byte of the word that is zero, and maybe of some above the first of them. */
static __always_inline __u64 ends_in(__u64 word)
{
	return (word - EACH_BYTE) & ~word & (EACH_BYTE << 7);
}

/* Which byte has the lowest of these bits: counts the bytes below it, without a branch. */
static __always_inline __u32 first_of(__u64 ends)
{
	return (((ends & -ends) - 1) >> 7 & EACH_BYTE) * EACH_BYTE >> 56 & 7;
}

static __always_inline void look_after(struct env_search *search, const char *text, __u32 at)
{
	if (text[at] || *(const __u64 *)&text[at + 1] != LD_PRELO)
		return;
	if ((*(const __u32 *)&text[at + 9] & 0xffffff) != AD_IS)
		return;
	search->last = at + 12;
	if (!search->first)
		search->first = at + 12;
}

static long look_at(__u32 i, struct env_search *search)
{
	__u32 at = i * ENV_STEP, word, byte;
	const char *text = search->in->text;
	__u64 ends;

	if (at > ENV_BEFORE + ENV_BYTES)
		return 1;
	for (word = 0; word < ENV_STEP; word += 8) {
		ends = ends_in(*(const __u64 *)&text[at + word]);
		if (!ends)
			continue;
		if (!(ends & (ends - 1))) { /* one text's end, as nearly always */
			look_after(search, text, at + word + first_of(ends));
			continue;
		}
		for (byte = 0; byte < 8; byte++)
			look_after(search, text, at + word + byte);
	}
	return 0;
}

/* `length` bytes of environment stand at text[ENV_BEFORE]. */
static __always_inline void find_preload(struct env_search *search, __u32 length)
{
	__u64 *end;
	int i;

	*(__u64 *)search->in->text = 0;
	end = (__u64 *)&search->in->text[ENV_BEFORE + length];
	for (i = 0; i < ENV_STEP / 8 + 2; i++) /* and 16 more: the farthest byte that is looked at */
		end[i] = 0;
	bpf_loop((length + ENV_BEFORE + ENV_STEP - 1) / ENV_STEP, look_at, search, 0);
}

#endif
