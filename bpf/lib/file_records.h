/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the file sensor sends; habitus_collector/file_records.py reads it, a test compares the two. */
#ifndef HABITUS_FILE_RECORDS_H
#define HABITUS_FILE_RECORDS_H

#include "records.h"

#define PLACES_MAX 2

enum file_kind {
	RECORD_FILE = 16,
	RECORD_FILE_TOTAL = 17,
};

enum file_op {
	FILE_OP_OPEN = 1,
	FILE_OP_CREATE = 2,
	FILE_OP_RENAME = 3,
	FILE_OP_UNLINK = 4,
	FILE_OP_CHMOD = 5,
	FILE_OP_LINK = 6,
	FILE_OP_MOUNT = 7,
	FILE_OP_READ = 8,
	FILE_OP_WRITE = 9,
	FILE_OP_LOAD = 10,
};

enum file_flag {
	FILE_READ = 1,
	FILE_WRITE = 2,
	FILE_TRUNCATE = 4,
	FILE_APPEND = 8,
	FILE_DIRECTORY = 16,
	FILE_MODE = 32,     /* chmod: of permissions … */
	FILE_OWNER = 64,    /* … or of the owner */
	FILE_SYMBOLIC = 128,
	FILE_EXCHANGE = 256, /* rename: the two changed places */
	FILE_BIND = 512,
	FILE_REMOUNT = 1024,
	FILE_MOVE = 2048,
	FILE_DEVICE = 4096,
	FILE_UNMOUNT = 8192,
	FILE_PIVOT = 16384,
	FILE_CHROOT = 32768,
	FILE_MODULE = 65536,
	FILE_UNLOAD = 131072,
};

/*
 * A path in two parts, one after the other in `data`: what was walked from a kernel object, and
 * the name that the process gave, relative to it. A file that was opened has the first part only.
 */
struct place {
	__u32 walked_length;
	__u32 walked_flags; /* enum path_flag */
	__u32 told_length;
	__u32 told_flags; /* enum told_flag */
};

enum told_flag {
	TOLD_UNREAD = 1, /* the page was not there any more */
};

struct file_record {
	struct record head;
	__u32 op;
	__u32 flags;
	__u32 repeats; /* the same, held back since it was last sent */
	__u32 reserved;
	__u64 value;   /* chmod: the bits, or uid << 32 | gid, with ~0 for what stays; read and write: bytes of this call */
	struct place places[PLACES_MAX]; /* the second: where it is renamed or linked to */
	char data[4 * PATH_BYTES]; /* only what is used is sent */
};

#define FILE_UNTOLD (~0ull)

/*
 * A process is done with an open file, and more was read or written than its file records told.
 * There is no path in it: the first of those records has the same pid and was sent at `first`.
 */
struct file_total_record {
	struct record head;
	__u64 first;
	__u64 read; /* bytes in all; FILE_UNTOLD where there were none, or where that is known by now */
	__u64 written;
};

#endif
