/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, as far as our programs read them: names only. Offsets come from the running
 * kernel's BTF when an object is loaded (CO-RE), so neither order nor gaps matter here. See
 * docs/decisions/0002-own-kernel-types.md. A field that kernels renamed has a second struct with
 * a `___` suffix (a CO-RE flavour: the suffix is no part of the name that is looked up).
 */
#ifndef HABITUS_KERNEL_H
#define HABITUS_KERNEL_H

#include <linux/types.h>
#include <stdbool.h>

#ifndef TASK_COMM_LEN
#define TASK_COMM_LEN 16
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* cgroups */
struct kernfs_node {
	__u64 id;
	const char *name;
	struct kernfs_node *__parent; /* since 6.15 */
};

struct kernfs_node___before_6_15 {
	struct kernfs_node *parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

/* files */
struct qstr {
	__u32 len;
	__u64 hash_len; /* the hash of the name, salted with the parent's address, and the length */
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct super_block {
	unsigned long s_flags;
	unsigned long s_magic;
};

struct inode {
	unsigned long i_ino;
	__u16 i_mode;
	struct super_block *i_sb;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	int mnt_id;
	__u64 mnt_id_unique; /* since 6.8: never used anew */
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

/* overlayfs: often a module, and its type is known only while that is loaded */
struct ovl_inode {
	struct inode vfs_inode;
	struct dentry *__upperdentry;
};

struct file {
	__u32 f_mode;
	__u32 f_flags;
	struct inode *f_inode;
	struct path f_path;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct fdtable {
	__u32 max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

/* processes */
struct mnt_namespace;

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

typedef struct {
	__u32 val;
} kuid_t;

/* 64 bits, as one word or (before 6.3) as two: read as a whole */
typedef struct {
} kernel_cap_t;

struct cred {
	kuid_t uid;
	kernel_cap_t cap_effective;
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	unsigned long env_start;
	unsigned long env_end;
	struct file *exe_file;
};

typedef struct {
	int counter;
} atomic_t;

struct tty_struct {
	char name[64];
};

struct signal_struct {
	atomic_t live;
	struct tty_struct *tty;
};

struct thread_info {
	__u32 status; /* x86 */
};

struct pid;

struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	int exit_code;
	__u32 self_exec_id; /* another one after each execve */
	__u64 start_boottime;
	char comm[TASK_COMM_LEN];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct pid *thread_pid;
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	struct signal_struct *signal;
	const struct cred *cred;
};

struct linux_binprm;

/* system calls: x86-64 */
struct pt_regs {
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long r10;
	unsigned long r8;
	unsigned long bx;
	unsigned long cx;
	unsigned long orig_ax;
};

#pragma clang attribute pop

#endif
