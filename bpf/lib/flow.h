/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way of a flow to user space. Floods are folded here: the same process, peer and op is sent
 * once a second.
 */
#ifndef HABITUS_FLOW_H
#define HABITUS_FLOW_H

#include "container.h"
#include "flow_token.h"
#include "head.h"

#define FOLD_NS 1000000000ULL

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

/* As plain loads: `address` lies in an object that the verifier knows. */
static __always_inline void set_ip6(__u8 *address, const struct in6_addr *from)
{
	__u64 *words = (__u64 *)address;

	words[0] = *(const __u64 *)&from->in6_u.u6_addr8[0];
	words[1] = *(const __u64 *)&from->in6_u.u6_addr8[8];
}

/*
 * Room for one record, or NULL: folded, or lost and counted. A client's port is chance: what comes
 * in is one with what else comes in at the same own port. `whole`: it is never folded.
 */
static __always_inline struct flow_record *begin(const struct record *head, const struct flow *flow, bool whole)
{
	__u8 op = flow->op == FLOW_CLOSE ? flow->began : flow->op;
	struct fold_key key = {
		head->cgroup, head->pid, comes_in(op) ? flow->local_port : flow->port, flow->op | flow->outcome << 4,
		flow->protocol, {},
	};
	struct fold fresh = { bpf_ktime_get_boot_ns(), 0 };
	struct flow_record *record;
	struct fold *fold;
	__u64 repeats = 0;

	__builtin_memcpy(key.address, flow->address, sizeof(key.address));
	fold = bpf_map_lookup_elem(&folds, &key);
	if (fold && !whole && fresh.since - fold->since < FOLD_NS) {
		__sync_fetch_and_add(&fold->repeats, 1);
		return NULL;
	}
	if (fold)
		repeats = fold->repeats;
	record = reserve(sizeof(*record), LOSS_NETWORK);
	if (!record)
		return NULL; /* not remembered: the next one tries again */
	bpf_map_update_elem(&folds, &key, &fresh, BPF_ANY);
	record->head = *head;
	record->head.time = fresh.since;
	record->head.kind = RECORD_FLOW;
	record->flow = *flow;
	record->repeats = repeats;
	record->name = record->peer = 0;
	record->totals = (struct totals){};
	return record;
}

/* Tells of a flow of the process in `head`, which is not always `current`. */
static __always_inline void tell(const struct record *head, const struct flow *flow, __u64 name, __u64 peer)
{
	struct flow_record *record = begin(head, flow, false);

	if (!record)
		return;
	record->name = name;
	record->peer = peer;
	bpf_ringbuf_submit(record, 0);
}

#endif
