/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which system calls are file activity, and which of their arguments say what was done to what. */
#ifndef HABITUS_FILE_CALL_H
#define HABITUS_FILE_CALL_H

#include "common.h"
#include "file_records.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452 /* since 6.6; the same number everywhere */
#endif
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif
#define TS_COMPAT 2 /* x86: a 32-bit system call */

/* `name` is NULL where the file itself is known by its descriptor. */
struct named {
	int fd;
	const char *name;
};

struct call {
	__u32 op;
	__u32 flags;
	__u64 how;              /* of an open: its flags … */
	const __u64 *how_at;    /* … or where they lie (openat2) */
	struct named at[PLACES_MAX];
	bool two;
};

static __always_inline bool opened(struct call *call, long fd, __u64 how)
{
	*call = (struct call){ .op = FILE_OP_OPEN, .how = how, .at = { { .fd = fd } } };
	return true;
}

static __always_inline bool one(struct call *call, __u32 op, __u32 flags, int fd, __u64 name)
{
	*call = (struct call){ .op = op, .flags = flags, .at = { { fd, (void *)name } } };
	return true;
}

static __always_inline bool two(struct call *call, __u32 op, __u32 flags, struct named from, struct named to)
{
	*call = (struct call){ .op = op, .flags = flags, .at = { from, to }, .two = true };
	return true;
}

static __always_inline struct named at(int fd, __u64 name)
{
	return (struct named){ fd, (void *)name };
}

static __always_inline __u32 unlinked(__u64 flags)
{
	return flags & AT_REMOVEDIR ? FILE_DIRECTORY : 0;
}

static __always_inline __u32 renamed(__u64 flags)
{
	return flags & RENAME_EXCHANGE ? FILE_EXCHANGE : 0;
}

static __always_inline __u32 mounted(__u64 flags)
{
	if (flags & MS_REMOUNT)
		return FILE_REMOUNT;
	return (flags & MS_BIND ? FILE_BIND : 0) | (flags & MS_MOVE ? FILE_MOVE : 0);
}

/* Fills `call`; false for every system call that is none of ours. */
static __always_inline bool describe(struct call *call, const struct pt_regs *regs, long result)
{
	__u64 a = regs->di, b = regs->si, c = regs->dx, d = regs->r10;

	switch (regs->orig_ax) {
	case __NR_openat:
	case __NR_open_by_handle_at:
		return opened(call, result, c);
	case __NR_openat2:
		opened(call, result, 0);
		call->how_at = (void *)c;
		return true;
	case __NR_unlinkat:
		return one(call, FILE_OP_UNLINK, unlinked(c), a, b);
	case __NR_renameat:
		return two(call, FILE_OP_RENAME, 0, at(a, b), at(c, d));
	case __NR_renameat2:
		return two(call, FILE_OP_RENAME, renamed((__u32)regs->r8), at(a, b), at(c, d));
	case __NR_fchmod:
		return one(call, FILE_OP_CHMOD, FILE_MODE, a, 0);
	case __NR_fchmodat:
	case __NR_fchmodat2:
		return one(call, FILE_OP_CHMOD, FILE_MODE, a, b);
	case __NR_fchown:
		return one(call, FILE_OP_CHMOD, FILE_OWNER, a, 0);
	case __NR_fchownat:
		return one(call, FILE_OP_CHMOD, FILE_OWNER, a, b);
	case __NR_linkat:
		return two(call, FILE_OP_LINK, 0, at(a, b), at(c, d));
	case __NR_symlinkat:
		return two(call, FILE_OP_LINK, FILE_SYMBOLIC, at(AT_FDCWD, a), at(b, c));
	case __NR_mount:
		return one(call, FILE_OP_MOUNT, mounted(d), AT_FDCWD, b);
	case __NR_move_mount:
		return one(call, FILE_OP_MOUNT, 0, c, d);
#ifdef __NR_open /* the old calls, which newer architectures never had */
	case __NR_open:
		return opened(call, result, b);
	case __NR_creat:
		return opened(call, result, O_TRUNC);
	case __NR_unlink:
		return one(call, FILE_OP_UNLINK, 0, AT_FDCWD, a);
	case __NR_rmdir:
		return one(call, FILE_OP_UNLINK, FILE_DIRECTORY, AT_FDCWD, a);
	case __NR_rename:
		return two(call, FILE_OP_RENAME, 0, at(AT_FDCWD, a), at(AT_FDCWD, b));
	case __NR_chmod:
		return one(call, FILE_OP_CHMOD, FILE_MODE, AT_FDCWD, a);
	case __NR_chown:
	case __NR_lchown:
		return one(call, FILE_OP_CHMOD, FILE_OWNER, AT_FDCWD, a);
	case __NR_link:
		return two(call, FILE_OP_LINK, 0, at(AT_FDCWD, a), at(AT_FDCWD, b));
	case __NR_symlink:
		return two(call, FILE_OP_LINK, FILE_SYMBOLIC, at(AT_FDCWD, a), at(AT_FDCWD, b));
#endif
	}
	return false;
}

/* A 32-bit call has other numbers: what is `open` here would be `fork` there. */
static __always_inline bool is_compat(struct task_struct *task)
{
	return bpf_core_field_exists(task->thread_info.status) && BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

#endif
