/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A sensor's own ring buffer, and the count of what it could not take. One each: a storm of files
 * leaves room for an exec (docs/measured/collector.md has what it costs).
 */
#ifndef HABITUS_RING_H
#define HABITUS_RING_H

#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSS_CLASSES);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

static __always_inline void count_loss(__u32 class)
{
	__u64 *lost = bpf_map_lookup_elem(&losses, &class);

	if (lost)
		*lost += 1;
}

/* Room for one record of a fixed size, or NULL, and then the loss is counted. */
static __always_inline void *reserve(__u64 size, __u32 class)
{
	void *room = bpf_ringbuf_reserve(&ring, size, 0);

	if (!room)
		count_loss(class);
	return room;
}

#endif
