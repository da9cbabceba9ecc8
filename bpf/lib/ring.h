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

/*
 * cgroup id * LOSS_CLASSES + class → how many records were lost of it. Where it is full, or has no
 * entry, nobody knows whose they were.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, __u64);
	__type(value, __u64);
} lost_of SEC(".maps");

/*
 * Processes and files are told by who does something to them: `current` is whose loss it is. Packets
 * are worked on in interrupts, and a list of processes is made by its reader, who is no container.
 * A function of its own, and a small one: kernels before 6.13 count its stack to that of its callers.
 */
static __noinline int lay_to_current(__u32 class)
{
	__u64 key = bpf_get_current_cgroup_id() * LOSS_CLASSES + class, none = 0;
	__u64 *count;

	bpf_map_update_elem(&lost_of, &key, &none, BPF_NOEXIST);
	count = bpf_map_lookup_elem(&lost_of, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

/* Whose it was goes first: what the sum says is in the parts by then. */
static __always_inline void count_loss(__u32 class)
{
	__u64 *lost;

	if (class == LOSS_PROCESS || class == LOSS_FILE)
		lay_to_current(class);
	lost = bpf_map_lookup_elem(&losses, &class);
	if (lost)
		__sync_fetch_and_add(lost, 1); /* by CPU, but a program at a function may be put aside here */
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
