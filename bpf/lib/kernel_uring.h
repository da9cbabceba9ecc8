/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's types of io_uring, as kernel.h has the others. */
#ifndef HABITUS_KERNEL_URING_H
#define HABITUS_KERNEL_URING_H

#include "common.h"

#define PF_IO_WORKER 0x10 /* a thread that the kernel made to work for a ring */

/* enum io_uring_op, a part of the system call interface: numbers never change */
#define IORING_OP_CONNECT 16
#define IORING_OP_OPENAT 18
#define IORING_OP_OPENAT2 28
#define IORING_OP_RENAMEAT 35
#define IORING_OP_UNLINKAT 36
#define IORING_OP_MKDIRAT 37
#define IORING_OP_SYMLINKAT 38
#define IORING_OP_LINKAT 39

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct filename {
	const char *name;
};

struct io_cmd_data {
};

struct io_kiocb {
	struct io_cmd_data cmd;
	__u8 opcode;
};

/* One of these lies in `cmd`, by the request's opcode. */
struct open_how___kernel {
	__u64 flags;
};

struct io_open {
	int dfd;
	struct filename *filename;
	struct open_how___kernel how;
};

struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_unlink {
	int dfd;
	int flags;
	struct filename *filename;
};

struct io_mkdir {
	int dfd;
	struct filename *filename;
};

/* also of a symbolic link, where only new_dfd counts */
struct io_link {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
};

struct task_struct___flags {
	unsigned int flags;
};

#pragma clang attribute pop

#endif
