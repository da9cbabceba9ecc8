/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which system calls are file activity, and which of their arguments say what was done to what. */
#ifndef HABITUS_FILE_CALL_H
#define HABITUS_FILE_CALL_H

#include "file_numbers.h"
#include "file_records.h"

#include <linux/fcntl.h>
#include <linux/mount.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif
#define S_IALLUGO 07777
#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
/* Instead of a descriptor: */
#define NOWHERE -200 /* from memory, there is no file */
#define NEW_ROOT -201 /* where the process's root is now */

/* `name` is NULL where the file itself is known by its descriptor. */
struct named {
	int fd;
	const char *name;
};

struct call {
	__u32 op;
	__u32 flags;
	__u64 value;
	const __u64 *how_at; /* openat2: where its flags lie */
	struct named at[PLACES_MAX];
	bool two;
	__u64 bytes; /* that were read or written */
};

static __always_inline __u32 opened(__u64 how)
{
	return how & O_TRUNC ? FILE_TRUNCATE : 0; /* the file itself tells the rest, but does not keep this */
}

static __always_inline bool one(struct call *call, __u32 op, __u32 flags, int fd, __u64 name)
{
	*call = (struct call){ .op = op, .flags = flags, .at = { { fd, (void *)name } } };
	return true;
}

static __always_inline bool valued(struct call *call, __u32 op, __u32 flags, int fd, __u64 name, __u64 value)
{
	*call = (struct call){ .op = op, .flags = flags, .at = { { fd, (void *)name } }, .value = value };
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

/* Is it known by names that were given, and not by a descriptor? */
static __always_inline bool by_name(const struct call *call)
{
	return call->at[0].name || call->at[0].fd == NOWHERE || call->at[0].fd == NEW_ROOT;
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

/* mknod makes a plain file, too; a pipe and a socket are no devices either. */
static __always_inline __u32 made(__u64 mode)
{
	__u64 kind = mode & S_IFMT;

	return kind == S_IFCHR || kind == S_IFBLK ? FILE_DEVICE : 0;
}

static __always_inline __u64 owners(__u64 uid, __u64 gid)
{
	return uid << 32 | (__u32)gid;
}

/* Fills `call`; false for every system call that is none of ours. */
static __always_inline bool describe(struct call *call, const struct arguments *is, long result)
{
	const __u64 a = is->a, b = is->b, c = is->c, d = is->d;

	switch (is->number) {
	case __NR_openat:
	case __NR_open_by_handle_at:
		return one(call, FILE_OP_OPEN, opened(c), result, 0);
	case __NR_openat2:
		one(call, FILE_OP_OPEN, 0, result, 0);
		call->how_at = (void *)c;
		return true;
	case __NR_unlinkat:
		return one(call, FILE_OP_UNLINK, unlinked(c), a, b);
	case __NR_renameat:
		return two(call, FILE_OP_RENAME, 0, at(a, b), at(c, d));
	case __NR_renameat2:
		return two(call, FILE_OP_RENAME, renamed((__u32)is->e), at(a, b), at(c, d));
	case __NR_fchmod:
		return valued(call, FILE_OP_CHMOD, FILE_MODE, a, 0, b & S_IALLUGO);
	case __NR_fchmodat:
	case __NR_fchmodat2:
		return valued(call, FILE_OP_CHMOD, FILE_MODE, a, b, c & S_IALLUGO);
	case __NR_fchown:
		return valued(call, FILE_OP_CHMOD, FILE_OWNER, a, 0, owners(b, c));
	case __NR_fchownat:
		return valued(call, FILE_OP_CHMOD, FILE_OWNER, a, b, owners(c, d));
	case __NR_linkat:
		return two(call, FILE_OP_LINK, 0, at(a, b), at(c, d));
	case __NR_symlinkat:
		return two(call, FILE_OP_LINK, FILE_SYMBOLIC, at(AT_FDCWD, a), at(b, c));
	case __NR_mkdirat:
		return one(call, FILE_OP_CREATE, FILE_DIRECTORY, a, b);
	case __NR_mknodat:
		return one(call, FILE_OP_CREATE, made(c), a, b);
	case __NR_truncate:
		return one(call, FILE_OP_WRITE, FILE_TRUNCATE, AT_FDCWD, a);
	case __NR_ftruncate:
		return one(call, FILE_OP_WRITE, FILE_TRUNCATE, a, 0);
	case __NR_mount:
		return one(call, FILE_OP_MOUNT, mounted(d), AT_FDCWD, b);
	case __NR_move_mount:
		return one(call, FILE_OP_MOUNT, 0, c, d);
	case __NR_umount2:
		return one(call, FILE_OP_MOUNT, FILE_UNMOUNT, AT_FDCWD, a);
	case __NR_pivot_root:
		return one(call, FILE_OP_MOUNT, FILE_PIVOT, AT_FDCWD, a);
	case __NR_chroot:
		return one(call, FILE_OP_MOUNT, FILE_CHROOT, NEW_ROOT, 0);
	case __NR_finit_module:
		return one(call, FILE_OP_LOAD, FILE_MODULE, a, 0);
	case __NR_init_module:
		return one(call, FILE_OP_LOAD, FILE_MODULE, NOWHERE, 0);
	case __NR_delete_module:
		return one(call, FILE_OP_LOAD, FILE_MODULE | FILE_UNLOAD, AT_FDCWD, a);
#ifdef __NR_open /* the old calls, which newer architectures never had */
	case __NR_open:
		return one(call, FILE_OP_OPEN, opened(b), result, 0);
	case __NR_creat:
		return one(call, FILE_OP_OPEN, FILE_TRUNCATE, result, 0);
	case __NR_unlink:
		return one(call, FILE_OP_UNLINK, 0, AT_FDCWD, a);
	case __NR_rmdir:
		return one(call, FILE_OP_UNLINK, FILE_DIRECTORY, AT_FDCWD, a);
	case __NR_rename:
		return two(call, FILE_OP_RENAME, 0, at(AT_FDCWD, a), at(AT_FDCWD, b));
	case __NR_chmod:
		return valued(call, FILE_OP_CHMOD, FILE_MODE, AT_FDCWD, a, b & S_IALLUGO);
	case __NR_chown:
	case __NR_lchown:
		return valued(call, FILE_OP_CHMOD, FILE_OWNER, AT_FDCWD, a, owners(b, c));
	case __NR_link:
		return two(call, FILE_OP_LINK, 0, at(AT_FDCWD, a), at(AT_FDCWD, b));
	case __NR_symlink:
		return two(call, FILE_OP_LINK, FILE_SYMBOLIC, at(AT_FDCWD, a), at(AT_FDCWD, b));
	case __NR_mkdir:
		return one(call, FILE_OP_CREATE, FILE_DIRECTORY, AT_FDCWD, a);
	case __NR_mknod:
		return one(call, FILE_OP_CREATE, made(b), AT_FDCWD, a);
#endif
	}
	return false;
}

#endif
