/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's types that only functions of its file systems are given, as kernel.h has the others. */
#ifndef HABITUS_KERNEL_FS_H
#define HABITUS_KERNEL_FS_H

#include "kernel_uring.h"

#define FMODE_EXEC 0x20        /* in the flags of an open: by execve; no program can set it */
#define ATTR_MTIME (1 << 5)    /* do_truncate() is called for ftruncate() … */
#define ATTR_OPEN (1 << 15)    /* … or for open() */
#define S_IFSOCK 0140000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct open_flags {
	int open_flag;
};

struct renamedata {
	struct dentry *old_dentry;
};

#pragma clang attribute pop

#endif
