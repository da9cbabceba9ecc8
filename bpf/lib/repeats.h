/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was decided of a deed, so that the same deed costs one look-up: no walk, no hash, no clock.
 * The key is exact: the kernel's own objects and what the event would say of them. The path is no
 * part of it. What the walk found stays true while nothing moved (moves.h) and the objects are
 * still the same files: an address may be used anew, so inode numbers are compared, too.
 *
 * A deed that is not known is sent at most once a second; the others are counted.
 */
#ifndef HABITUS_REPEATS_H
#define HABITUS_REPEATS_H

#include "direct.h"
#include "moves.h"
#include "token.h"

#define REPEAT_NS 1000000000ull

struct deed {
	__u64 place[2]; /* dentry and mount of an open file, or the token of names that were given */
	__u64 cgroup;
	char comm[TASK_COMM_LEN];
	__u32 op;
	__u32 flags;
	__u64 value;
};

/* Are dentry and mount still those that they were? */
struct identity {
	__u64 parent;
	__u64 name; /* length, and hash salted with the parent's address */
	__u64 inode;
	__u64 parent_inode;
	__u64 mount;
	__u64 way; /* all that is above it, where only that tells of a rename in time (way.h); else 0 */
};

struct decision {
	__u64 revision; /* that was in force; known: of the profile below */
	__u32 profile;
	__u32 known;
	struct moves moves;
	struct identity identity;
	struct token token; /* of the event; zero: it has none */
	__u64 when;    /* it was last sent */
	__u64 repeats; /* since then */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct deed);
	__type(value, struct decision);
} deeds SEC(".maps");

static __always_inline bool same_identity(const struct identity *one, const struct identity *other)
{
	return one->parent == other->parent && one->name == other->name && one->inode == other->inode &&
	       one->parent_inode == other->parent_inode && one->mount == other->mount && one->way == other->way;
}

static __always_inline bool same_revision(const struct decision *one, const struct decision *other)
{
	return one->revision == other->revision && one->profile == other->profile;
}

/* Is the path certainly what it was, so that nothing needs to be walked? */
static __always_inline bool holds(const struct decision *before, const struct decision *now)
{
	return same_revision(before, now) && same_moves(&before->moves, &now->moves) &&
	       same_identity(&before->identity, &now->identity);
}

/* Keeps that the event is known. */
static __always_inline void decide_known(const struct deed *deed, struct decision *now)
{
	now->known = 1;
	bpf_map_update_elem(&deeds, deed, now, BPF_ANY);
}

/* The same was sent less than a second ago: hold it back. */
static __always_inline bool is_repeat(struct decision *before)
{
	if (before->known || bpf_ktime_get_ns() - before->when >= REPEAT_NS)
		return false;
	before->repeats += 1;
	return true;
}

/* The same, by the token: something moved, and the path turned out to be what it was. */
static __always_inline bool is_repeat_by_token(struct decision *before, const struct decision *now)
{
	if (!now->token.two || before->token.one != now->token.one || before->token.two != now->token.two ||
	    !same_revision(before, now) || !is_repeat(before))
		return false;
	before->moves = now->moves;
	before->identity = now->identity;
	return true;
}

/* Keeps that it is being sent. */
static __always_inline void decide_sent(const struct deed *deed, struct decision *now)
{
	now->known = 0;
	now->when = bpf_ktime_get_ns();
	now->repeats = 0;
	bpf_map_update_elem(&deeds, deed, now, BPF_ANY);
}

/* As if it had not been sent. */
static __always_inline void forget_deed(const struct deed *deed)
{
	bpf_map_delete_elem(&deeds, deed);
}

#endif
