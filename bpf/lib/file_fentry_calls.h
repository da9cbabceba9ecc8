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

/*
 * Reads and writes, and what ends the use of descriptors. The kernel checks all that a program calls
 * anew for each function that it hangs on, so those that hang there are short and go over to one that
 * is checked once. It is attached nowhere itself (libbpf.py), and loaded for a function like theirs:
 * since 6.12 all of them must be of one prototype.
 */
SEC("fexit/__x64_sys_read")
int BPF_PROG(then_use, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 number = (__u32)regs->orig_ax & ~X32_BIT;
	struct arguments is;

	barrier_var(number); /* or clang looks up with another register than the one that it checked */
	if (number >= NUMBERS_MAX || !take(&is, regs, task, number))
		return 0;
	if (numbers[is.number & (NUMBERS_MAX - 1)] & NUMBER_ENDS)
		return on_over(&is, result);
	return on_passage(&is, result);
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, int(void *));
} go_over SEC(".maps") = {
	.values = { [0] = (void *)&then_use },
};

/* `hook`: "?fexit", where not every kernel has the function. `when`: what can be asked before. */
#define GO_OVER(hook, function, when)                                                      \
	SEC(hook "/__" #function)                                                          \
	int BPF_PROG(use_##function, struct pt_regs *regs, long result)                    \
	{                                                                                  \
		if (when)                                                                  \
			bpf_tail_call(ctx, &go_over, 0);                                   \
		return 0;                                                                  \
	}
#define PASSES(call) GO_OVER("fexit", x64_sys_##call, result > 0)
#define PASSES_32(call) GO_OVER("?fexit", ia32_##call, result > 0)
#define IS_END (result >= 0 && *(volatile __u64 *)&uses_open)
#define ENDS(call) GO_OVER("fexit", x64_sys_##call, IS_END)
#define ENDS_32(call) GO_OVER("?fexit", ia32_##call, IS_END)

PASSES(read)
PASSES(pread64)
PASSES(readv)
PASSES(preadv)
PASSES(preadv2)
PASSES(write)
PASSES(pwrite64)
PASSES(writev)
PASSES(pwritev)
PASSES(pwritev2)
PASSES(sendfile64)
PASSES(splice)
ENDS(close)
ENDS(close_range)
ENDS(dup2)
ENDS(dup3)
PASSES_32(sys_read)
PASSES_32(sys_write)
PASSES_32(sys_readv)
PASSES_32(sys_writev)
PASSES_32(sys_ia32_pread64)
PASSES_32(sys_ia32_pwrite64)
PASSES_32(compat_sys_sendfile)
PASSES_32(sys_sendfile64)
PASSES_32(sys_splice)
PASSES_32(compat_sys_preadv)
PASSES_32(compat_sys_pwritev)
PASSES_32(compat_sys_preadv2)
PASSES_32(compat_sys_pwritev2)
ENDS_32(sys_close)
ENDS_32(sys_close_range)
ENDS_32(sys_dup2)
ENDS_32(sys_dup3)

/* Of another prototype: a kernel may be built without it. */
AT_CALL(use, on_passage, copy_file_range, __NR_copy_file_range)
AT_CALL_32(use, on_passage, sys_copy_file_range, 377)

#endif
