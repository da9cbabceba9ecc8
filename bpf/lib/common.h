/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Included first by every sensor: the kernel's types before libbpf's helpers, and the settings. */
#ifndef HABITUS_COMMON_H
#define HABITUS_COMMON_H

#include "kernel.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "records.h"

/* Frozen when the object is loaded. A section of its own: user space writes the whole struct. */
struct settings {
	__u64 loaded_at; /* boot clock, ns: processes older than this were running before us */
	__u32 max_argv;  /* bytes, at most ARGV_BYTES */
	__u32 file_totals; /* 1: what is read and written of open files is told, too */
	__u64 secret[2]; /* of this run: who does not know it cannot make hashes collide */
};

const volatile struct settings settings SEC(".rodata.settings") = { .max_argv = 4096, .file_totals = 1 };

#endif
