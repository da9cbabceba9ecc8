/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A path from the kernel's own objects: from a dentry up to the root of its mount namespace,
 * across mounts. A chroot inside a container therefore hides nothing. bpf_d_path() is not
 * allowed in these programs. The state lies in a map, where the verifier does not follow it:
 * its work stays linear in the number of steps.
 */
#ifndef HABITUS_WALK_H
#define HABITUS_WALK_H

#include "direct.h"

#define WALK_STEPS 64
#ifndef SLOTS
#define SLOTS 1 /* slots.h */
#endif
#define NAME_BYTES 255

struct walk {
	struct dentry *dentry;
	struct mount *mount;
	__u32 position; /* text[position …] is what was found so far */
	__u32 flags;
	char text[PATH_BYTES + NAME_BYTES + 1];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps");

static __always_inline struct mount *mount_of(struct vfsmount *mount)
{
	return (void *)mount - bpf_core_field_offset(struct mount, mnt);
}

/* Puts "/name" before what was found; false when it does not fit. */
static __always_inline bool prepend(struct walk *walk, struct dentry *dentry)
{
	__u32 length = LOAD(dentry, dentry, d_name.len) & NAME_BYTES;
	__u32 position = walk->position - length - 1;
	char *to;

	if (position >= PATH_BYTES) { /* also when it fell below 0 */
		walk->flags |= PATH_CUT;
		return false;
	}
	to = &walk->text[position];
	barrier_var(to); /* or clang adds the 1 first, to a register that was not checked */
	*to = '/';
	bpf_probe_read_kernel(to + 1, length, LOAD(dentry, dentry, d_name.name));
	walk->position = position;
	return true;
}

/* One step up; false at the end. */
static __always_inline bool step(struct walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct mount *over;
	struct dentry *parent;

	if (dentry == LOAD(mount, mount, mnt.mnt_root)) {
		over = LOAD(mount, mount, mnt_parent);
		if (over == mount)
			return false; /* the root of the namespace */
		walk->dentry = LOAD(mount, mount, mnt_mountpoint);
		walk->mount = over;
		return true;
	}
	parent = LOAD(dentry, dentry, d_parent);
	if (parent == dentry)
		walk->flags |= PATH_NAMELESS;
	if (!prepend(walk, dentry))
		return false;
	walk->dentry = parent;
	return parent != dentry;
}

struct ascent {
	struct walk *walk;
	bool arrived;
};

static long ascend(__u32 i, struct ascent *ascent)
{
	ascent->arrived = !step(ascent->walk);
	return ascent->arrived;
}

/*
 * Fills `walk` with the path of a place. By bpf_loop(), whose step is checked once: every program that
 * walks is checked for itself, and some objects have dozens.
 */
static __always_inline void walk_from(struct walk *walk, struct dentry *dentry, struct vfsmount *mnt)
{
	struct mount *mount = mount_of(mnt);
	struct ascent ascent = { .walk = walk };

	walk->dentry = dentry;
	walk->mount = mount;
	walk->position = PATH_BYTES;
	walk->flags = 0;
	if (dentry != LOAD(mount, mount, mnt.mnt_root) && !LOAD(dentry, dentry, d_hash.pprev))
		walk->flags |= PATH_DELETED;
	bpf_loop(WALK_STEPS, ascend, &ascent, 0);
	if (!ascent.arrived)
		walk->flags |= PATH_CUT;
}

/* Fills `walk` with the path of `path`. */
static __always_inline void walk_up(struct walk *walk, const struct path *path)
{
	/* BPF_CORE_READ relocates every struct that it is shown, so ours must not be in it. */
	walk_from(walk, BPF_CORE_READ(path, dentry), BPF_CORE_READ(path, mnt));
}

/* Copies the path to `to`, which has PATH_BYTES of room; returns its length, 0 for the root. */
static __always_inline __u32 copy_walked(char *to, struct walk *walk)
{
	__u32 position = walk->position;

	if (position >= PATH_BYTES)
		return 0;
	bpf_probe_read_kernel(to, PATH_BYTES - position, &walk->text[position]);
	return PATH_BYTES - position;
}

#endif
