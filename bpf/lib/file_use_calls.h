/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which descriptors a system call read and wrote, and of which it ended the use. */
#ifndef HABITUS_FILE_USE_CALLS_H
#define HABITUS_FILE_USE_CALLS_H

#include "file_numbers.h"

#include <linux/close_range.h>

#define NO_FD -1

struct passage {
	int from; /* bytes were read of this descriptor, … */
	int to;   /* … and written to this one; NO_FD: of none */
};

/* Descriptors first … last; none where last < first. */
struct ended {
	__u32 first;
	__u32 last;
};

static __always_inline struct passage passage_of(const struct arguments *is)
{
	switch (is->number) {
	case __NR_sendfile:
		return (struct passage){ .from = is->b, .to = is->a };
	case __NR_copy_file_range:
	case __NR_splice:
		return (struct passage){ .from = is->a, .to = is->c };
	case __NR_write:
	case __NR_pwrite64:
	case __NR_writev:
	case __NR_pwritev:
	case __NR_pwritev2:
		return (struct passage){ .from = NO_FD, .to = is->a };
	}
	return (struct passage){ .from = is->a, .to = NO_FD };
}

static __always_inline struct ended ended_by(const struct arguments *is)
{
	__u32 a = is->a, b = is->b;

	if (is->number == __NR_close)
		return (struct ended){ a, a };
	if (is->number == __NR_close_range)
		return is->c & CLOSE_RANGE_CLOEXEC ? (struct ended){ 1, 0 } : (struct ended){ a, b };
	return a == b ? (struct ended){ 1, 0 } : (struct ended){ b, b }; /* dup2 and dup3 close what was there */
}

#endif
