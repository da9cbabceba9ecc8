/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs of file_fentry.bpf.c at the end of single system calls, each of which has a function of its
 * own, and another for 32-bit programs, which not every kernel has: where a descriptor or a number of
 * bytes counts, and where no function within tells that all of it succeeded.
 */
#ifndef HABITUS_FILE_FENTRY_CALLS_H
#define HABITUS_FILE_FENTRY_CALLS_H

#include "file_activity.h"
#include "file_intents.h"
#include "file_uses.h"

static __always_inline int on_rare(struct arguments *is, long result)
{
	struct who who;

	if (result < 0 || !is_watched(&who))
		return 0;
	return on_activity(is, result, who.task, who.cgroup, who.profile);
}

static __always_inline int on_passage(struct arguments *is, long result)
{
	struct who who;

	if (result <= 0 || !is_watched(&who))
		return 0;
	return on_use(is, result, who.cgroup, who.profile);
}

static __always_inline int on_over(struct arguments *is, long result)
{
	return result < 0 ? 0 : on_end(is, bpf_get_current_task_btf());
}

/* `prefix`: by which the loader finds what is left out with the setting collector.file_totals. */
#define AT_CALL(prefix, handler, call, number_)                                            \
	SEC("fexit/__x64_sys_" #call)                                                      \
	int BPF_PROG(prefix##_##call, struct pt_regs *regs, long result)                   \
	{                                                                                  \
		struct arguments is;                                                       \
                                                                                           \
		take_64(&is, regs, number_);                                               \
		return handler(&is, result);                                               \
	}

#define AT_CALL_32(prefix, handler, call, number_)                                         \
	SEC("?fexit/__ia32_" #call)                                                        \
	int BPF_PROG(prefix##_32_##call, struct pt_regs *regs, long result)                \
	{                                                                                  \
		struct arguments is;                                                       \
                                                                                           \
		take_ia32(&is, regs, number_);                                             \
		return handler(&is, result);                                               \
	}

SEC("fexit/__x64_sys_move_mount")
int BPF_PROG(on_move_mount)
{
	return fulfil(ctx, CALL_MOVE_MOUNT, NULL);
}

SEC("fexit/__x64_sys_pivot_root")
int BPF_PROG(on_pivot_root)
{
	return fulfil(ctx, CALL_PIVOT_ROOT, NULL);
}

SEC("?fexit/__ia32_sys_move_mount")
int BPF_PROG(on_32_move_mount)
{
	return fulfil(ctx, CALL_MOVE_MOUNT, NULL);
}

SEC("?fexit/__ia32_sys_pivot_root")
int BPF_PROG(on_32_pivot_root)
{
	return fulfil(ctx, CALL_PIVOT_ROOT, NULL);
}

AT_CALL(on, on_rare, chroot, __NR_chroot)
AT_CALL(on, on_rare, init_module, __NR_init_module)
AT_CALL(on, on_rare, finit_module, __NR_finit_module)
AT_CALL(on, on_rare, delete_module, __NR_delete_module)
AT_CALL_32(on, on_rare, sys_chroot, 61)
AT_CALL_32(on, on_rare, sys_init_module, 128)
AT_CALL_32(on, on_rare, sys_finit_module, 350)
AT_CALL_32(on, on_rare, sys_delete_module, 129)

AT_CALL(use, on_passage, read, __NR_read)
AT_CALL(use, on_passage, pread64, __NR_pread64)
AT_CALL(use, on_passage, readv, __NR_readv)
AT_CALL(use, on_passage, preadv, __NR_preadv)
AT_CALL(use, on_passage, preadv2, __NR_preadv2)
AT_CALL(use, on_passage, write, __NR_write)
AT_CALL(use, on_passage, pwrite64, __NR_pwrite64)
AT_CALL(use, on_passage, writev, __NR_writev)
AT_CALL(use, on_passage, pwritev, __NR_pwritev)
AT_CALL(use, on_passage, pwritev2, __NR_pwritev2)
AT_CALL(use, on_passage, sendfile64, __NR_sendfile)
AT_CALL(use, on_passage, copy_file_range, __NR_copy_file_range)
AT_CALL(use, on_passage, splice, __NR_splice)
AT_CALL(use, on_over, close, __NR_close)
AT_CALL(use, on_over, close_range, __NR_close_range)
AT_CALL(use, on_over, dup2, __NR_dup2)
AT_CALL(use, on_over, dup3, __NR_dup3)

AT_CALL_32(use, on_passage, sys_read, 3)
AT_CALL_32(use, on_passage, sys_write, 4)
AT_CALL_32(use, on_passage, sys_readv, 145)
AT_CALL_32(use, on_passage, sys_writev, 146)
AT_CALL_32(use, on_passage, sys_ia32_pread64, 180)
AT_CALL_32(use, on_passage, sys_ia32_pwrite64, 181)
AT_CALL_32(use, on_passage, compat_sys_sendfile, 187)
AT_CALL_32(use, on_passage, sys_sendfile64, 239)
AT_CALL_32(use, on_passage, sys_splice, 313)
AT_CALL_32(use, on_passage, compat_sys_preadv, 333)
AT_CALL_32(use, on_passage, compat_sys_pwritev, 334)
AT_CALL_32(use, on_passage, sys_copy_file_range, 377)
AT_CALL_32(use, on_passage, compat_sys_preadv2, 378)
AT_CALL_32(use, on_passage, compat_sys_pwritev2, 379)
AT_CALL_32(use, on_over, sys_close, 6)
AT_CALL_32(use, on_over, sys_dup2, 63)
AT_CALL_32(use, on_over, sys_dup3, 330)
AT_CALL_32(use, on_over, sys_close_range, 436)

#endif
