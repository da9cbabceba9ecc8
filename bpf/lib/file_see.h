/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finds what a deed was about: a file or a place as the kernel holds it, or names as they were given. */
#ifndef HABITUS_FILE_SEE_H
#define HABITUS_FILE_SEE_H

#include "file_call.h"
#include "repeats.h"
#include "slots.h"
#include "walk.h"
#include "way.h"

#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_PATH 0x4000
#define FMODE_CREATED 0x100000
#define OPEN_NAMELESS 020000000 /* of O_TMPFILE, without the O_DIRECTORY in it */

/* Where a walk starts; no dentry: there is none. The kernel's `struct path` may be laid out otherwise. */
struct spot {
	struct dentry *dentry;
	struct vfsmount *mnt;
};

/* Larger than the stack. */
struct scratch {
	struct spot from[PLACES_MAX];
	char told[PLACES_MAX][PATH_BYTES + 8]; /* a word more, for the token */
	__u64 file; /* the open one, as an address: a typed pointer can be given to no global function */
	int slot;   /* which of the pieces this is */
	struct call call;
	struct deed deed;
	struct decision now;
	struct file_record record;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct scratch);
} file_scratch SEC(".maps");

/* What is read of an open file. */
struct sight {
	__u32 mode;
	__u32 flags;
	__u32 kind;
	struct spot at;
};

static __always_inline struct spot spot_of(const struct path *path)
{
	return (struct spot){ BPF_CORE_READ(path, dentry), BPF_CORE_READ(path, mnt) };
}

static __always_inline struct file *file_of(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = task->files->fdt;
	struct file *file = NULL;

	if (fd < table->max_fds)
		bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
	return file;
}

static __always_inline __u64 mount_id(struct mount *mount)
{
	if (bpf_core_field_exists(mount->mnt_id_unique))
		return BPF_CORE_READ(mount, mnt_id_unique);
	return BPF_CORE_READ(mount, mnt_id);
}

/* Both twice: by loads, and by helper calls where the kernel is too old for loads. */
static __always_inline void look_at(struct sight *sight, struct file *at)
{
	struct file *file;

	if (DIRECT) {
		file = AS(struct file, at);
		sight->mode = file->f_mode;
		sight->flags = file->f_flags;
		sight->kind = file->f_inode->i_mode;
		sight->at = (struct spot){ file->f_path.dentry, file->f_path.mnt };
		return;
	}
	sight->mode = BPF_CORE_READ(at, f_mode);
	sight->flags = BPF_CORE_READ(at, f_flags);
	sight->kind = BPF_CORE_READ(at, f_inode, i_mode);
	sight->at = (struct spot){ BPF_CORE_READ(at, f_path.dentry), BPF_CORE_READ(at, f_path.mnt) };
}

static __always_inline void identify(struct identity *is, const struct spot *at)
{
	struct dentry *dentry = at->dentry;
	struct mount *mount = mount_of(at->mnt);

	if (DIRECT) {
		dentry = AS(struct dentry, dentry);
		mount = AS(struct mount, mount);
		is->parent = (__u64)dentry->d_parent;
		is->name = dentry->d_name.hash_len;
		is->inode = dentry->d_inode->i_ino;
		is->parent_inode = dentry->d_parent->d_inode->i_ino;
		is->mount = bpf_core_field_exists(mount->mnt_id_unique) ? mount->mnt_id_unique : (__u64)mount->mnt_id;
		is->way = needs_way() ? way_up(dentry, mount) : 0;
		return;
	}
	is->parent = (__u64)BPF_CORE_READ(dentry, d_parent);
	is->name = BPF_CORE_READ(dentry, d_name.hash_len);
	is->inode = BPF_CORE_READ(dentry, d_inode, i_ino);
	is->parent_inode = BPF_CORE_READ(dentry, d_parent, d_inode, i_ino);
	is->mount = mount_id(mount);
	is->way = needs_way() ? bpf_ktime_get_ns() : 0; /* no kernel is known that is so old and hides them */
}

/* The place in the kernel tells the deed. */
static __always_inline void see_spot(struct scratch *scratch, const struct spot *at)
{
	identify(&scratch->now.identity, at);
	scratch->deed.place[0] = (__u64)at->dentry;
	scratch->deed.place[1] = (__u64)at->mnt;
	scratch->from[0] = *at;
}

/* What the file was opened for, by the file itself. */
static __always_inline void fill_open(struct deed *deed, const struct sight *sight)
{
	if (sight->mode & FMODE_CREATED || sight->flags & OPEN_NAMELESS)
		deed->op = FILE_OP_CREATE;
	if (sight->mode & FMODE_READ)
		deed->flags |= FILE_READ;
	if (sight->mode & FMODE_WRITE)
		deed->flags |= FILE_WRITE;
	if (sight->flags & O_APPEND)
		deed->flags |= FILE_APPEND;
	if ((sight->kind & S_IFMT) == S_IFDIR)
		deed->flags |= FILE_DIRECTORY;
}

/* Is it a file whose bytes are its own: a regular one, or a disk? `kind`: its mode. */
static __always_inline bool is_kept(__u32 kind)
{
	return (kind & S_IFMT) == S_IFREG || (kind & S_IFMT) == S_IFBLK;
}

static __always_inline bool keeps_bytes(struct file *file)
{
	return is_kept(DIRECT ? AS(struct file, file)->f_inode->i_mode : BPF_CORE_READ(file, f_inode, i_mode));
}

/*
 * The file in the piece `slot` of `file_scratch` is there: its place in the kernel tells the deed that is
 * begun in it. 0 for O_PATH, which opens nothing. A global function: what it needs of the stack is
 * given back.
 */
__noinline int see_file(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&file_scratch, &slot);
	struct sight sight;
	__u64 how;

	if (!scratch || !scratch->file)
		return 0;
	look_at(&sight, (struct file *)scratch->file);
	if (scratch->call.op == FILE_OP_OPEN) {
		if (sight.mode & FMODE_PATH)
			return 0;
		if (scratch->call.how_at && !bpf_probe_read_user(&how, sizeof(how), scratch->call.how_at))
			scratch->deed.flags |= opened(how);
		fill_open(&scratch->deed, &sight);
	}
	see_spot(scratch, &sight.at);
	return 1;
}

/* Where the name that the process gave starts: root, working directory, or an open directory. */
static __always_inline struct spot start_of(struct task_struct *task, int fd, char first)
{
	struct file *file;

	if (first == '/')
		return spot_of(&task->fs->root);
	if (fd == AT_FDCWD)
		return spot_of(&task->fs->pwd);
	file = file_of(task, fd);
	return file ? spot_of(&file->f_path) : (struct spot){};
}

static __always_inline bool see_name(struct scratch *scratch, const struct named *at, struct task_struct *task, int i)
{
	struct place *place = &scratch->record.places[i];
	char *told = scratch->told[i];
	long length;

	length = bpf_probe_read_user_str(told, PATH_BYTES, at->name);
	place->told_flags = length > 0 ? 0 : TOLD_UNREAD;
	length = length > 0 ? length - 1 : 0;
	if (length >= PATH_BYTES)
		return false; /* never: for the verifier */
	place->told_length = length;
	scratch->from[i] = start_of(task, at->fd, told[0]);
	return scratch->from[i].dentry != NULL;
}

static __always_inline bool see_names(struct scratch *scratch, const struct call *call, struct task_struct *task)
{
	if (!call->at[0].name) {
		scratch->from[0] = call->at[0].fd == NEW_ROOT ? spot_of(&task->fs->root) : (struct spot){};
		scratch->record.places[0] = (struct place){};
		return true;
	}
	if (!see_name(scratch, &call->at[0], task, 0))
		return false;
	return !call->two || see_name(scratch, &call->at[1], task, 1);
}

#endif
