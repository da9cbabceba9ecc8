/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What crosses the ring buffer. habitus_collector/records.py reads the same layout, and a test
 * compares the two. No implicit padding: every gap would carry kernel memory to user space.
 */
#ifndef HABITUS_RECORDS_H
#define HABITUS_RECORDS_H

#include "kernel.h"

#define ANCESTORS_MAX 8
#define PATH_BYTES 4096
#define ARGV_BYTES 16384 /* the highest value of the setting collector.max_argv_bytes */
#define PRELOAD_BYTES 512
#define TTY_BYTES 16
#define LEVELS_MAX 12
#define LEVEL_BYTES 128

/* Of processes and cgroups; files count from 16 (file_records.h), network from 32. */
enum record_kind {
	RECORD_NEW_CGROUP = 1,
	RECORD_EXEC = 2,
	RECORD_FORK = 3,
	RECORD_EXIT = 4,
};

/* Classes of events, as keys of the map `losses`. */
enum loss_class {
	LOSS_PROCESS = 0,
	LOSS_FILE = 1,
	LOSS_NETWORK = 2,
	LOSS_CONTAINER = 3,
	LOSS_CLASSES = 4,
};

/*
 * Keyed hash of exactly the fields that a profile's verdict depends on (token.h). Zero: the event
 * must not be remembered as known, because something of it was cut or could not be read.
 */
struct token {
	__u64 one;
	__u64 two;
};

struct record {
	__u64 time;   /* boot clock, ns */
	__u64 cgroup; /* id of the cgroup v2 that the process is in */
	__u32 kind;
	__u32 pid;    /* as the node sees it: initial pid namespace */
	__u32 ppid;   /* 0: the parent is outside of the container */
	__u32 uid;
	char comm[TASK_COMM_LEN];
	char parent[TASK_COMM_LEN]; /* empty: the parent is outside of the container */
	struct token token;
};

/* Names from the cgroup upwards; the root itself has no name and is left out. */
struct new_cgroup_record {
	struct record head;
	__u32 depth;
	__u32 cut; /* 1: there are more levels above */
	__u64 ids[LEVELS_MAX];
	char names[LEVELS_MAX][LEVEL_BYTES];
};

enum path_flag {
	PATH_CUT = 1,     /* deeper or longer than we walk: the upper part is missing */
	PATH_DELETED = 2, /* no directory holds it any more */
	PATH_NAMELESS = 4 /* it never was in a directory: memfd and the like */
};

enum argv_flag {
	ARGV_CUT = 1,
	ARGV_UNREAD = 2, /* the pages were not there */
};

enum preload_flag {
	PRELOAD_SET = 1,
	PRELOAD_CUT = 2,    /* the value is longer */
	PRELOAD_BEYOND = 4, /* the environment is longer than we look, and has it nowhere before */
	PRELOAD_UNREAD = 8,
};

/* Where the program's file lives. */
enum exe_class {
	EXE_UNKNOWN = 0,
	EXE_IMAGE = 1,
	EXE_WRITABLE = 2,
	EXE_MEMORY = 3,
};

#define EXEC_DATA_BYTES (PATH_BYTES + ARGV_BYTES + 2 * PRELOAD_BYTES + PATH_BYTES)

struct exec_record {
	struct record head;
	__u64 capabilities; /* the effective set */
	__u64 parent_started; /* boot clock, ns; 0: the parent is outside of the container */
	__u32 exe_length;
	__u32 argv_length;
	__u32 preload_length; /* of one or two values, each with a zero byte at its end */
	__u32 cwd_length;
	__u32 ancestor_count;
	__u32 exe_flags;     /* enum path_flag */
	__u32 argv_flags;    /* enum argv_flag */
	__u32 preload_flags; /* enum preload_flag */
	__u32 cwd_flags;     /* enum path_flag */
	__u32 exe_class;     /* enum exe_class */
	__u32 running;       /* 1: it ran before us */
	__u32 reserved;
	char tty[TTY_BYTES];
	char ancestors[ANCESTORS_MAX][TASK_COMM_LEN]; /* the parent first */
	char data[EXEC_DATA_BYTES]; /* exe, argv, preload, cwd: only what is used is sent */
};

struct fork_record {
	struct record head; /* the child */
};

struct exit_record {
	struct record head;
	__u32 code;   /* as given to exit(), 0 … 255 */
	__u32 signal; /* the signal that ended it, or 0 */
};

#endif
