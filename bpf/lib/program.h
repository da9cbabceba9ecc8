/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a process runs, as the record of an exec. A program that has just been started has not run
 * yet: no thread of it can change its arguments. That of a process that was running before us can
 * be read, too (`other`, from a sleepable program), and then says what its memory says now.
 */
#ifndef HABITUS_PROGRAM_H
#define HABITUS_PROGRAM_H

#include "environment.h"
#include "head.h"
#include "known.h"
#include "origin.h"

#define HASH_STEP 32

/* Larger than the stack. A program never interrupts itself on a CPU, and lists run one at a time. */
struct program {
	struct exec_record record;
	char room[2 * HASH_STEP]; /* a text is hashed in steps, with zeros after its end */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct program);
} programs SEC(".maps");

/* Room to work in, all of it in maps. */
struct desk {
	struct program *program;
	struct environment *environment;
	struct walk *walk;
};

static __always_inline bool take_desk(struct desk *desk)
{
	__u32 zero = 0;

	desk->program = bpf_map_lookup_elem(&programs, &zero);
	desk->environment = bpf_map_lookup_elem(&environments, &zero);
	desk->walk = bpf_map_lookup_elem(&walks, &zero);
	return desk->program && desk->environment && desk->walk;
}

struct hashing {
	struct sip sip;
	struct program *of;
	__u32 at; /* in record.data */
};

static long hash_step(__u32 i, struct hashing *hashing)
{
	__u32 at = hashing->at + i * HASH_STEP;
	const char *data = hashing->of->record.data;
	int word;

	if (at > EXEC_DATA_BYTES)
		return 1;
	for (word = 0; word < HASH_STEP; word += 8)
		sip_word(&hashing->sip, *(const __u64 *)&data[at + word]);
	return 0;
}

/* Hashes `length` bytes of record.data, which were put there last: what follows is overwritten. */
static __always_inline void hash_text(struct hashing *hashing, __u32 at, __u32 length)
{
	__u64 *end;
	int i;

	sip_word(&hashing->sip, length);
	if (at + length > EXEC_DATA_BYTES)
		return; /* never: for the verifier */
	end = (__u64 *)&hashing->of->record.data[at + length];
	for (i = 0; i < HASH_STEP / 8; i++)
		end[i] = 0;
	hashing->at = at;
	bpf_loop((length + HASH_STEP - 1) / HASH_STEP, hash_step, hashing, 0);
}

/* Names the ancestors inside the container. */
static __always_inline void name_ancestors(struct exec_record *record, struct task_struct *task, __u64 cgroup)
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
	unsigned long start = BPF_CORE_READ(task, mm, arg_start);
	unsigned long length = BPF_CORE_READ(task, mm, arg_end) - start;

	record->argv_flags = 0;
	if (length > settings.max_argv) {
		length = settings.max_argv;
		record->argv_flags = ARGV_CUT;
	}
	if (length > ARGV_BYTES)
		length = ARGV_BYTES;
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

	if (at > ENV_BEFORE + ENV_BYTES || used > PATH_BYTES + ARGV_BYTES + PRELOAD_BYTES)
		return 0; /* never: for the verifier */
	length = bpf_probe_read_kernel_str(&record->data[used], PRELOAD_BYTES, &desk->environment->text[at]);
	if (length < 0 || length > PRELOAD_BYTES)
		return 0;
	if (length == PRELOAD_BYTES)
		record->preload_flags |= PRELOAD_CUT;
	return length;
}

static __always_inline __u32 read_preload(const struct desk *desk, __u32 used, struct task_struct *task,
					  const bool other)
{
	unsigned long start = BPF_CORE_READ(task, mm, env_start);
	unsigned long length = BPF_CORE_READ(task, mm, env_end) - start;
	struct exec_record *record = &desk->program->record;
	struct env_search search = { .in = desk->environment };
	bool beyond = length > ENV_BYTES;
	__u32 added;

	record->preload_flags = 0;
	if (beyond)
		length = ENV_BYTES;
	if (read_memory(&desk->environment->text[ENV_BEFORE], length, start, task, other)) {
		record->preload_flags = PRELOAD_UNREAD;
		return 0;
	}
	find_preload(&search, length);
	if (!search.first) {
		record->preload_flags = beyond ? PRELOAD_BEYOND : 0;
		return 0;
	}
	record->preload_flags = PRELOAD_SET;
	added = add_value(desk, used, search.first);
	if (search.last != search.first)
		added += add_value(desk, used + added, search.last);
	return added;
}

static __always_inline bool is_whole(const struct exec_record *record)
{
	return !(record->exe_flags & PATH_CUT) && !record->argv_flags &&
	       !(record->preload_flags & (PRELOAD_CUT | PRELOAD_UNREAD));
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
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct hashing hashing = { .of = desk->program };
	struct walk *walk = desk->walk;
	__u32 used, added;

	bpf_core_read(&record->capabilities, sizeof(record->capabilities), &cred->cap_effective);
	walk_up(walk, &exe->f_path);
	record->exe_flags = walk->flags;
	record->exe_class = class_of(exe, walk->flags);
	token_begin(&hashing.sip, TOKEN_EXEC, profile);
	token_comm(&hashing.sip, record->head.comm);
	token_comm(&hashing.sip, record->head.parent);
	sip_word(&hashing.sip, record->capabilities);
	sip_word(&hashing.sip, (__u64)record->exe_flags << 32 | record->exe_class);

	used = record->exe_length = copy_walked(record->data, walk);
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

	name_ancestors(record, task, cgroup);
	__builtin_memset(record->tty, 0, sizeof(record->tty));
	if (tty)
		bpf_probe_read_kernel_str(record->tty, sizeof(record->tty), &tty->name);
	walk_up(desk->walk, &fs->pwd);
	record->cwd_flags = desk->walk->flags;
	record->cwd_length = copy_walked(&record->data[used], desk->walk);
	return used + record->cwd_length;
}

/* Tells of the program that `task` runs, unless it is known. */
static __always_inline void tell_program(const struct desk *desk, struct task_struct *task, __u64 cgroup,
					 __u32 profile, struct arrival *arrival, const bool other)
{
	struct exec_record *record = &desk->program->record;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	__u64 revision = revision_of(profile);
	bool is_usual;
	__u32 used;

	fill_head(&record->head, RECORD_EXEC, task, cgroup);
	used = fill_habit(desk, task, profile, other);
	if (!revision) /* nobody can answer it yet */
		record->head.token = (struct token){};
	is_usual = is_known(revision, &record->head.token, LOSS_PROCESS);
	if (arrival) {
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
