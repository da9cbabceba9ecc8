/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Deeds by names, as the kernel understood the names. Where the mount is known (a security hook)
 * nothing is done yet; where it is done (the function of the file system) no mount is known, and a
 * name may be gone. So what is about to be done is kept with its thread, and told once it succeeded.
 * A function may be called for other things on the way, as overlayfs does: what it is given says
 * which call it is.
 */
#ifndef HABITUS_FILE_INTENTS_H
#define HABITUS_FILE_INTENTS_H

#include "file_weigh.h"
#include "kernel_fs.h"

struct intent {
	__u64 call; /* what the function is given that will do it, as an address; 0: nothing is about to be done */
	__u64 value;
	__u32 op;
	__u32 flags;
	struct spot from[PLACES_MAX];
	__u32 lengths[PLACES_MAX];
	char names[PLACES_MAX][NAME_BYTES + 1];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct intent);
} intents SEC(".maps");

/* Instead of an address, for a call that is not told by one. */
enum intent_call {
	CALL_MOVE_MOUNT = 1,
	CALL_PIVOT_ROOT = 2,
};

struct who {
	struct task_struct *task;
	__u64 cgroup;
	__u32 profile;
};

/* Is the current process watched? */
static __always_inline bool is_watched(struct who *who)
{
	who->task = bpf_get_current_task_btf();
	who->cgroup = who->task->cgroups->dfl_cgrp->kn->id; /* as the helper gives it, without the call */
	return watched(who->task, who->cgroup, &who->profile);
}

/* What io_uring is asked for is told by a sensor of its own (uring.bpf.c), when it is asked. */
static __always_inline bool is_asked_of_ring(struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	return BPF_CORE_READ((struct task_struct___flags *)task, flags) & PF_IO_WORKER ||
	       ((__u32)regs->orig_ax & ~X32_BIT) == __NR_io_uring_enter;
}

/* The intent of the current thread, begun anew; NULL where nothing of it is to be told. */
static __always_inline struct intent *intend(__u64 call, __u32 op, __u32 flags)
{
	struct intent *intent;
	struct who who;

	if (!is_watched(&who) || is_asked_of_ring(who.task) || !has_arrived(who.task))
		return NULL;
	intent = bpf_task_storage_get(&intents, who.task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!intent) {
		count_loss(LOSS_FILE);
		return NULL;
	}
	intent->call = call;
	intent->op = op;
	intent->flags = flags;
	intent->value = 0;
	intent->lengths[0] = intent->lengths[1] = 0;
	intent->from[1] = (struct spot){};
	return intent;
}

/* `entry`, a name in the folder `folder`. */
static __always_inline void add_entry(struct intent *intent, int i, const struct path *folder, struct dentry *entry)
{
	__u32 length = BPF_CORE_READ(entry, d_name.len) & NAME_BYTES;

	intent->from[i] = spot_of(folder);
	intent->lengths[i] = length;
	bpf_probe_read_kernel(intent->names[i], length, BPF_CORE_READ(entry, d_name.name));
}

/* Something is about to be done to one name in a folder. */
static __always_inline int intend_entry(const struct path *folder, struct dentry *entry, __u32 op, __u32 flags)
{
	struct intent *intent = intend((__u64)entry, op, flags);

	if (intent)
		add_entry(intent, 0, folder, entry);
	return 0;
}

/* Where a mount lies: its own root tells the same only as long as it is mounted there. */
static __always_inline struct spot below(const struct path *path)
{
	struct mount *mount = mount_of(BPF_CORE_READ(path, mnt));
	struct mount *over = BPF_CORE_READ(mount, mnt_parent);

	return (struct spot){ BPF_CORE_READ(mount, mnt_mountpoint),
			      (void *)over + bpf_core_field_offset(struct mount, mnt) };
}

/* A function that returns 0, or something it made, or an error below 0 as a number or a pointer. */
static __always_inline bool succeeded(void *context)
{
	__u64 result = 0;
	__u32 high;

	if (bpf_get_func_ret(context, &result))
		return false;
	high = result >> 32;
	return (high && high != ~0u) || (int)result >= 0;
}

static __always_inline void fill_from(struct scratch *scratch, const struct intent *intent, const char *text)
{
	long length;
	int i;

	scratch->call = (struct call){ .op = intent->op, .flags = intent->flags, .value = intent->value };
	scratch->call.two = intent->op == FILE_OP_RENAME || intent->op == FILE_OP_LINK;
	for (i = 0; i < PLACES_MAX; i++) {
		scratch->from[i] = intent->from[i];
		scratch->record.places[i].told_length = intent->lengths[i];
		scratch->record.places[i].told_flags = 0;
		bpf_probe_read_kernel(scratch->told[i], sizeof(intent->names[i]), intent->names[i]);
	}
	if (!text)
		return;
	length = bpf_probe_read_kernel_str(scratch->told[0], PATH_BYTES, text);
	scratch->record.places[0].told_length = length > 0 ? (length - 1) & (PATH_BYTES - 1) : 0;
}

/* Tells what the current thread was about to do. A global function, as `weigh`. */
__noinline int tell_intent(__u64 text)
{
	struct intent *intent;
	struct scratch *scratch;
	struct who who;

	if (!is_watched(&who))
		return 0;
	intent = bpf_task_storage_get(&intents, who.task, 0, 0);
	if (!intent)
		return 0;
	scratch = begin(who.cgroup, who.profile);
	if (!scratch)
		return 0;
	fill_from(scratch, intent, (const char *)text);
	name_deed(scratch);
	weigh_names(scratch);
	finish(scratch);
	return 0;
}

/* The function that was given `call` is over. `text`: what a symbolic link says, or NULL. */
static __always_inline int fulfil(void *context, __u64 call, const char *text)
{
	struct intent *intent = bpf_task_storage_get(&intents, bpf_get_current_task_btf(), 0, 0);

	if (!intent || intent->call != call)
		return 0;
	intent->call = 0;
	return succeeded(context) ? tell_intent((__u64)text) : 0;
}

#endif
