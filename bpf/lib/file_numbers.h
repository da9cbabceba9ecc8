/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers of system calls. Two tables, read before anything else: most calls are none of ours and
 * cost one load. A 32-bit call of a 64-bit kernel has other numbers (what is `open` here would be
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
	NUMBER_ENDS = 8,  /* … or ends the use of a descriptor (file_use_calls.h) */
};

struct arguments {
	__u32 number; /* of this architecture's 64-bit calls */
	__u64 a, b, c, d, e;
};

static const __u8 numbers[NUMBERS_MAX] = {
	[__NR_openat] = NUMBER_EVENT,
	[__NR_openat2] = NUMBER_EVENT,
	[__NR_open_by_handle_at] = NUMBER_EVENT,
	[__NR_unlinkat] = NUMBER_EVENT,
	[__NR_renameat] = NUMBER_EVENT | NUMBER_MOVES,
	[__NR_renameat2] = NUMBER_EVENT | NUMBER_MOVES,
	[__NR_fchmod] = NUMBER_EVENT,
	[__NR_fchmodat] = NUMBER_EVENT,
	[__NR_fchmodat2] = NUMBER_EVENT,
	[__NR_fchown] = NUMBER_EVENT,
	[__NR_fchownat] = NUMBER_EVENT,
	[__NR_linkat] = NUMBER_EVENT,
	[__NR_symlinkat] = NUMBER_EVENT,
	[__NR_mkdirat] = NUMBER_EVENT,
	[__NR_mknodat] = NUMBER_EVENT,
	[__NR_truncate] = NUMBER_EVENT,
	[__NR_ftruncate] = NUMBER_EVENT,
	[__NR_mount] = NUMBER_EVENT | NUMBER_MOVES,
	[__NR_umount2] = NUMBER_EVENT | NUMBER_MOVES,
	[__NR_move_mount] = NUMBER_EVENT | NUMBER_MOVES,
	[__NR_open_tree] = NUMBER_MOVES,
	[__NR_open_tree_attr] = NUMBER_MOVES,
	[__NR_fsmount] = NUMBER_MOVES,
	[__NR_pivot_root] = NUMBER_EVENT | NUMBER_MOVES,
	[__NR_chroot] = NUMBER_EVENT,
	[__NR_unshare] = NUMBER_MOVES,
	[__NR_clone] = NUMBER_MOVES,
	[__NR_clone3] = NUMBER_MOVES,
	[__NR_init_module] = NUMBER_EVENT,
	[__NR_finit_module] = NUMBER_EVENT,
	[__NR_delete_module] = NUMBER_EVENT,
	[__NR_read] = NUMBER_USE,
	[__NR_pread64] = NUMBER_USE,
	[__NR_readv] = NUMBER_USE,
	[__NR_preadv] = NUMBER_USE,
	[__NR_preadv2] = NUMBER_USE,
	[__NR_write] = NUMBER_USE,
	[__NR_pwrite64] = NUMBER_USE,
	[__NR_writev] = NUMBER_USE,
	[__NR_pwritev] = NUMBER_USE,
	[__NR_pwritev2] = NUMBER_USE,
	[__NR_sendfile] = NUMBER_USE,
	[__NR_copy_file_range] = NUMBER_USE,
	[__NR_splice] = NUMBER_USE,
	[__NR_close] = NUMBER_ENDS,
	[__NR_close_range] = NUMBER_ENDS,
	[__NR_dup3] = NUMBER_ENDS,
#ifdef __NR_open
	[__NR_open] = NUMBER_EVENT,
	[__NR_creat] = NUMBER_EVENT,
	[__NR_unlink] = NUMBER_EVENT,
	[__NR_rmdir] = NUMBER_EVENT | NUMBER_MOVES,
	[__NR_rename] = NUMBER_EVENT | NUMBER_MOVES,
	[__NR_chmod] = NUMBER_EVENT,
	[__NR_chown] = NUMBER_EVENT,
	[__NR_lchown] = NUMBER_EVENT,
	[__NR_link] = NUMBER_EVENT,
	[__NR_symlink] = NUMBER_EVENT,
	[__NR_mkdir] = NUMBER_EVENT,
	[__NR_mknod] = NUMBER_EVENT,
	[__NR_dup2] = NUMBER_ENDS,
#endif
};

/* Of a 32-bit call: the same call's number here, plus one; 0: none of ours. */
static const __u16 numbers_ia32[NUMBERS_MAX] = {
	[3] = __NR_read + 1,
	[4] = __NR_write + 1,
	[5] = __NR_open + 1,
	[6] = __NR_close + 1,
	[8] = __NR_creat + 1,
	[9] = __NR_link + 1,
	[10] = __NR_unlink + 1,
	[14] = __NR_mknod + 1,
	[15] = __NR_chmod + 1,
	[16] = __NR_lchown + 1,
	[21] = __NR_mount + 1,
	[22] = __NR_umount2 + 1,
	[38] = __NR_rename + 1,
	[39] = __NR_mkdir + 1,
	[40] = __NR_rmdir + 1,
	[52] = __NR_umount2 + 1,
	[61] = __NR_chroot + 1,
	[63] = __NR_dup2 + 1,
	[83] = __NR_symlink + 1,
	[92] = __NR_truncate + 1,
	[93] = __NR_ftruncate + 1,
	[94] = __NR_fchmod + 1,
	[95] = __NR_fchown + 1,
	[120] = __NR_clone + 1,
	[128] = __NR_init_module + 1,
	[129] = __NR_delete_module + 1,
	[145] = __NR_readv + 1,
	[146] = __NR_writev + 1,
	[180] = __NR_pread64 + 1,
	[181] = __NR_pwrite64 + 1,
	[182] = __NR_chown + 1,
	[187] = __NR_sendfile + 1,
	[193] = __NR_truncate + 1,
	[194] = __NR_ftruncate + 1,
	[198] = __NR_lchown + 1,
	[207] = __NR_fchown + 1,
	[212] = __NR_chown + 1,
	[217] = __NR_pivot_root + 1,
	[239] = __NR_sendfile + 1,
	[295] = __NR_openat + 1,
	[296] = __NR_mkdirat + 1,
	[297] = __NR_mknodat + 1,
	[298] = __NR_fchownat + 1,
	[300] = __NR_unlinkat + 1,
	[302] = __NR_renameat + 1,
	[303] = __NR_linkat + 1,
	[304] = __NR_symlinkat + 1,
	[306] = __NR_fchmodat + 1,
	[310] = __NR_unshare + 1,
	[313] = __NR_splice + 1,
	[330] = __NR_dup3 + 1,
	[333] = __NR_preadv + 1,
	[334] = __NR_pwritev + 1,
	[342] = __NR_open_by_handle_at + 1,
	[350] = __NR_finit_module + 1,
	[353] = __NR_renameat2 + 1,
	[377] = __NR_copy_file_range + 1,
	[378] = __NR_preadv2 + 1,
	[379] = __NR_pwritev2 + 1,
	[428] = __NR_open_tree + 1,
	[429] = __NR_move_mount + 1,
	[432] = __NR_fsmount + 1,
	[435] = __NR_clone3 + 1,
	[436] = __NR_close_range + 1,
	[437] = __NR_openat2 + 1,
	[452] = __NR_fchmodat2 + 1,
	[467] = __NR_open_tree_attr + 1,
};

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

/* False: neither activity nor a move. `task` is the current one. */
static __always_inline bool take(struct arguments *is, const struct pt_regs *regs, struct task_struct *task,
				 __u32 number)
{
	if (bpf_core_field_exists(task->thread_info.status) && task->thread_info.status & TS_COMPAT) {
		take_ia32(is, regs, number);
		return is->number < NUMBERS_MAX;
	}
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
