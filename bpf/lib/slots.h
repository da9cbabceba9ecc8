/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Room that is larger than the stack, several pieces a CPU. A program at a tracepoint runs to its end
 * before another begins on its CPU, and one piece is enough. A program at a function (fentry, fexit)
 * stays on its CPU too, but a preemptible kernel may put it aside for another task that comes by the
 * same way: each takes a piece for itself (docs/decisions/0016-the-cheapest-rung-that-loads.md).
 */
#ifndef HABITUS_SLOTS_H
#define HABITUS_SLOTS_H

#include "ring.h"

#ifndef SLOTS
#define SLOTS 1 /* a power of two */
#endif
#define NO_SLOT -1

struct slots {
	__u64 taken[SLOTS];
};

#if SLOTS > 1
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slots);
} slots SEC(".maps");

/* A piece's number, or NO_SLOT: then the event is lost, and counted. */
static __always_inline int take_slot(void)
{
	__u32 zero = 0;
	struct slots *own = bpf_map_lookup_elem(&slots, &zero);
	int i;

	for (i = 0; own && i < SLOTS; i++)
		if (!__sync_val_compare_and_swap(&own->taken[i], 0, 1))
			return i;
	count_loss(LOSS_FILE);
	return NO_SLOT;
}

static __always_inline void leave_slot(int slot)
{
	__u32 zero = 0;
	struct slots *own = bpf_map_lookup_elem(&slots, &zero);

	if (own)
		*(volatile __u64 *)&own->taken[slot & (SLOTS - 1)] = 0;
}
#else
static __always_inline int take_slot(void)
{
	return 0;
}

static __always_inline void leave_slot(int slot)
{
}
#endif

#endif
