/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writes one record of the size of a file event, again and again: into one ring for all, or its own. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 20);
} first SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 20);
} second SEC(".maps");

struct record {
	__u64 words[24];
};

static __always_inline int put(void *ring)
{
	struct record record = {};

	bpf_ringbuf_output(ring, &record, sizeof(record), BPF_RB_NO_WAKEUP);
	return XDP_PASS;
}

SEC("xdp")
int into_first(struct xdp_md *ctx)
{
	return put(&first);
}

SEC("xdp")
int into_second(struct xdp_md *ctx)
{
	return put(&second);
}
