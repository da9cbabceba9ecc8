/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tokens: SipHash-1-3 with 128 bits of result (J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast
 * short-input PRF", 2012), keyed with the run's secret, so that nobody can choose two events that
 * collide. It takes 64-bit words; every field of changing length must come after its length.
 */
#ifndef HABITUS_TOKEN_H
#define HABITUS_TOKEN_H

#include "common.h"

/* First word of every token: equal fields of two kinds of events are no equal events. */
enum token_kind {
	TOKEN_EXEC = 1,
	TOKEN_FORK = 2,
	TOKEN_EXIT = 3,
	TOKEN_FILE = 4,
	TOKEN_FLOW = 5,
	TOKEN_DNS = 6,
};

struct sip {
	__u64 v0, v1, v2, v3;
};

static __always_inline __u64 rotated(__u64 word, const int bits)
{
	return word << bits | word >> (64 - bits);
}

static __always_inline void sip_round(struct sip *sip)
{
	sip->v0 += sip->v1;
	sip->v1 = rotated(sip->v1, 13) ^ sip->v0;
	sip->v0 = rotated(sip->v0, 32);
	sip->v2 += sip->v3;
	sip->v3 = rotated(sip->v3, 16) ^ sip->v2;
	sip->v0 += sip->v3;
	sip->v3 = rotated(sip->v3, 21) ^ sip->v0;
	sip->v2 += sip->v1;
	sip->v1 = rotated(sip->v1, 17) ^ sip->v2;
	sip->v2 = rotated(sip->v2, 32);
}

static __always_inline void sip_word(struct sip *sip, __u64 word)
{
	sip->v3 ^= word;
	sip_round(sip);
	sip->v0 ^= word;
}

/* Begins the token of an event of one kind, of an image's profile. */
static __always_inline void token_begin(struct sip *sip, enum token_kind kind, __u32 profile)
{
	sip->v0 = settings.secret[0] ^ 0x736f6d6570736575ull;
	sip->v1 = settings.secret[1] ^ 0x646f72616e646f6dull ^ 0xee;
	sip->v2 = settings.secret[0] ^ 0x6c7967656e657261ull;
	sip->v3 = settings.secret[1] ^ 0x7465646279746573ull;
	sip_word(sip, (__u64)kind << 32 | profile);
}

static __always_inline void token_comm(struct sip *sip, const char *comm)
{
	sip_word(sip, *(const __u64 *)&comm[0]);
	sip_word(sip, *(const __u64 *)&comm[8]);
}

/* `text` has room for 8 bytes more than `length`, and they are zero; at most `limit` bytes. */
static __always_inline void token_text(struct sip *sip, const char *text, __u32 length, const __u32 limit)
{
	__u32 i;

	sip_word(sip, length);
	for (i = 0; i < limit / 8; i++) {
		if (i * 8 >= length)
			break;
		sip_word(sip, *(const __u64 *)&text[i * 8]);
	}
}

static __always_inline void token_end(struct sip *sip, struct token *token)
{
	int i;

	sip->v2 ^= 0xee;
	for (i = 0; i < 3; i++)
		sip_round(sip);
	token->one = sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
	sip->v1 ^= 0xdd;
	for (i = 0; i < 3; i++)
		sip_round(sip);
	token->two = (sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3) | 1; /* never zero */
}

#endif
