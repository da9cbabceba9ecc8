/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writes the record of a deed: the walked paths, the names, and the token of both. */
#ifndef HABITUS_FILE_SEND_H
#define HABITUS_FILE_SEND_H

#include "file_see.h"
#include "head.h"
#include "known.h"

#define TOKEN_BYTES 1024 /* of paths: what is longer is never known, and always sent */

/* Keeps the layouts in the object's BTF, where the test of file_records.py reads them. */
const struct file_record *layout_file __attribute__((unused));
const enum file_kind *layout_kind __attribute__((unused));
const enum file_op *layout_op __attribute__((unused));
const enum file_flag *layout_flag __attribute__((unused));
const enum told_flag *layout_told __attribute__((unused));

/* Appends both parts of a path to `data`; returns how many bytes of it are used. */
static __always_inline __u32 add_place(struct scratch *scratch, struct walk *walk, int i, __u32 used)
{
	struct file_record *record = &scratch->record;
	struct place *place = &record->places[i];
	__u32 told = place->told_length;

	if (used > PATH_BYTES * 2)
		return used; /* never: for the verifier */
	place->walked_flags = place->walked_length = 0;
	if (scratch->from[i].dentry) {
		walk_from(walk, scratch->from[i].dentry, scratch->from[i].mnt);
		place->walked_flags = walk->flags;
		place->walked_length = copy_walked(&record->data[used], walk);
		used += place->walked_length;
	}
	if (!told || told >= PATH_BYTES)
		return used;
	bpf_probe_read_kernel(&record->data[used], told, scratch->told[i]);
	return used + told;
}

/*
 * Fills places and data of the record in `file_scratch`; returns how many bytes of data are used.
 * This and the next are global functions: the verifier looks at each once, not on every way to it.
 */
__noinline int add_places(__u32 slot, int two)
{
	struct scratch *scratch = bpf_map_lookup_elem(&file_scratch, &slot);
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);
	__u32 used;

	if (!scratch || !walk)
		return 0; /* never: for the verifier */
	used = add_place(scratch, walk, 0, 0);
	if (two)
		return add_place(scratch, walk, 1, used);
	__builtin_memset(&scratch->record.places[1], 0, sizeof(scratch->record.places[1]));
	return used;
}

static __always_inline bool is_whole(const struct place *place)
{
	return !(place->walked_flags & PATH_CUT) && !(place->told_flags & TOLD_UNREAD) &&
	       place->told_length < PATH_BYTES - 1;
}

/*
 * Puts the token into the record in `file_scratch`: its image, the process's name, what was done,
 * and both paths in full. 0, and the token zero, where a part of them is missing.
 */
__noinline int add_token(__u32 slot, __u32 profile, __u32 used)
{
	struct scratch *scratch = bpf_map_lookup_elem(&file_scratch, &slot);
	struct file_record *record;
	struct sip sip;

	if (!scratch)
		return 0; /* never: for the verifier */
	record = &scratch->record;
	record->head.token = (struct token){};
	if (used > TOKEN_BYTES || !is_whole(&record->places[0]) || !is_whole(&record->places[1]))
		return 0;
	*(__u64 *)&record->data[used] = 0;
	token_begin(&sip, TOKEN_FILE, profile);
	token_comm(&sip, record->head.comm);
	sip_word(&sip, (__u64)record->op << 32 | record->flags);
	sip_word(&sip, record->value);
	sip_word(&sip, (__u64)record->places[0].walked_length << 32 | record->places[0].walked_flags);
	sip_word(&sip, (__u64)record->places[1].walked_length << 32 | record->places[1].walked_flags);
	sip_word(&sip, (__u64)record->places[0].told_length << 32 | record->places[1].told_length);
	token_text(&sip, record->data, used, TOKEN_BYTES);
	token_end(&sip, &record->head.token);
	return 1;
}

/* False: the ring has no room. */
static __always_inline bool send(struct file_record *record, const struct deed *deed, struct task_struct *task,
				 __u32 used)
{
	struct token token = record->head.token;

	fill_head(&record->head, RECORD_FILE, task, deed->cgroup);
	record->head.token = token;
	if (used > sizeof(record->data))
		return true; /* never: for the verifier */
	return bpf_ringbuf_output(&ring, record, offsetof(struct file_record, data) + used, 0) == 0;
}

#endif
