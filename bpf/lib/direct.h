/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An address that was read as a number becomes a typed pointer again: what it points to is then
 * read by plain loads (the kernel catches a bad one and gives zero), some times cheaper than a
 * helper call for each field. Kernels before 6.2 lack the function and take the helper.
 */
#ifndef HABITUS_DIRECT_H
#define HABITUS_DIRECT_H

#include "common.h"

extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

#define DIRECT bpf_ksym_exists(bpf_rdonly_cast)
#define AS(type, address) ((type *)bpf_rdonly_cast((address), bpf_core_type_id_kernel(type)))
/* One field, whether or not the kernel has the function. */
#define LOAD(type, address, field) \
	(DIRECT ? AS(struct type, address)->field : BPF_CORE_READ((struct type *)(address), field))

#endif
