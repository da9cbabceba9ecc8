/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a process runs, as the record of an exec. A program that has just been started has not run
 * yet: no thread of it can change its arguments. That of a process that was running before us can
 * be read, too (`other`, from a sleepable program), and then says what its memory says now.
 */
#ifndef HABITUS_PROGRAM_H
#define HABITUS_PROGRAM_H

#include "desk.h"
#include "head.h"
#include "known.h"
#include "origin.h"

/* `length`, which is never more: the verifier forgets what a number was bounded by. */
static __always_inline __u32 at_most(__u32 length, const __u32 limit)
{
	barrier_var(length); /* or clang checks one register and uses another */
	return length > limit ? 0 : length;
}

/*
 * Names the ancestors inside the container, from the parent on. This and the two that follow are
 * global functions and take addresses as numbers: the verifier looks at each once, not on every
 * way to it.
 */
__noinline int name_ancestors(__u64 parent, __u64 cgroup)
{
	struct task_struct *ancestor = (struct task_struct *)parent;
	struct exec_record *record;
	struct desk desk;
	int i;

	if (!take_desk(&desk))
		return 0; /* never: for the verifier */
	record = &desk.program->record;
	for (i = 0; i < ANCESTORS_MAX; i++) {
		/* Process 0 is its own parent. */
		if (!BPF_CORE_READ(ancestor, tgid) || !same_container(cgroup_of(ancestor), cgroup))
			break;
		bpf_probe_read_kernel(record->ancestors[i], TASK_COMM_LEN, &ancestor->comm);
		ancestor = parent_of(ancestor);
	}
	record->ancestor_count = i;
	return 0;
}

/* Appends a path to `data`; returns its length. The flags are those of the walk. */
__noinline int add_walked(__u64 path, __u32 used)
{
	struct desk desk;

	if (!take_desk(&desk))
		return 0; /* never: for the verifier */
	walk_up(desk.walk, (const struct path *)path);
	used = at_most(used, EXEC_DATA_BYTES - PATH_BYTES);
	return copy_walked(&desk.program->record.data[used], desk.walk);
}

static __always_inline long read_memory(void *to, __u32 length, unsigned long from, struct task_struct *task,
					const bool other)
{
	if (other)
		return bpf_copy_from_user_task(to, length, (void *)from, task, 0);
	return bpf_probe_read_user(to, length, (void *)from);
}

static __always_inline __u32 read_argv(struct exec_record *record, __u32 used, struct task_struct *task,
				       const bool other)
{
	unsigned long start = task->mm->arg_start;
	unsigned long length = task->mm->arg_end - start;

	record->argv_flags = 0;
	if (length > settings.max_argv) {
		length = settings.max_argv;
		record->argv_flags = ARGV_CUT;
	}
	if (length > ARGV_BYTES)
		length = ARGV_BYTES;
	used = at_most(used, PATH_BYTES);
	if (read_memory(&record->data[used], length, start, task, other)) {
		record->argv_flags |= ARGV_UNREAD;
		return 0;
	}
	return length;
}

/* Appends the value that begins at `at`, and its end; returns how many bytes that are. */
static __always_inline __u32 add_value(const struct desk *desk, __u32 used, __u32 at)
{
	struct exec_record *record = &desk->program->record;
	long length;

	at = at_most(at, ENV_BEFORE + ENV_BYTES);
	used = at_most(used, PATH_BYTES + ARGV_BYTES + PRELOAD_BYTES);
	length = bpf_probe_read_kernel_str(&record->data[used], PRELOAD_BYTES, &desk->environment->text[at]);
	if (length < 0 || length > PRELOAD_BYTES)
		return 0;
	if (length == PRELOAD_BYTES)
		record->preload_flags |= PRELOAD_CUT;
	return length;
}

/* Appends what LD_PRELOAD is in the `length` bytes of environment; returns how many bytes that are. */
__noinline int add_preload(__u32 length, __u32 used)
{
	struct env_search search = {};
	struct exec_record *record;
	struct desk desk;
	__u32 added;

	if (!take_desk(&desk))
		return 0; /* never: for the verifier */
	length = at_most(length, ENV_BYTES);
	record = &desk.program->record;
	search.in = desk.environment;
	find_preload(&search, length);
	if (!search.first)
		return 0;
	record->preload_flags = PRELOAD_SET;
	added = add_value(&desk, used, search.first);
	if (search.last != search.first)
		added += add_value(&desk, used + added, search.last);
	return added;
}

static __always_inline __u32 read_preload(const struct desk *desk, __u32 used, struct task_struct *task,
					  const bool other)
{
	unsigned long start = task->mm->env_start;
	unsigned long length = task->mm->env_end - start;
	struct exec_record *record = &desk->program->record;

	record->preload_flags = 0;
	if (length > ENV_BYTES) {
		length = ENV_BYTES;
		record->preload_flags = PRELOAD_BEYOND; /* unless it is found */
	}
	if (read_memory(&desk->environment->text[ENV_BEFORE], length, start, task, other)) {
		record->preload_flags = PRELOAD_UNREAD;
		return 0;
	}
	return at_most(add_preload(length, used), 2 * PRELOAD_BYTES);
}

static __always_inline bool is_whole(const struct exec_record *record)
{
	return !(record->exe_flags & PATH_CUT) && !record->argv_flags &&
	       !(record->preload_flags & (PRELOAD_CUT | PRELOAD_UNREAD));
}

/* The field's type is of no size here (kernel.h): its place is looked up, and not its type. */
static __always_inline __u64 effective_set(struct task_struct *task)
{
	__u64 at = bpf_core_field_offset(struct cred, cap_effective);

	barrier_var(at); /* or clang makes it a part of the load, whose size is compared */
	return *(const __u64 *)((const void *)task->cred + at);
}

/*
 * Fills in all that a verdict depends on, and the token of it. A profile asks neither for the
 * preload nor for capabilities; they are in the token, so that a change of them is seen again.
 * Returns how many bytes of `data` are used.
 */
static __always_inline __u32 fill_habit(const struct desk *desk, struct task_struct *task, __u32 profile, const bool other)
{
	struct exec_record *record = &desk->program->record;
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);
	struct hashing hashing = { .of = desk->program };
	__u32 used, added;

	record->capabilities = effective_set(task);
	used = at_most(add_walked((__u64)&exe->f_path, 0), PATH_BYTES);
	record->exe_length = used;
	record->exe_flags = desk->walk->flags;
	record->exe_class = class_of(exe, record->exe_flags);
	token_begin(&hashing.sip, TOKEN_EXEC, profile);
	token_comm(&hashing.sip, record->head.comm);
	token_comm(&hashing.sip, record->head.parent);
	sip_word(&hashing.sip, record->capabilities);
	sip_word(&hashing.sip, (__u64)record->exe_flags << 32 | record->exe_class);

	hash_text(&hashing, 0, used);
	added = record->argv_length = read_argv(record, used, task, other);
	hash_text(&hashing, used, added);
	used += added;
	added = record->preload_length = read_preload(desk, used, task, other);
	sip_word(&hashing.sip, record->preload_flags);
	hash_text(&hashing, used, added);
	if (is_whole(record))
		token_end(&hashing.sip, &record->head.token);
	return used + added;
}

/* Fills in the rest; returns how many bytes of `data` are used. */
static __always_inline __u32 fill_rest(const struct desk *desk, struct task_struct *task, __u64 cgroup, __u32 used)
{
	struct exec_record *record = &desk->program->record;
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
	struct task_struct *parent = parent_of(task);
	__u32 length;

	record->parent_started = record->head.ppid ? BPF_CORE_READ(parent, start_boottime) : 0;
	name_ancestors((__u64)parent, cgroup);
	__builtin_memset(record->tty, 0, sizeof(record->tty));
	if (tty)
		bpf_probe_read_kernel_str(record->tty, sizeof(record->tty), &tty->name);
	length = at_most(add_walked((__u64)&fs->pwd, used), PATH_BYTES);
	record->cwd_flags = desk->walk->flags;
	record->cwd_length = length;
	return used + length;
}

/* Tells of the program that `task` runs, unless it is known. */
static __always_inline void tell_program(const struct desk *desk, struct task_struct *task, __u64 cgroup,
					 const struct target *target, struct arrival *arrival, const bool other)
{
	struct exec_record *record = &desk->program->record;
	struct mm_struct *mm = other ? BPF_CORE_READ(task, mm) : NULL;
	__u32 profile = target->profile;
	__u64 revision = revision_of(profile);
	bool is_usual;
	__u32 used;

	fill_head(&record->head, RECORD_EXEC, task, cgroup);
	used = fill_habit(desk, task, profile, other);
	if (!revision) /* nobody can answer it yet */
		record->head.token = (struct token){};
	is_usual = is_known(revision, &record->head.token, LOSS_PROCESS);
	/* Another may have ended meanwhile, and its room may be that of a new one. */
	if (arrival && (!other || arrival->told == telling(mm, target->epoch))) {
		arrival->program = record->head.token;
		arrival->news = revision && !is_usual;
	}
	if (is_usual)
		return;
	record->running = other;
	record->reserved = 0;
	if (used > EXEC_DATA_BYTES - PATH_BYTES)
		return; /* never: for the verifier */
	used = fill_rest(desk, task, cgroup, used);
	if (used > EXEC_DATA_BYTES)
		return; /* never */
	if (other && BPF_CORE_READ(task, mm) != mm) {
		count_loss(LOSS_PROCESS); /* it ended, or began another program, while we read */
		return;
	}
	if (bpf_ringbuf_output(&ring, record, offsetof(struct exec_record, data) + used, 0))
		count_loss(LOSS_PROCESS);
}

#endif
