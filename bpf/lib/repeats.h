/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The same deed of the same program within a second is sent once, and the others are counted.
 * A deed is told by the kernel's own objects, which costs a look-up and no walk: a dentry's name
 * is hashed with its parent's address, so that an address used anew is no repeat. The key is a
 * hash of all that makes a deed, begun with a secret: nobody can choose two deeds that collide.
 */
#ifndef HABITUS_REPEATS_H
#define HABITUS_REPEATS_H

#include "common.h"

#define REPEAT_NS 1000000000ull

struct deed {
	__u64 one;
	__u64 two;
};

struct sent {
	__u64 when;
	__u64 repeats;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct deed);
	__type(value, struct sent);
} deeds SEC(".maps");

static __always_inline void mix(struct deed *deed, __u64 word)
{
	deed->one = (deed->one ^ word) * 0x9e3779b97f4a7c15ull;
	deed->one ^= deed->one >> 32;
	deed->two = (deed->two + word) * 0xd6e8feb86659fd93ull;
	deed->two ^= deed->two >> 29;
}

/* `text` has room for one word more than `length`, and zeros there. */
static __always_inline void mix_text(struct deed *deed, const char *text, __u32 length)
{
	__u32 i;

	mix(deed, length);
	for (i = 0; i < PATH_BYTES / 8; i++) {
		if (i * 8 >= length)
			break;
		mix(deed, *(const __u64 *)&text[i * 8]);
	}
}

/* Who did it: every process of this name in this cgroup is the same. */
static __always_inline void begin(struct deed *deed, struct task_struct *task, __u64 cgroup)
{
	deed->one = settings.secret[0];
	deed->two = settings.secret[1];
	mix(deed, cgroup);
	mix(deed, *(__u64 *)&task->comm[0]);
	mix(deed, *(__u64 *)&task->comm[8]);
}

/* True: hold it back. Else `repeats` is how many were, since it was last sent. */
static __always_inline bool is_repeat(const struct deed *deed, __u32 *repeats)
{
	struct sent *before = bpf_map_lookup_elem(&deeds, deed);
	struct sent now = { .when = bpf_ktime_get_ns() };

	*repeats = 0;
	if (!before) {
		bpf_map_update_elem(&deeds, deed, &now, BPF_ANY);
		return false;
	}
	if (now.when - before->when < REPEAT_NS) {
		before->repeats += 1;
		return true;
	}
	*repeats = before->repeats;
	*before = now;
	return false;
}

/* As if it had not been sent. */
static __always_inline void forget_deed(const struct deed *deed)
{
	bpf_map_delete_elem(&deeds, deed);
}

#endif
