/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the network sensor sends. habitus_collector/network reads the same layout, and a test
 * compares the two. Floods are folded here: the same process, peer and op is sent once a second.
 */
#ifndef HABITUS_FLOW_H
#define HABITUS_FLOW_H

#include "container.h"
#include "head.h"
#include "known.h"
#include "kernel_net.h"

#define FOLD_NS 1000000000ULL

enum network_kind {
	RECORD_FLOW = 32,
	RECORD_DNS = 33,
};

enum flow_op {
	FLOW_CONNECT = 1,
	FLOW_ACCEPT = 2,
	FLOW_LISTEN = 3,
	FLOW_SEND = 4,
	FLOW_RECEIVE = 5,
};

struct flow {
	__u8 address[16]; /* of the other end; IPv4 as ::ffff:a.b.c.d */
	__u16 port;       /* of the other end; both in host order */
	__u16 local_port; /* 0: none yet */
	__u8 op;
	__u8 protocol;
	__u16 reserved;
};

struct flow_record {
	struct record head;
	struct flow flow;
	__u64 repeats; /* how many like it were folded since the one before */
};

struct fold_key {
	__u64 cgroup;
	__u32 pid;
	__u16 port;
	__u8 op;
	__u8 protocol;
	__u8 address[16];
};

struct fold {
	__u64 since;
	__u64 repeats;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct fold_key);
	__type(value, struct fold);
} folds SEC(".maps");

static __always_inline void set_ip4(__u8 *address, __u32 ip)
{
	__u32 *words = (__u32 *)address;

	words[0] = words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = ip;
}

/* A client's port is chance: what comes in is one with what else comes in at the same own port. */
static __always_inline __u16 telling_port(const struct flow *flow)
{
	return flow->op == FLOW_ACCEPT || flow->op == FLOW_RECEIVE ? flow->local_port : flow->port;
}

/* Room for one record, or NULL: folded, or lost and counted. */
static __always_inline struct flow_record *begin(__u64 cgroup, __u32 pid, const struct flow *flow)
{
	struct fold_key key = { cgroup, pid, telling_port(flow), flow->op, flow->protocol, {} };
	struct fold fresh = { bpf_ktime_get_boot_ns(), 0 };
	struct flow_record *record;
	struct fold *fold;
	__u64 repeats = 0;

	__builtin_memcpy(key.address, flow->address, sizeof(key.address));
	fold = bpf_map_lookup_elem(&folds, &key);
	if (fold && fresh.since - fold->since < FOLD_NS) {
		__sync_fetch_and_add(&fold->repeats, 1);
		return NULL;
	}
	if (fold)
		repeats = fold->repeats;
	record = reserve(sizeof(*record), LOSS_NETWORK);
	if (!record)
		return NULL; /* not remembered: the next one tries again */
	bpf_map_update_elem(&folds, &key, &fresh, BPF_ANY);
	record->flow = *flow;
	record->repeats = repeats;
	return record;
}

/* Tells of a flow of the current process. */
static __always_inline void tell_current(struct task_struct *task, __u64 cgroup, const struct flow *flow)
{
	struct flow_record *record = begin(cgroup, task->tgid, flow);

	if (!record)
		return;
	fill_head(&record->head, RECORD_FLOW, task, cgroup);
	bpf_ringbuf_submit(record, 0);
}

/* Tells of a flow of a process that was remembered: `current` may be any other. */
static __always_inline void tell_of(const struct record *head, const struct flow *flow)
{
	struct flow_record *record = begin(head->cgroup, head->pid, flow);

	if (!record)
		return;
	record->head = *head;
	record->head.time = bpf_ktime_get_boot_ns();
	record->head.kind = RECORD_FLOW;
	bpf_ringbuf_submit(record, 0);
}

#endif
