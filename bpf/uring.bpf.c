/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What containers ask of files through io_uring: no system call of its own tells of it. Told when
 * the ring takes the request, so whether or not it succeeds. The kernel has copied the names by
 * then, and no thread can change them any more. TCP and UDP need nothing here: the network
 * sensor's hooks lie below both ways.
 */
#include "lib/file_send.h"
#include "lib/uring_call.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum uring_kind {
	RECORD_URING = 48,
};

const enum uring_kind *layout_uring __attribute__((unused));

static __always_inline bool see_request(struct scratch *scratch, const struct named *at, struct task_struct *task, int i)
{
	struct place *place = &scratch->record.places[i];
	long length = bpf_probe_read_kernel_str(scratch->told[i], PATH_BYTES, at->name);

	place->told_flags = length > 0 ? 0 : TOLD_UNREAD;
	place->told_length = length > 0 ? (length - 1) & (PATH_BYTES - 1) : 0;
	scratch->from[i] = start_of(task, at->fd, scratch->told[i][0]);
	return scratch->from[i].dentry != NULL;
}

/* The same within a second is sent once. */
static __always_inline bool was_sent(struct file_record *record, struct deed *deed, __u64 revision)
{
	struct decision now = { .revision = revision }, *before;

	deed->place[0] = record->head.token.one;
	deed->place[1] = record->head.token.two;
	deed->op = record->op;
	deed->flags = record->flags;
	__builtin_memcpy(deed->comm, record->head.comm, sizeof(deed->comm));
	before = bpf_map_lookup_elem(&deeds, deed);
	if (before && before->revision == revision && is_repeat(before))
		return true;
	record->repeats = before ? before->repeats : 0;
	decide_sent(deed, &now);
	return false;
}

static __always_inline int tell(struct scratch *scratch, struct call *call, struct task_struct *task, __u64 cgroup,
				__u32 profile)
{
	struct file_record *record = &scratch->record;
	struct deed deed = { .cgroup = cgroup };
	__u64 revision = revision_of(profile);
	__u32 used;
	bool whole;

	fill_head(&record->head, RECORD_URING, task, cgroup);
	record->op = call->op;
	record->flags = call->flags;
	record->repeats = 0;
	record->reserved = 0;
	record->value = 0;
	used = add_places(scratch->slot, call->two);
	whole = add_token(scratch->slot, profile, used);
	if (whole && is_known(revision, &record->head.token, LOSS_FILE))
		return 0;
	if (whole && was_sent(record, &deed, revision))
		return 0;
	if (!revision) /* nobody can answer it yet */
		record->head.token = (struct token){};
	if (used > sizeof(record->data))
		return 0; /* never: for the verifier */
	if (bpf_ringbuf_output(&ring, record, offsetof(struct file_record, data) + used, 0)) {
		count_loss(LOSS_FILE);
		forget_deed(&deed); /* the next one is sent */
	}
	return 0;
}

/* A thread that polls the ring is of the same process, but has a name of the kernel's. */
static __always_inline struct task_struct *submitter(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (BPF_CORE_READ((struct task_struct___flags *)task, flags) & PF_IO_WORKER)
		return task->group_leader;
	return task;
}

static __always_inline int on_request(struct io_kiocb *request)
{
	struct task_struct *task;
	struct scratch *scratch;
	__u32 zero = 0, profile;
	struct call call;
	__u64 cgroup;

	if (!describe_request(&call, request))
		return 0;
	task = submitter();
	cgroup = cgroup_of(task);
	if (!watched(task, cgroup, &profile) || !has_arrived(task))
		return 0;
	scratch = bpf_map_lookup_elem(&file_scratch, &zero);
	if (!scratch || !see_request(scratch, &call.at[0], task, 0))
		return 0;
	scratch->record.places[1] = (struct place){};
	if (call.two && !see_request(scratch, &call.at[1], task, 1))
		return 0;
	return tell(scratch, &call, task, cgroup, profile);
}

/* One tracepoint by two names: which of them this kernel has is looked up before loading. */
SEC("?tp_btf/io_uring_submit_req")
int BPF_PROG(on_submit_req, struct io_kiocb *request)
{
	return on_request(request);
}

SEC("?tp_btf/io_uring_submit_sqe") /* before 6.4 */
int BPF_PROG(on_submit_sqe, struct io_kiocb *request)
{
	return on_request(request);
}
