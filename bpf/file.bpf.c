/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files of containers: open, create, rename, unlink, chmod, chown, link, mount. One typed raw
 * tracepoint at the end of every system call: it loads wherever BTF does, where fentry and LSM may
 * be refused. At the end, not at the start: only then is there a file to look at, and what failed
 * changed nothing. An opened file is read from the kernel; a call that takes names leaves nothing
 * behind but the names, in memory that another thread may have changed meanwhile.
 */
#include "lib/common.h"
#include "lib/file_call.h"
#include "lib/head.h"
#include "lib/known.h"
#include "lib/repeats.h"
#include "lib/walk.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_PATH 0x4000
#define FMODE_CREATED 0x100000
#define S_IFMT 0170000
#define S_IFDIR 0040000

/* Larger than the stack; a program never interrupts itself on a CPU. */
struct scratch {
	struct file *file; /* that was opened, and its f_mode */
	__u64 mode;
	const struct path *from[PLACES_MAX]; /* where a walk starts */
	char told[PLACES_MAX][PATH_BYTES + 8]; /* a word more: it is hashed in words */
	struct file_record record;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} file_scratch SEC(".maps");

/* Keeps the layouts in the object's BTF, where the test of file_records.py reads them. */
const struct file_record *layout_file __attribute__((unused));
const enum file_kind *layout_kind __attribute__((unused));
const enum file_op *layout_op __attribute__((unused));
const enum file_flag *layout_flag __attribute__((unused));
const enum told_flag *layout_told __attribute__((unused));

static __always_inline struct file *file_of(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = task->files->fdt;
	struct file *file = NULL;

	if (fd < table->max_fds)
		bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
	return file;
}

/* The file is there: its place in the kernel tells the deed. False for O_PATH, which opens nothing. */
static __always_inline bool see_file(struct scratch *scratch, struct call *call, struct deed *deed,
				     struct task_struct *task)
{
	struct file *file = file_of(task, call->at[0].fd);
	struct dentry *dentry;
	__u32 mode;

	if (!file)
		return false;
	mode = BPF_CORE_READ(file, f_mode);
	if (mode & FMODE_PATH && call->op == FILE_OP_OPEN)
		return false;
	if (call->how_at)
		bpf_probe_read_user(&call->how, sizeof(call->how), call->how_at);
	dentry = BPF_CORE_READ(file, f_path.dentry);
	mix(deed, (__u64)dentry);
	mix(deed, (__u64)BPF_CORE_READ(file, f_path.mnt));
	mix(deed, (__u64)mode << 32 | BPF_CORE_READ(dentry, d_name.hash));
	mix(deed, call->how);
	scratch->file = file;
	scratch->mode = mode;
	scratch->from[0] = &file->f_path;
	scratch->record.places[0].told_length = 0;
	scratch->record.places[0].told_flags = 0;
	return true;
}

/* What the file was opened for, by the file itself. */
static __always_inline void fill_open(struct scratch *scratch, struct call *call)
{
	const struct file *file = scratch->file;

	if (scratch->mode & FMODE_CREATED)
		call->op = FILE_OP_CREATE;
	if (scratch->mode & FMODE_READ)
		call->flags |= FILE_READ;
	if (scratch->mode & FMODE_WRITE)
		call->flags |= FILE_WRITE;
	if (call->how & O_TRUNC) /* the file does not keep it */
		call->flags |= FILE_TRUNCATE;
	if (BPF_CORE_READ(file, f_flags) & O_APPEND)
		call->flags |= FILE_APPEND;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFDIR)
		call->flags |= FILE_DIRECTORY;
}

/* Where the name that the process gave starts: root, working directory, or an open directory. */
static __always_inline const struct path *start_of(struct task_struct *task, int fd, char first)
{
	struct file *file;

	if (first == '/')
		return &task->fs->root;
	if (fd == AT_FDCWD)
		return &task->fs->pwd;
	file = file_of(task, fd);
	return file ? &file->f_path : NULL;
}

static __always_inline bool see_name(struct scratch *scratch, const struct named *at, struct deed *deed,
				     struct task_struct *task, int i)
{
	struct place *place = &scratch->record.places[i];
	char *told = scratch->told[i];
	const struct path *from;
	long length;

	length = bpf_probe_read_user_str(told, PATH_BYTES, at->name);
	place->told_flags = length > 0 ? 0 : TOLD_UNREAD;
	length = length > 0 ? length - 1 : 0;
	if (length >= PATH_BYTES)
		return false; /* never: for the verifier */
	*(__u64 *)&told[length] = 0;
	place->told_length = length;
	from = start_of(task, at->fd, told[0]);
	if (!from)
		return false;
	scratch->from[i] = from;
	mix(deed, (__u64)BPF_CORE_READ(from, dentry));
	mix(deed, (__u64)BPF_CORE_READ(from, mnt));
	mix_text(deed, told, length);
	return true;
}

static __always_inline bool see(struct scratch *scratch, struct call *call, struct deed *deed,
				struct task_struct *task)
{
	if (!call->at[0].name)
		return see_file(scratch, call, deed, task);
	if (!see_name(scratch, &call->at[0], deed, task, 0))
		return false;
	return !call->two || see_name(scratch, &call->at[1], deed, task, 1);
}

/* Appends both parts of a path to `data`; returns how many bytes of it are used. */
static __always_inline __u32 add_place(struct scratch *scratch, struct walk *walk, int i, __u32 used)
{
	struct file_record *record = &scratch->record;
	struct place *place = &record->places[i];
	__u32 told = place->told_length;

	walk_up(walk, scratch->from[i]);
	place->walked_flags = walk->flags;
	place->walked_length = copy_walked(&record->data[used], walk);
	used += place->walked_length;
	if (!told || told >= PATH_BYTES)
		return used;
	bpf_probe_read_kernel(&record->data[used], told, scratch->told[i]);
	return used + told;
}

/* False: the ring has no room. */
static __always_inline bool send(struct scratch *scratch, struct call *call, struct task_struct *task, __u64 cgroup)
{
	struct file_record *record = &scratch->record;
	__u32 zero = 0, used;
	struct walk *walk = bpf_map_lookup_elem(&walks, &zero);

	if (!walk)
		return true;
	if (call->op == FILE_OP_OPEN)
		fill_open(scratch, call);
	fill_head(&record->head, RECORD_FILE, task, cgroup);
	record->op = call->op;
	record->flags = call->flags;
	used = add_place(scratch, walk, 0, 0);
	if (call->two)
		used = add_place(scratch, walk, 1, used);
	else
		__builtin_memset(&record->places[1], 0, sizeof(record->places[1]));
	if (used > sizeof(record->data))
		return true; /* never: for the verifier */
	return bpf_ringbuf_output(&ring, record, offsetof(struct file_record, data) + used, 0) == 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_file_call, struct pt_regs *regs, long result)
{
	struct task_struct *task;
	struct scratch *scratch;
	struct deed deed;
	struct call call;
	__u32 zero = 0, profile;
	__u64 cgroup;

	/* A few compares, before the look-ups of the guard: most system calls are none of ours. */
	if (result < 0 || !describe(&call, regs, result))
		return 0;
	task = bpf_get_current_task_btf();
	cgroup = task->cgroups->dfl_cgrp->kn->id; /* as the helper gives it, without the call */
	if (!watched(task, cgroup, &profile) || !has_arrived(task) || is_compat(task))
		return 0;
	scratch = bpf_map_lookup_elem(&file_scratch, &zero);
	if (!scratch)
		return 0;
	begin(&deed, task, cgroup);
	mix(&deed, (__u64)call.op << 32 | call.flags);
	if (!see(scratch, &call, &deed, task) || is_repeat(&deed, &scratch->record.repeats))
		return 0;
	if (!send(scratch, &call, task, cgroup)) {
		count_loss(LOSS_FILE);
		forget_deed(&deed); /* the next one is sent */
	}
	return 0;
}
