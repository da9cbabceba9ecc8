/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Is a deed sent, or held back as known or as a repeat? What is weighed lies in `file_scratch`. */
#ifndef HABITUS_FILE_WEIGH_H
#define HABITUS_FILE_WEIGH_H

#include "file_send.h"

/*
 * Puts into `file_scratch` what every deed has; 0: never. A global function, as those below: the
 * verifier looks at each once, and gives back what it needs of the stack, which is short on 6.1.
 */
__noinline int begin_deed(__u32 slot, __u64 cgroup, __u32 profile)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *scratch = bpf_map_lookup_elem(&file_scratch, &slot);

	if (!scratch)
		return 0;
	scratch->slot = slot;
	scratch->now = (struct decision){ .profile = profile, .revision = revision_of(profile), .moves = moves_now() };
	scratch->deed = (struct deed){ .cgroup = cgroup };
	__builtin_memcpy(scratch->deed.comm, task->comm, sizeof(scratch->deed.comm));
	return 1;
}

/* A piece of `file_scratch` of one's own, or NULL; to be given back by `finish`. */
static __always_inline struct scratch *begin(__u64 cgroup, __u32 profile)
{
	int slot = take_slot();

	if (slot == NO_SLOT || !begin_deed(slot, cgroup, profile))
		return NULL;
	return bpf_map_lookup_elem(&file_scratch, &slot);
}

static __always_inline void finish(const struct scratch *scratch)
{
	leave_slot(scratch->slot);
}

static __always_inline void name_deed(struct scratch *scratch)
{
	scratch->deed.op = scratch->call.op;
	scratch->deed.flags = scratch->call.flags;
	scratch->deed.value = scratch->call.value;
}

/*
 * The deed is not held back by what was decided before: look closer, and send it. 1: it was sent.
 * What it works on is in no stack.
 */
__noinline int weigh(__u32 slot, int names)
{
	struct scratch *scratch = bpf_map_lookup_elem(&file_scratch, &slot);
	struct file_record *record;
	struct decision *before, *now;
	struct deed *deed;
	__u32 used;
	bool whole;

	if (!scratch)
		return 0; /* never: for the verifier */
	record = &scratch->record;
	deed = &scratch->deed;
	now = &scratch->now;
	__builtin_memcpy(record->head.comm, deed->comm, sizeof(deed->comm));
	record->op = deed->op;
	record->flags = deed->flags;
	record->value = deed->value;
	used = add_places(slot, scratch->call.two);
	whole = add_token(slot, now->profile, used);
	now->token = record->head.token;
	if (whole && is_known(now->revision, &now->token, LOSS_FILE)) {
		if (!names) /* names are read anew each time */
			decide_known(deed, now);
		return 0;
	}
	if (names) {
		deed->place[0] = now->token.one;
		deed->place[1] = now->token.two;
	}
	record->repeats = 0;
	record->reserved = 0;
	before = bpf_map_lookup_elem(&deeds, deed);
	if (before) {
		if (is_repeat_by_token(before, now))
			return 0;
		record->repeats = before->repeats;
	}
	if (whole || !names)
		decide_sent(deed, now);
	if (scratch->call.bytes)
		record->value = scratch->call.bytes; /* evidence, and no part of the token */
	if (send(record, deed, bpf_get_current_task_btf(), used))
		return 1;
	count_loss(LOSS_FILE);
	forget_deed(deed); /* the next one is sent */
	return 0;
}

/* Weighs a file or a place that was seen. 1: it was sent. */
static __always_inline int weigh_seen(struct scratch *scratch)
{
	scratch->record.places[0].told_length = 0;
	scratch->record.places[0].told_flags = 0;
	return weigh(scratch->slot, false);
}

/* Weighs names: nothing that was decided of a place holds for them. 1: it was sent. */
static __always_inline int weigh_names(struct scratch *scratch)
{
	scratch->now.moves = (struct moves){};
	return weigh(scratch->slot, true);
}

/* A deed to a file or a place that was seen, and that may have been decided before. */
static __always_inline int on_seen(struct scratch *scratch, struct task_struct *task)
{
	struct decision *before = bpf_map_lookup_elem(&deeds, &scratch->deed);

	if (before && holds(before, &scratch->now)) {
		if (before->known) {
			count_passed(LOSS_FILE);
			return 0;
		}
		if (is_repeat(before))
			return 0;
	}
	return has_arrived(task) ? weigh_seen(scratch) : 0;
}

#endif
