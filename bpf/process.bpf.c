/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes of containers: exec, fork, exit. Typed raw tracepoints of the scheduler: they carry
 * the kernel's own objects, load wherever BTF does, and cost nothing between events.
 */
#include "lib/common.h"
#include "lib/ring.h"
#include "lib/container.h"
#include "lib/head.h"
#include "lib/inside.h"
#include "lib/known.h"
#include "lib/walk.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Larger than the stack; a program never interrupts itself on a CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_record);
} exec_scratch SEC(".maps");

/* Keeps the layouts in the object's BTF, where the test of records.py reads them. */
const struct new_cgroup_record *layout_new_cgroup __attribute__((unused));
const struct fork_record *layout_fork __attribute__((unused));
const struct exit_record *layout_exit __attribute__((unused));
const enum record_kind *layout_kind __attribute__((unused));
const enum loss_class *layout_loss __attribute__((unused));
const enum path_flag *layout_path __attribute__((unused));
const enum argv_flag *layout_argv __attribute__((unused));

/* Names the ancestors inside the container and returns the nearest process outside, or NULL. */
static __always_inline struct task_struct *climb(struct exec_record *record, struct task_struct *task, __u64 cgroup)
{
	struct task_struct *ancestor = parent_of(task);
	int i;

	for (i = 0; i < ANCESTORS_MAX; i++) {
		/* Process 0 is its own parent. */
		if (!BPF_CORE_READ(ancestor, tgid) || !same_container(cgroup_of(ancestor), cgroup))
			break;
		bpf_probe_read_kernel(record->ancestors[i], TASK_COMM_LEN, &ancestor->comm);
		ancestor = parent_of(ancestor);
	}
	record->ancestor_count = i;
	return i < ANCESTORS_MAX ? ancestor : NULL;
}

/* The new program's arguments: it has not run yet, so no thread of it can change them. */
static __always_inline __u32 read_argv(struct exec_record *record, char *to, struct task_struct *task)
{
	unsigned long start = BPF_CORE_READ(task, mm, arg_start);
	unsigned long length = BPF_CORE_READ(task, mm, arg_end) - start;

	record->argv_flags = 0;
	if (length > settings.max_argv) {
		length = settings.max_argv;
		record->argv_flags = ARGV_CUT;
	}
	if (length > ARGV_BYTES)
		length = ARGV_BYTES;
	if (bpf_probe_read_user(to, length, (void *)start)) {
		record->argv_flags |= ARGV_UNREAD;
		return 0;
	}
	return length;
}

/* Fills `data` with exe, cwd and argv; returns how many bytes of it are used. */
static __always_inline __u32 fill_data(struct exec_record *record, struct walk *walk, struct task_struct *task)
{
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	__u32 used;

	walk_up(walk, &exe->f_path);
	record->exe_flags = walk->flags;
	used = record->exe_length = copy_walked(record->data, walk);

	walk_up(walk, &fs->pwd);
	record->cwd_flags = walk->flags;
	record->cwd_length = copy_walked(&record->data[used], walk);
	used += record->cwd_length;

	record->argv_length = read_argv(record, &record->data[used], task);
	return used + record->argv_length;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct task_struct *outside;
	struct exec_record *record;
	struct walk *walk;
	__u32 zero = 0, used, profile;

	if (!watched(task, cgroup, &profile))
		return 0;
	record = bpf_map_lookup_elem(&exec_scratch, &zero);
	walk = bpf_map_lookup_elem(&walks, &zero);
	if (!record || !walk)
		return 0;
	outside = climb(record, task, cgroup);
	if (!has_arrived(task)) {
		if (outside && same_mounts(task, outside))
			return 0;
		mark_arrived(task);
	}
	fill_head(&record->head, RECORD_EXEC, task, cgroup);
	used = fill_data(record, walk, task);
	if (used > sizeof(record->data))
		return 0; /* never: for the verifier */
	if (bpf_ringbuf_output(&ring, record, offsetof(struct exec_record, data) + used, 0))
		count_loss(LOSS_PROCESS);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u64 cgroup = cgroup_of(child);
	struct fork_record *record;
	__u32 profile;

	if (!watched(child, cgroup, &profile) || !has_arrived(parent))
		return 0;
	if (!same_container(cgroup, bpf_get_current_cgroup_id()))
		return 0; /* a runtime puts a child into a container: it has not arrived */
	mark_arrived(child);
	if (child->pid != child->tgid)
		return 0; /* a thread is no process */
	record = reserve(sizeof(*record), LOSS_PROCESS);
	if (!record)
		return 0;
	fill_head(&record->head, RECORD_FORK, child, cgroup);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct exit_record *record;
	__u32 status, profile;

	if (!watched(task, cgroup, &profile) || !has_arrived(task))
		return 0;
	if (task->signal->live.counter)
		return 0; /* other threads of the process go on */
	record = reserve(sizeof(*record), LOSS_PROCESS);
	if (!record)
		return 0;
	status = task->exit_code;
	fill_head(&record->head, RECORD_EXIT, task, cgroup);
	record->code = (status >> 8) & 0xff;
	record->signal = status & 0x7f;
	bpf_ringbuf_submit(record, 0);
	return 0;
}
