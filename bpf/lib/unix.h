/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * connect() to a Unix socket: the way to a container runtime, or to whatever else listens on this
 * host. Since 6.7 by a program on the container's own cgroup, which gets the kernel's copy of the
 * address; before that by the entry of the system call, which every connect() of the host pays, and
 * where another thread may still change the address.
 */
#ifndef HABITUS_UNIX_H
#define HABITUS_UNIX_H

#include "flow.h"
#include "owner.h"
#include "walk.h"

#ifndef AF_UNIX
#define AF_UNIX 1
#endif
#define PROTOCOL_UNIX 0
#define UNIX_PATH_BYTES 108
#define UNIX_ROOM 112

/*
 * The path is `told`, up to a zero byte, from the place that was walked; an abstract name begins
 * with one and is as long as the address says.
 */
struct unix_record {
	struct record head;
	__u64 repeats;
	__u32 walked_length; /* 0: the root of the mount namespace */
	__u32 walked_flags;  /* enum path_flag */
	__u32 told_length;
	__u32 reserved;
	char data[UNIX_ROOM + PATH_BYTES]; /* told, walked: only what is used is sent */
};

struct unix_call {
	__u64 busy; /* programs on a cgroup can be put aside for another process */
	struct unix_record record;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unix_call);
} unix_calls SEC(".maps");

/* Where the path begins; false for the root of the mount namespace. */
static __always_inline bool walk_start(struct unix_record *record, struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	bool relative = record->told_length && record->data[0] && record->data[0] != '/';
	struct walk *walk;
	__u32 zero = 0;

	record->walked_length = record->walked_flags = 0;
	walk = bpf_map_lookup_elem(&walks, &zero);
	if (!walk || !record->data[0])
		return false;
	walk_up(walk, relative ? &fs->pwd : &fs->root);
	record->walked_flags = walk->flags;
	record->walked_length = copy_walked(&record->data[UNIX_ROOM], walk);
	return relative || record->walked_length || walk->flags;
}

static __always_inline void unix_token(const struct unix_record *record, __u32 profile, struct token *token)
{
	struct sip sip;

	token_begin(&sip, TOKEN_FLOW, profile);
	token_comm(&sip, record->head.comm);
	sip_word(&sip, (__u64)FLOW_CONNECT << 32 | PROTOCOL_UNIX << 16);
	token_text(&sip, record->data, record->told_length, UNIX_ROOM);
	token_end(&sip, token);
}

/* Is the same call by the same process told within the second? `token` also serves as its name. */
static __always_inline bool is_unix_told(struct unix_record *record, const struct token *token)
{
	struct fold_key key = { record->head.cgroup, record->head.pid, 0, FLOW_CONNECT, PROTOCOL_UNIX, {} };
	struct fold fresh = { bpf_ktime_get_boot_ns(), 0 }, *fold;

	__builtin_memcpy(key.address, token, sizeof(*token));
	fold = bpf_map_lookup_elem(&folds, &key);
	if (fold && fresh.since - fold->since < FOLD_NS) {
		__sync_fetch_and_add(&fold->repeats, 1);
		return true;
	}
	record->repeats = fold ? fold->repeats : 0;
	bpf_map_update_elem(&folds, &key, &fresh, BPF_ANY);
	return false;
}

static __always_inline void send_unix(struct unix_record *record)
{
	__u32 walked = record->walked_length;

	if (walked > PATH_BYTES)
		walked = PATH_BYTES;
	if (bpf_ringbuf_output(&ring, record, offsetof(struct unix_record, data) + UNIX_ROOM + walked, 0))
		count_loss(LOSS_NETWORK);
}

/* The told part is in the record. */
static __always_inline void unix_connects(struct unix_record *record, struct task_struct *task, __u64 cgroup,
					  const struct whose *whose)
{
	__u64 revision = revision_of(whose->profile);
	struct token token;

	read_comm((__u64 *)record->head.comm, task);
	unix_token(record, whose->profile, &token);
	if (walk_start(record, task))
		revision = 0;
	if (is_known(revision, &token, LOSS_NETWORK))
		return;
	fill_head(&record->head, RECORD_UNIX, task, cgroup);
	if (is_unix_told(record, &token))
		return;
	if (revision)
		record->head.token = token;
	send_unix(record);
}

static __always_inline struct unix_call *claim_unix(void)
{
	__u32 zero = 0;
	struct unix_call *call = bpf_map_lookup_elem(&unix_calls, &zero);

	if (!call)
		return NULL;
	if (__sync_fetch_and_add(&call->busy, 1)) {
		__sync_fetch_and_sub(&call->busy, 1);
		count_loss(LOSS_NETWORK);
		return NULL;
	}
	__builtin_memset(call->record.data, 0, UNIX_ROOM);
	call->record.reserved = 0;
	return call;
}

/* `length` of the whole address, whose path lies at `path`, in the kernel or (`user`) not. */
static __always_inline int unix_call(const void *path, __u32 length, const bool user)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct unix_call *call;
	struct whose whose;
	__u32 bytes = length - 2;

	barrier_var(bytes); /* or clang checks another register than it passes on */
	if (length <= 2 || bytes > UNIX_PATH_BYTES || !wanted(task, cgroup, &whose))
		return 0;
	call = claim_unix();
	if (!call)
		return 0;
	if (user ? !bpf_probe_read_user(call->record.data, bytes, path)
		 : !bpf_probe_read_kernel(call->record.data, bytes, path)) {
		call->record.told_length = bytes;
		unix_connects(&call->record, task, cgroup, &whose);
	}
	__sync_fetch_and_sub(&call->busy, 1);
	return 0;
}

#endif
