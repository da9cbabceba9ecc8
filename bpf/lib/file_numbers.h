/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers of system calls. One bit each, read before anything else: most calls are none of ours, and
 * a process that begins makes some dozens of them with cold caches. A 32-bit call of a 64-bit kernel has other numbers (what is `open` here would be
 * `fstat` there) and other registers; its numbers are given as those of the same call here.
 */
#ifndef HABITUS_FILE_NUMBERS_H
#define HABITUS_FILE_NUMBERS_H

#include "common.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/sched.h>

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452 /* since 6.6; the same number everywhere */
#endif
#ifndef __NR_open_tree_attr
#define __NR_open_tree_attr 467 /* since 6.15 */
#endif
#define NUMBERS_MAX 512
#define X32_BIT 0x40000000u /* the x32 calls: same registers, same numbers but for this bit */
#define TS_COMPAT 2         /* x86: a 32-bit system call */

enum number {
	NUMBER_EVENT = 1, /* this number is file activity, … */
	NUMBER_MOVES = 2, /* … or may give open files another path (moves.h), … */
	NUMBER_USE = 4,   /* … or reads or writes an open file, … */
	NUMBER_ENDS = 8,  /* … or ends the use of a descriptor (file_use_calls.h), … */
	NUMBER_OPEN = 16, /* … or opens a file, and says how in a number */
};

struct arguments {
	__u32 number; /* of this architecture's 64-bit calls */
	__u64 a, b, c, d, e;
};

/* X(w, call, what it is): those that every architecture has, … */
#define NEWER_CALLS(X, w) \
	X(w, openat, NUMBER_OPEN) \
	X(w, openat2, NUMBER_EVENT) \
	X(w, open_by_handle_at, NUMBER_OPEN) \
	X(w, unlinkat, NUMBER_EVENT) \
	X(w, renameat, NUMBER_EVENT | NUMBER_MOVES) \
	X(w, renameat2, NUMBER_EVENT | NUMBER_MOVES) \
	X(w, fchmod, NUMBER_EVENT) \
	X(w, fchmodat, NUMBER_EVENT) \
	X(w, fchmodat2, NUMBER_EVENT) \
	X(w, fchown, NUMBER_EVENT) \
	X(w, fchownat, NUMBER_EVENT) \
	X(w, linkat, NUMBER_EVENT) \
	X(w, symlinkat, NUMBER_EVENT) \
	X(w, mkdirat, NUMBER_EVENT) \
	X(w, mknodat, NUMBER_EVENT) \
	X(w, truncate, NUMBER_EVENT) \
	X(w, ftruncate, NUMBER_EVENT) \
	X(w, mount, NUMBER_EVENT | NUMBER_MOVES) \
	X(w, umount2, NUMBER_EVENT | NUMBER_MOVES) \
	X(w, move_mount, NUMBER_EVENT | NUMBER_MOVES) \
	X(w, open_tree, NUMBER_MOVES) \
	X(w, open_tree_attr, NUMBER_MOVES) \
	X(w, fsmount, NUMBER_MOVES) \
	X(w, pivot_root, NUMBER_EVENT | NUMBER_MOVES) \
	X(w, chroot, NUMBER_EVENT) \
	X(w, unshare, NUMBER_MOVES) \
	X(w, clone, NUMBER_MOVES) \
	X(w, clone3, NUMBER_MOVES) \
	X(w, init_module, NUMBER_EVENT) \
	X(w, finit_module, NUMBER_EVENT) \
	X(w, delete_module, NUMBER_EVENT) \
	X(w, read, NUMBER_USE) \
	X(w, pread64, NUMBER_USE) \
	X(w, readv, NUMBER_USE) \
	X(w, preadv, NUMBER_USE) \
	X(w, preadv2, NUMBER_USE) \
	X(w, write, NUMBER_USE) \
	X(w, pwrite64, NUMBER_USE) \
	X(w, writev, NUMBER_USE) \
	X(w, pwritev, NUMBER_USE) \
	X(w, pwritev2, NUMBER_USE) \
	X(w, sendfile, NUMBER_USE) \
	X(w, copy_file_range, NUMBER_USE) \
	X(w, splice, NUMBER_USE) \
	X(w, close, NUMBER_ENDS) \
	X(w, close_range, NUMBER_ENDS) \
	X(w, dup3, NUMBER_ENDS)

/* … and the old ones, which newer architectures never had. */
#ifdef __NR_open
#define OLDER_CALLS(X, w) \
	X(w, open, NUMBER_OPEN) \
	X(w, creat, NUMBER_EVENT) \
	X(w, unlink, NUMBER_EVENT) \
	X(w, rmdir, NUMBER_EVENT | NUMBER_MOVES) \
	X(w, rename, NUMBER_EVENT | NUMBER_MOVES) \
	X(w, chmod, NUMBER_EVENT) \
	X(w, chown, NUMBER_EVENT) \
	X(w, lchown, NUMBER_EVENT) \
	X(w, link, NUMBER_EVENT) \
	X(w, symlink, NUMBER_EVENT) \
	X(w, mkdir, NUMBER_EVENT) \
	X(w, mknod, NUMBER_EVENT) \
	X(w, dup2, NUMBER_ENDS)
#else
#define OLDER_CALLS(X, w)
#endif

#define CALLS(X, w) NEWER_CALLS(X, w) OLDER_CALLS(X, w)

/* X(w, number of a 32-bit call, the same call's name) */
#define CALLS_IA32(X, w) \
	X(w, 3, read) \
	X(w, 4, write) \
	X(w, 5, open) \
	X(w, 6, close) \
	X(w, 8, creat) \
	X(w, 9, link) \
	X(w, 10, unlink) \
	X(w, 14, mknod) \
	X(w, 15, chmod) \
	X(w, 16, lchown) \
	X(w, 21, mount) \
	X(w, 22, umount2) \
	X(w, 38, rename) \
	X(w, 39, mkdir) \
	X(w, 40, rmdir) \
	X(w, 52, umount2) \
	X(w, 61, chroot) \
	X(w, 63, dup2) \
	X(w, 83, symlink) \
	X(w, 92, truncate) \
	X(w, 93, ftruncate) \
	X(w, 94, fchmod) \
	X(w, 95, fchown) \
	X(w, 120, clone) \
	X(w, 128, init_module) \
	X(w, 129, delete_module) \
	X(w, 145, readv) \
	X(w, 146, writev) \
	X(w, 180, pread64) \
	X(w, 181, pwrite64) \
	X(w, 182, chown) \
	X(w, 187, sendfile) \
	X(w, 193, truncate) \
	X(w, 194, ftruncate) \
	X(w, 198, lchown) \
	X(w, 207, fchown) \
	X(w, 212, chown) \
	X(w, 217, pivot_root) \
	X(w, 239, sendfile) \
	X(w, 295, openat) \
	X(w, 296, mkdirat) \
	X(w, 297, mknodat) \
	X(w, 298, fchownat) \
	X(w, 300, unlinkat) \
	X(w, 302, renameat) \
	X(w, 303, linkat) \
	X(w, 304, symlinkat) \
	X(w, 306, fchmodat) \
	X(w, 310, unshare) \
	X(w, 313, splice) \
	X(w, 330, dup3) \
	X(w, 333, preadv) \
	X(w, 334, pwritev) \
	X(w, 342, open_by_handle_at) \
	X(w, 350, finit_module) \
	X(w, 353, renameat2) \
	X(w, 377, copy_file_range) \
	X(w, 378, preadv2) \
	X(w, 379, pwritev2) \
	X(w, 428, open_tree) \
	X(w, 429, move_mount) \
	X(w, 432, fsmount) \
	X(w, 435, clone3) \
	X(w, 436, close_range) \
	X(w, 437, openat2) \
	X(w, 452, fchmodat2) \
	X(w, 467, open_tree_attr)

#define IS(w, call, is) [__NR_##call] = (is),
#define IS_IA32(w, number, call) [number] = __NR_##call + 1,

static const __u8 numbers[NUMBERS_MAX] = { CALLS(IS, 0) };

/* Of a 32-bit call: the same call's number here, plus one; 0: none of ours. */
static const __u16 numbers_ia32[NUMBERS_MAX] = { CALLS_IA32(IS_IA32, 0) };

/* The w-th word of one bit a number: is it one of ours? */
#define BIT_IN(w, number) | ((number) / 64 == (w) ? 1ull << (number) % 64 : 0)
#define BIT(w, call, is) BIT_IN(w, __NR_##call)
#define BIT_IA32(w, number, call) BIT_IN(w, number)
#define WORDS(calls, bit)                                                                  \
	{                                                                                  \
		0 calls(bit, 0), 0 calls(bit, 1), 0 calls(bit, 2), 0 calls(bit, 3),        \
		0 calls(bit, 4), 0 calls(bit, 5), 0 calls(bit, 6), 0 calls(bit, 7),        \
	}

/* One cache line for all calls, and one for those with 32 bits. */
static const __u64 asked[NUMBERS_MAX / 64] __attribute__((aligned(64))) = WORDS(CALLS, BIT);
static const __u64 asked_ia32[NUMBERS_MAX / 64] __attribute__((aligned(64))) = WORDS(CALLS_IA32, BIT_IA32);

#define IA32_LCHOWN16 16
#define IA32_FCHOWN16 95
#define IA32_CHOWN16 182

/* The old calls have 16 bits for an id, and -1 stays "leave it". */
static __always_inline __u64 widened(__u64 id)
{
	return (__u16)id == 0xffff ? 0xffffffff : (__u16)id;
}

static __always_inline void take_ia32(struct arguments *is, const struct pt_regs *regs, __u32 number)
{
	is->number = numbers_ia32[number] - 1u; /* none: a number that no call has */
	is->a = (__u32)regs->bx;
	is->b = (__u32)regs->cx;
	is->c = (__u32)regs->dx;
	is->d = (__u32)regs->si;
	is->e = (__u32)regs->di;
	if (number == IA32_LCHOWN16 || number == IA32_CHOWN16 || number == IA32_FCHOWN16) {
		is->b = widened(is->b);
		is->c = widened(is->c);
	}
}

static __always_inline void take_64(struct arguments *is, const struct pt_regs *regs, __u32 number)
{
	is->number = number;
	is->a = regs->di;
	is->b = regs->si;
	is->c = regs->dx;
	is->d = regs->r10;
	is->e = regs->r8;
}

/* Is the current task, `task`, in a 32-bit call? */
static __always_inline bool is_ia32(struct task_struct *task)
{
	return bpf_core_field_exists(task->thread_info.status) && task->thread_info.status & TS_COMPAT;
}

static __always_inline bool is_in(const __u64 *bits, __u32 number)
{
	return bits[number / 64] >> number % 64 & 1;
}

/* False: none of ours. `task` is the current one, `number` is below NUMBERS_MAX. */
static __always_inline bool take(struct arguments *is, const struct pt_regs *regs, struct task_struct *task,
				 __u32 number)
{
	if (is_ia32(task)) {
		if (!is_in(asked_ia32, number))
			return false;
		take_ia32(is, regs, number);
		return true;
	}
	if (!is_in(asked, number))
		return false;
	take_64(is, regs, number);
	return true;
}

/* Does a successful call of this number give open files another path, or use a mount's address anew? */
static __always_inline bool is_move(const struct arguments *is)
{
	__u64 flags = is->a;

	switch (is->number) {
	case __NR_clone3:
		bpf_probe_read_user(&flags, sizeof(flags), (void *)is->a);
		return flags & CLONE_NEWNS;
	case __NR_clone:
	case __NR_unshare:
		return flags & CLONE_NEWNS;
	case __NR_unlinkat:
		return is->c & AT_REMOVEDIR;
	}
	return true;
}

#endif
