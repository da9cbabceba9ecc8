/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What programs.c builds on. Compiled by bcc on the node itself: against the running kernel's headers,
 * or against its BTF written out as C (HABITUS_BTF). child.py puts the system call numbers (CALL_…),
 * LOADED_AT and ARGV_BYTES before it; records.py reads the records.
 */
#ifndef HABITUS_BTF
#include <linux/dcache.h>
#include <linux/cgroup-defs.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/kernfs.h>
#include <linux/mm_types.h>
#include <linux/mount.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <net/inet_sock.h>
#include <net/sock.h>
#endif

#define PARTS 20
#define PART_BYTES 96
#define STEPS 26
#define NAMES 8
#define COMM 16
#define TEXT 512

#define KIND_GROUP 1
#define KIND_EXEC 2
#define KIND_FORK 3
#define KIND_EXIT 4
#define KIND_OPEN 5
#define KIND_NAME 6
#define KIND_FLOW 7

#define OP_UNLINK 1
#define OP_RENAME 2
#define OP_CONNECT 1
#define OP_ACCEPT 2
#define OP_LISTEN 3

#define PATH_CUT 1
#define CREATED 2
#define PATH_NAMELESS 4
#define ARGV_CUT 1
#define ARGV_UNREAD 2

#define GET(to, from) bpf_probe_read_kernel(&(to), sizeof(to), (void *)&(from))

/* fs/mount.h is private to the kernel. These four have stood at its beginning since Linux 3.3. */
struct mount_head {
	void *hash[2];
	struct mount_head *parent;
	struct dentry *mountpoint;
	struct vfsmount mnt;
};

struct head {
	u64 time; /* CLOCK_MONOTONIC, ns */
	u64 cgroup;
	u32 kind;
	u32 pid;
	u32 ppid;
	u32 uid;
	char comm[COMM];
	char parent[COMM];
};

/* A path from its end upwards. */
struct path_parts {
	u32 count;
	u32 flags;
	char part[PARTS][PART_BYTES];
};

struct group_record {
	struct head head;
	char path[TEXT];
};

struct exec_record {
	struct head head;
	u32 names;
	u32 argv_flags;
	u32 argv_length;
	u32 unused;
	char ancestors[NAMES][COMM];
	struct path_parts exe;
	char argv[ARGV_BYTES];
};

struct exit_record {
	struct head head;
	u32 code;
	u32 signal;
};

struct open_record {
	struct head head;
	u32 flags; /* as open() takes them */
	u32 unused;
	struct path_parts path;
};

struct name_record {
	struct head head;
	u32 op;
	u32 elsewhere; /* 1: a relative new name begins with another folder, which is not told */
	struct path_parts base; /* what a relative name begins with */
	char name[TEXT];
	char new_name[TEXT];
};

struct flow_record {
	struct head head;
	u32 op;
	u16 family;
	u16 protocol;
	u16 remote_port;
	u16 local_port;
	u32 unused;
	u8 remote[16];
};

struct target {
	u64 root;
	u64 ignored;
};

/* A buffer each: a storm of files takes no room from an exec, and what is lost has a class. */
BPF_PERF_OUTPUT(out_process);
BPF_PERF_OUTPUT(out_file);
BPF_PERF_OUTPUT(out_network);
BPF_PERF_OUTPUT(out_container);
BPF_HASH(targets, u64, struct target, 32768);
/* process → the cgroup that it has arrived in */
BPF_TABLE("lru_hash", u32, u64, arrived, 65536);
BPF_PERCPU_ARRAY(execs, struct exec_record, 1);
BPF_PERCPU_ARRAY(opens, struct open_record, 1);
BPF_PERCPU_ARRAY(names, struct name_record, 1);
BPF_PERCPU_ARRAY(groups, struct group_record, 1);

static inline u64 group_id(struct cgroup *group)
{
	struct kernfs_node *node = NULL;
	u64 id = 0;

	GET(node, group->kn);
	bpf_probe_read_kernel(&id, sizeof(id), (void *)&node->id); /* before 5.5 a union of the same size */
	return id;
}

static inline u64 group_of(struct task_struct *task)
{
	struct css_set *set = NULL;
	struct cgroup *group = NULL;

	GET(set, task->cgroups);
	GET(group, set->dfl_cgrp);
	return group_id(group);
}

/* Of a cgroup that nobody sorted yet everything is sent: user space holds it until it knows. */
static inline int wanted(u64 group)
{
	struct target *target = targets.lookup(&group);

	return !target || !target->ignored;
}

static inline int same_container(u64 one, u64 other)
{
	struct target *first, *second;

	if (one == other)
		return 1;
	first = targets.lookup(&one);
	second = targets.lookup(&other);
	return first && second && first->root && first->root == second->root;
}

static inline struct task_struct *parent_of(struct task_struct *task)
{
	struct task_struct *parent = NULL, *leader = NULL;

	GET(parent, task->real_parent);
	GET(leader, parent->group_leader);
	return leader;
}

static inline void *mounts_of(struct task_struct *task)
{
	struct nsproxy *proxy = NULL;
	void *mounts = NULL;

	GET(proxy, task->nsproxy);
	GET(mounts, proxy->mnt_ns);
	return mounts;
}

/* A runtime's own stages have the container's cgroup and still its own mounts: they are no events. */
static inline int has_arrived(struct task_struct *task, u64 group)
{
	u64 born = 0, *in;
	u32 pid = 0;

	GET(born, task->start_time);
	if (born < LOADED_AT)
		return 1;
	GET(pid, task->tgid);
	in = arrived.lookup(&pid);
	return in && same_container(*in, group);
}

static inline void fill_head(struct head *head, u32 kind, struct task_struct *task, u64 group)
{
	struct task_struct *parent = parent_of(task);

	head->time = bpf_ktime_get_ns();
	head->cgroup = group;
	head->kind = kind;
	GET(head->pid, task->tgid);
	head->uid = bpf_get_current_uid_gid();
	head->ppid = 0;
	__builtin_memset(head->parent, 0, COMM);
	bpf_probe_read_kernel(head->comm, COMM, task->comm);
	if (same_container(group_of(parent), group)) {
		GET(head->ppid, parent->tgid);
		bpf_probe_read_kernel(head->parent, COMM, parent->comm);
	}
}

/*
 * From a dentry up to the root of its mount namespace, across mounts: as the core loader names paths. The
 * count lies in the record, where the verifier does not follow it: else its work doubles with each step.
 */
static inline void walk(struct path_parts *parts, struct path *path)
{
	struct dentry *dentry = NULL, *parent = NULL, *top = NULL;
	struct vfsmount *mnt = NULL;
	struct mount_head *mount, *over = NULL;
	const unsigned char *name = NULL;
	u32 at;

	GET(dentry, path->dentry);
	GET(mnt, path->mnt);
	mount = (void *)mnt - offsetof(struct mount_head, mnt);
	parts->count = 0;
	parts->flags = PATH_CUT;
	for (int i = 0; i < STEPS; i++) {
		GET(top, mount->mnt.mnt_root);
		GET(over, mount->parent);
		if (dentry == top) {
			if (over == mount) { /* the root of the namespace */
				parts->flags = 0;
				return;
			}
			GET(dentry, mount->mountpoint);
			mount = over;
			continue;
		}
		at = parts->count;
		if (at >= PARTS)
			return;
		GET(parent, dentry->d_parent);
		GET(name, dentry->d_name.name);
		bpf_probe_read_kernel_str(parts->part[at], PART_BYTES, name);
		parts->count = at + 1;
		if (parent == dentry) { /* a file that lies nowhere, such as a memfd */
			parts->flags = PATH_NAMELESS;
			return;
		}
		dentry = parent;
	}
}
