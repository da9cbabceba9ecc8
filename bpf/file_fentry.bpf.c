/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What file.bpf.c says, by programs at the kernel's own functions (fentry, fexit) and not at the end
 * of every system call: who does nothing to files pays nothing, and paths come from what the kernel
 * understood. Loaded first; where a kernel refuses it, file.bpf.c is
 * (docs/decisions/0016-the-cheapest-rung-that-loads.md).
 *
 * What gives an open file another path is read off the kernel's own counters alone (moves.h): they
 * are odd while somebody is at it. Where the kernel hides them, nothing is remembered by place.
 */
#define SLOTS 4
#define MOVES_BY_LOCKS
#include "lib/file_activity.h"
#include "lib/file_intents.h"
#include "lib/file_uses.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MAX_ERRNO 4095

static __always_inline bool is_error(const void *pointer)
{
	return (__u64)pointer >= (__u64)-MAX_ERRNO;
}

/* A deed to an open file. */
static __always_inline int on_file(struct file *file, __u32 op, __u32 flags)
{
	struct scratch *scratch;
	struct who who;

	if (!is_watched(&who) || (op == FILE_OP_OPEN && is_asked_of_ring(who.task)))
		return 0;
	scratch = begin(who.cgroup, who.profile);
	if (!scratch)
		return 0;
	one(&scratch->call, op, flags, 0, 0);
	name_deed(scratch);
	scratch->file = (__u64)file;
	if (see_file(scratch->slot))
		on_seen(scratch, who.task);
	finish(scratch);
	return 0;
}

/* A deed to a place. */
static __always_inline int on_place(const struct path *path, __u32 op, __u32 flags, __u64 value)
{
	struct spot at = spot_of(path);
	struct scratch *scratch;
	struct who who;

	if (!is_watched(&who))
		return 0;
	scratch = begin(who.cgroup, who.profile);
	if (!scratch)
		return 0;
	valued(&scratch->call, op, flags, 0, 0, value);
	name_deed(scratch);
	see_spot(scratch, &at);
	on_seen(scratch, who.task);
	finish(scratch);
	return 0;
}

SEC("fexit/do_filp_open")
int BPF_PROG(on_open, int fd, struct filename *name, const struct open_flags *how, struct file *file)
{
	if (is_error(file) || how->open_flag & FMODE_EXEC)
		return 0;
	return on_file(file, FILE_OP_OPEN, opened(how->open_flag));
}

SEC("fexit/file_open_root") /* open_by_handle_at() */
int BPF_PROG(on_open_by_handle, const struct path *root, const char *name, int flags, __u16 mode, struct file *file)
{
	return is_error(file) ? 0 : on_file(file, FILE_OP_OPEN, opened(flags));
}

SEC("fentry/security_path_unlink")
int BPF_PROG(before_unlink, const struct path *folder, struct dentry *entry)
{
	return intend_entry(folder, entry, FILE_OP_UNLINK, 0);
}

SEC("fexit/vfs_unlink")
int BPF_PROG(on_unlink, void *ids, struct inode *folder, struct dentry *entry)
{
	return fulfil(ctx, (__u64)entry, NULL);
}

SEC("fentry/security_path_rmdir")
int BPF_PROG(before_rmdir, const struct path *folder, struct dentry *entry)
{
	return intend_entry(folder, entry, FILE_OP_UNLINK, FILE_DIRECTORY);
}

/* By whomever on this node, through whatever: its inode number may be used anew (moves.h). */
SEC("fentry/vfs_rmdir")
int BPF_PROG(before_folder_goes)
{
	count_move();
	return 0;
}

SEC("fexit/vfs_rmdir")
int BPF_PROG(on_rmdir, void *ids, struct inode *folder, struct dentry *entry)
{
	count_move();
	return fulfil(ctx, (__u64)entry, NULL);
}

SEC("fentry/security_path_mkdir")
int BPF_PROG(before_mkdir, const struct path *folder, struct dentry *entry)
{
	return intend_entry(folder, entry, FILE_OP_CREATE, FILE_DIRECTORY);
}

SEC("fexit/vfs_mkdir")
int BPF_PROG(on_mkdir, void *ids, struct inode *folder, struct dentry *entry)
{
	return fulfil(ctx, (__u64)entry, NULL);
}

/* Also asked when an open makes a file (told by the open), and for the name of a socket (the network's). */
SEC("fentry/security_path_mknod")
int BPF_PROG(before_mknod, const struct path *folder, struct dentry *entry, __u16 mode)
{
	return (mode & S_IFMT) == S_IFSOCK ? 0 : intend_entry(folder, entry, FILE_OP_CREATE, made(mode));
}

SEC("fexit/vfs_mknod")
int BPF_PROG(on_mknod, void *ids, struct inode *folder, struct dentry *entry)
{
	return fulfil(ctx, (__u64)entry, NULL);
}

SEC("fexit/vfs_create") /* mknod() of a plain file */
int BPF_PROG(on_create, void *ids, struct inode *folder, struct dentry *entry)
{
	return fulfil(ctx, (__u64)entry, NULL);
}

SEC("fentry/security_path_symlink")
int BPF_PROG(before_symlink, const struct path *folder, struct dentry *entry)
{
	struct intent *intent = intend((__u64)entry, FILE_OP_LINK, FILE_SYMBOLIC);

	if (!intent)
		return 0;
	intent->from[0] = (struct spot){};
	add_entry(intent, 1, folder, entry);
	return 0;
}

SEC("fexit/vfs_symlink")
int BPF_PROG(on_symlink, void *ids, struct inode *folder, struct dentry *entry, const char *text)
{
	return fulfil(ctx, (__u64)entry, text);
}

SEC("fentry/security_path_link")
int BPF_PROG(before_link, struct dentry *old, const struct path *folder, struct dentry *entry)
{
	struct intent *intent = intend((__u64)entry, FILE_OP_LINK, 0);

	if (!intent)
		return 0;
	intent->from[0] = (struct spot){ old, BPF_CORE_READ(folder, mnt) }; /* a link crosses no mount */
	add_entry(intent, 1, folder, entry);
	return 0;
}

SEC("fexit/vfs_link")
int BPF_PROG(on_link, struct dentry *old, void *ids, struct inode *folder, struct dentry *entry)
{
	return fulfil(ctx, (__u64)entry, NULL);
}

SEC("fentry/security_path_rename")
int BPF_PROG(before_rename, const struct path *old_folder, struct dentry *old, const struct path *new_folder,
	     struct dentry *new, unsigned int flags)
{
	struct intent *intent = intend((__u64)old, FILE_OP_RENAME, renamed(flags));

	if (!intent)
		return 0;
	add_entry(intent, 0, old_folder, old);
	add_entry(intent, 1, new_folder, new);
	return 0;
}

SEC("fexit/vfs_rename")
int BPF_PROG(on_rename, struct renamedata *what)
{
	return fulfil(ctx, (__u64)what->old_dentry, NULL);
}

SEC("fexit/chmod_common")
int BPF_PROG(on_chmod, const struct path *path, __u16 mode)
{
	return succeeded(ctx) ? on_place(path, FILE_OP_CHMOD, FILE_MODE, mode & S_IALLUGO) : 0;
}

SEC("fexit/chown_common")
int BPF_PROG(on_chown, const struct path *path, __u32 user, __u32 group)
{
	return succeeded(ctx) ? on_place(path, FILE_OP_CHMOD, FILE_OWNER, owners(user, group)) : 0;
}

SEC("fexit/vfs_truncate")
int BPF_PROG(on_truncate, const struct path *path)
{
	return succeeded(ctx) ? on_place(path, FILE_OP_WRITE, FILE_TRUNCATE, 0) : 0;
}

SEC("fexit/do_truncate")
int BPF_PROG(on_ftruncate, void *ids, struct dentry *entry, long length, unsigned int times, struct file *file)
{
	if (!file || times & ATTR_OPEN || !(times & ATTR_MTIME) || !succeeded(ctx))
		return 0;
	return on_file(file, FILE_OP_WRITE, FILE_TRUNCATE);
}

SEC("fexit/path_mount")
int BPF_PROG(on_mount, const char *source, struct path *path, const char *type, unsigned long flags)
{
	struct intent *intent = succeeded(ctx) ? intend((__u64)path, FILE_OP_MOUNT, mounted(flags)) : NULL;

	if (!intent)
		return 0;
	intent->from[0] = spot_of(path);
	return tell_intent(0);
}

SEC("fentry/path_umount")
int BPF_PROG(before_umount, struct path *path)
{
	struct intent *intent = intend((__u64)path, FILE_OP_MOUNT, FILE_UNMOUNT);

	if (intent)
		intent->from[0] = below(path);
	return 0;
}

SEC("fexit/path_umount")
int BPF_PROG(on_umount, struct path *path)
{
	return fulfil(ctx, (__u64)path, NULL);
}

SEC("fentry/security_move_mount")
int BPF_PROG(before_move_mount, const struct path *from, const struct path *to)
{
	struct intent *intent = intend(CALL_MOVE_MOUNT, FILE_OP_MOUNT, 0);

	if (intent)
		intent->from[0] = spot_of(to);
	return 0;
}

SEC("fentry/security_sb_pivotroot")
int BPF_PROG(before_pivot_root, const struct path *old, const struct path *new)
{
	struct intent *intent = intend(CALL_PIVOT_ROOT, FILE_OP_MOUNT, FILE_PIVOT);

	if (intent)
		intent->from[0] = below(new);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_thread_gone, struct task_struct *task)
{
	return user_is_gone(task);
}

#include "lib/file_fentry_calls.h"
