/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict cache: an event that the profile of its image contains never reaches user space.
 * Filled only from the profiler's verdicts. Every entry carries the revision that it was made for;
 * a new revision of a profile is one write to `revisions` and invalidates all of them at once.
 */
#ifndef HABITUS_KNOWN_H
#define HABITUS_KNOWN_H

#include "container.h"
#include "token.h"

#define PROFILES_MAX 4096

struct known {
	__u64 revision;
	__u64 hits; /* about: CPUs do not wait for each other */
};

/* A profile's number → the revision in force; 0: nothing is known. Number 0 stays 0. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROFILES_MAX);
	__type(key, __u32);
	__type(value, __u64);
} revisions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct token);
	__type(value, struct known);
} known SEC(".maps");

/* How many events were known, by class (enum loss_class). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSS_CLASSES);
	__type(key, __u32);
	__type(value, __u64);
} passed SEC(".maps");

static __always_inline void count_passed(__u32 class)
{
	__u64 *count = bpf_map_lookup_elem(&passed, &class);

	if (count)
		*count += 1;
}

/* The revision in force, or 0. Ask before a token is computed: without one it is of no use yet. */
static __always_inline __u64 revision_of(__u32 profile)
{
	__u64 *revision = bpf_map_lookup_elem(&revisions, &profile);

	return revision ? *revision : 0;
}

/* The entry of an event that is known by the revision in force, or NULL. */
static __always_inline struct known *known_by(__u64 revision, const struct token *token)
{
	struct known *entry = revision ? bpf_map_lookup_elem(&known, token) : NULL;

	return entry && entry->revision == revision ? entry : NULL;
}

/* Is the event of this token known by the revision in force? Then it is counted, and nothing else. */
static __always_inline bool is_known(__u64 revision, const struct token *token, __u32 class)
{
	struct known *entry = known_by(revision, token);

	if (!entry)
		return false;
	entry->hits += 1;
	count_passed(class);
	return true;
}

#endif
