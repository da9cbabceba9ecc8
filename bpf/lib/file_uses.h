/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What processes read and write of the files that they have open. The first read and the first
 * write are deeds like any other. Only where one of them was sent is the rest counted, by process
 * and descriptor; when the process is done with the descriptor, the sums are told if they are more
 * than what was said. So a known file costs one look-up a call, and nothing at its close.
 *
 * A descriptor says nothing of which file it is for long: an entry holds for one file and one
 * program. What ends it unseen (close-on-exec, a close through io_uring) is found at its next use,
 * or when the process ends.
 */
#ifndef HABITUS_FILE_USES_H
#define HABITUS_FILE_USES_H

#include "file_use_calls.h"
#include "file_settled.h"

#define USES_MAX 4096 /* all are looked through when a process ends that has some left */

const struct file_total_record *layout_total __attribute__((unused));

struct use_key {
	__u32 process;
	__u32 fd;
};

enum way {
	WAY_READ = 0,
	WAY_WRITTEN = 1,
	WAYS = 2,
};

struct use {
	__u64 file;
	__u64 dentry;
	__u64 inode;
	__u32 program; /* self_exec_id */
	__u32 profile;
	__u64 cgroup;
	__u64 first; /* time of the first record */
	__u64 bytes[WAYS];
	__u32 told[WAYS]; /* 1: a record was sent … */
	__u32 more[WAYS]; /* … and since then came more */
	struct token token[WAYS];
	char comm[TASK_COMM_LEN];
};

/* All of it is there from the start, so an insertion fails only when it is full: then no sum is told. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, USES_MAX);
	__type(key, struct use_key);
	__type(value, struct use);
} uses SEC(".maps");

/* Larger than the stack has room for. */
struct tally {
	struct use use;
	struct file_total_record record;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

/* Entries in `uses`: while there are none, a close costs one load. A section, and so a cache line, of its own. */
__u64 uses_open SEC(".bss.uses");

static __always_inline void fill_total(struct file_total_record *record, const struct use *use, struct task_struct *task)
{
	__u64 revision = revision_of(use->profile);
	bool known_read = known_by(revision, &use->token[WAY_READ]);
	bool known_written = known_by(revision, &use->token[WAY_WRITTEN]);

	fill_head(&record->head, RECORD_FILE_TOTAL, task, use->cgroup);
	__builtin_memcpy(record->head.comm, use->comm, sizeof(use->comm));
	record->first = use->first;
	record->read = use->bytes[WAY_READ] && !known_read ? use->bytes[WAY_READ] : FILE_UNTOLD;
	record->written = use->bytes[WAY_WRITTEN] && !known_written ? use->bytes[WAY_WRITTEN] : FILE_UNTOLD;
}

static __always_inline bool is_more(const struct file_total_record *record, const struct use *use)
{
	return (use->more[WAY_READ] && record->read != FILE_UNTOLD) ||
	       (use->more[WAY_WRITTEN] && record->written != FILE_UNTOLD);
}

static __always_inline void take_away(__u32 slot, const struct use_key *key)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct arrival *arrival = arrival_of(task->group_leader);
	struct use *use = bpf_map_lookup_elem(&uses, key);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &slot);
	bool more;

	if (!use || !tally)
		return;
	fill_total(&tally->record, use, task); /* while the entry is there */
	more = is_more(&tally->record, use);
	if (bpf_map_delete_elem(&uses, key))
		return; /* another thread was faster */
	__sync_fetch_and_add(&uses_open, -1);
	if (arrival)
		__sync_fetch_and_add(&arrival->uses, -1);
	if (more && bpf_ringbuf_output(&ring, &tally->record, sizeof(tally->record), 0))
		count_loss(LOSS_FILE);
}

/*
 * Takes the entry of a descriptor of the current process away, and tells the sums. A global
 * function, as `weigh`: in every caller it would lie on a stack that 6.1 finds too large.
 */
__noinline int end_use(__u32 process, __u32 fd)
{
	struct use_key key = { process, fd };
	int slot = take_slot();

	if (slot == NO_SLOT)
		return 0; /* counted; the entry goes when the process does */
	take_away(slot, &key);
	leave_slot(slot);
	return 0;
}

static long end_each(void *map, struct use_key *key, struct use *use, struct ended *ended)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (key->process == (__u32)task->tgid && key->fd >= ended->first && key->fd <= ended->last)
		end_use(key->process, key->fd);
	return 0;
}

static __always_inline bool has_uses(struct task_struct *task)
{
	struct arrival *arrival = *(volatile __u64 *)&uses_open ? arrival_of(task->group_leader) : NULL;

	return arrival && arrival->uses;
}

/* A call that ends the use of descriptors. */
static __always_inline int on_end(const struct arguments *is, struct task_struct *task)
{
	struct ended ended = ended_by(is);

	if (ended.last < ended.first || !has_uses(task))
		return 0;
	if (ended.first != ended.last) {
		bpf_for_each_map_elem(&uses, end_each, &ended, 0);
		return 0;
	}
	return end_use(task->tgid, ended.first);
}

/* The last thread of a process ends. */
static __always_inline int user_is_gone(struct task_struct *task)
{
	struct ended all = { 0, ~0u };

	if (has_uses(task) && !task->signal->live.counter)
		bpf_for_each_map_elem(&uses, end_each, &all, 0);
	return 0;
}

static __always_inline bool is_of(const struct use *use, const struct scratch *scratch, struct task_struct *task)
{
	return use->file == scratch->file && use->dentry == scratch->deed.place[0] &&
	       use->inode == scratch->now.identity.inode && use->program == task->self_exec_id;
}

/* The entry of this descriptor; one of a file that it was before is ended. */
static __always_inline struct use *use_of(const struct use_key *key, const struct scratch *scratch,
					  struct task_struct *task)
{
	struct use *use = bpf_map_lookup_elem(&uses, key);

	if (!use || is_of(use, scratch, task))
		return use;
	end_use(key->process, key->fd);
	return NULL;
}

/* A record was sent: from now on the rest is counted. */
static __always_inline void begin_use(const struct use_key *key, struct scratch *scratch, struct task_struct *task,
				      enum way way)
{
	struct arrival *arrival = mark_arrived(task->group_leader);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &scratch->slot);
	struct use *use = &tally->use;

	if (!arrival || !tally)
		return;
	*use = (struct use){ .file = scratch->file, .dentry = scratch->deed.place[0] };
	use->inode = scratch->now.identity.inode;
	use->program = task->self_exec_id;
	use->profile = scratch->now.profile;
	use->cgroup = scratch->deed.cgroup;
	use->first = scratch->record.head.time;
	use->bytes[way] = scratch->call.bytes;
	use->told[way] = 1;
	use->token[way] = scratch->now.token;
	__builtin_memcpy(use->comm, scratch->deed.comm, sizeof(use->comm));
	if (bpf_map_update_elem(&uses, key, use, BPF_NOEXIST))
		return;
	__sync_fetch_and_add(&uses_open, 1);
	__sync_fetch_and_add(&arrival->uses, 1);
}

static __always_inline void add_bytes(struct use *use, struct scratch *scratch, enum way way, bool more)
{
	__sync_fetch_and_add(&use->bytes[way], scratch->call.bytes);
	if (more)
		use->more[way] = 1;
}

/* The same was decided already: the descriptor was told of, or the deed is held back. */
static __always_inline bool is_old(struct use *use, struct decision *before, enum way way)
{
	return (use && use->told[way]) || (before && is_repeat(before));
}

static __always_inline int on_way(struct scratch *scratch, struct task_struct *task, enum way way)
{
	struct use_key key = { task->tgid, scratch->call.at[0].fd };
	struct decision *before = bpf_map_lookup_elem(&deeds, &scratch->deed);
	bool sent = false;
	struct use *use;

	if (before && !holds(before, &scratch->now))
		before = NULL;
	if (before && before->known) {
		count_passed(LOSS_FILE);
		return 0;
	}
	if (!has_arrived(task))
		return 0;
	use = use_of(&key, scratch, task);
	if (!is_old(use, before, way))
		sent = weigh_seen(scratch);
	if (!use) {
		if (sent)
			begin_use(&key, scratch, task, way);
		return 0;
	}
	add_bytes(use, scratch, way, !sent);
	if (sent) {
		use->told[way] = 1;
		use->token[way] = scratch->now.token;
	}
	return 0;
}

/*
 * `bytes` were read of, or written to, the descriptor `fd` of the current process. Pipes, sockets
 * and terminals are no files in this sense. A global function, as `weigh`.
 */
__noinline int use_file(__u64 cgroup, __u32 profile, int fd, __u32 op, __u64 bytes)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = file_of(task, fd);
	struct scratch *scratch;

	if (!file || !keeps_bytes(file))
		return 0;
	scratch = begin(cgroup, profile);
	if (!scratch)
		return 0;
	one(&scratch->call, op, 0, fd, 0);
	scratch->call.bytes = bytes;
	name_deed(scratch);
	scratch->file = (__u64)file;
	if (see_file(scratch->slot))
		on_way(scratch, task, op == FILE_OP_READ ? WAY_READ : WAY_WRITTEN);
	finish(scratch);
	return 0;
}

/* A call that read or wrote, by one who is watched. */
static __always_inline int on_use(const struct arguments *is, __u64 bytes, __u64 cgroup, __u32 profile)
{
	struct passage passage = passage_of(is);

	if (passage.from != NO_FD && !is_settled(cgroup, profile, passage.from, FILE_OP_READ, 0))
		use_file(cgroup, profile, passage.from, FILE_OP_READ, bytes);
	if (passage.to != NO_FD && !is_settled(cgroup, profile, passage.to, FILE_OP_WRITE, 0))
		use_file(cgroup, profile, passage.to, FILE_OP_WRITE, bytes);
	return 0;
}

#endif
