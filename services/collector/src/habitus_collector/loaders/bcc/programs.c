/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs, on raw tracepoints: they need no tracefs and stand on every kernel since 4.17. An open is
 * read from the file that the call gave, a connect from the socket; the names of unlink and rename
 * are read from the caller's memory, where a thread may have changed them meanwhile.
 */

RAW_TRACEPOINT_PROBE(cgroup_mkdir)
{
	struct cgroup *group = (void *)ctx->args[0];
	struct cgroup_root *root = NULL;
	struct group_record *record;
	int zero = 0, hierarchy = -1;

	GET(root, group->root);
	GET(hierarchy, root->hierarchy_id);
	record = groups.lookup(&zero);
	if (hierarchy || !record) /* 0: the tree of cgroup v2 */
		return 0;
	record->head.time = bpf_ktime_get_ns();
	record->head.kind = KIND_GROUP;
	record->head.cgroup = group_id(group);
	bpf_probe_read_kernel_str(record->path, TEXT, (void *)ctx->args[1]);
	out_container.perf_submit(ctx, record, sizeof(*record));
	return 0;
}

static inline struct task_struct *climb(struct exec_record *record, struct task_struct *task, u64 group)
{
	struct task_struct *ancestor = parent_of(task), *outside = NULL;
	u32 pid = 0;

	record->names = 0;
	for (int i = 0; i < NAMES; i++) {
		GET(pid, ancestor->tgid);
		if (!pid || !same_container(group_of(ancestor), group)) {
			outside = ancestor;
			break;
		}
		bpf_probe_read_kernel(record->ancestors[i], COMM, ancestor->comm);
		record->names = i + 1;
		ancestor = parent_of(ancestor);
	}
	return outside;
}

static inline void read_argv(struct exec_record *record, struct mm_struct *mm)
{
	unsigned long start = 0, end = 0, length;

	GET(start, mm->arg_start);
	GET(end, mm->arg_end);
	length = end - start;
	record->argv_flags = 0;
	if (length > ARGV_LIMIT) {
		length = ARGV_LIMIT;
		record->argv_flags = ARGV_CUT;
	}
	length &= ARGV_BYTES - 1;
	record->argv_length = length;
	if (bpf_probe_read_user(record->argv, length, (void *)start))
		record->argv_flags = ARGV_UNREAD;
}

RAW_TRACEPOINT_PROBE(sched_process_exec)
{
	struct task_struct *task = (void *)ctx->args[0];
	u64 group = bpf_get_current_cgroup_id();
	struct task_struct *outside;
	struct exec_record *record;
	struct mm_struct *mm = NULL;
	struct file *exe = NULL;
	int zero = 0;
	u32 pid = 0;

	record = execs.lookup(&zero);
	if (!record || !wanted(group))
		return 0;
	outside = climb(record, task, group);
	if (!has_arrived(task, group)) {
		if (outside && mounts_of(outside) == mounts_of(task))
			return 0;
		GET(pid, task->tgid);
		arrived.update(&pid, &group);
	}
	fill_head(&record->head, KIND_EXEC, task, group);
	GET(mm, task->mm);
	GET(exe, mm->exe_file);
	walk(&record->exe, &exe->f_path);
	read_argv(record, mm);
	out_process.perf_submit(ctx, record, sizeof(*record));
	return 0;
}

RAW_TRACEPOINT_PROBE(sched_process_fork)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	u64 group = group_of(child);
	struct exit_record record = {};
	u32 thread = 0, pid = 0;

	GET(thread, child->pid);
	GET(pid, child->tgid);
	if (thread != pid || !wanted(group) || !has_arrived(parent, group))
		return 0;
	if (!same_container(group, bpf_get_current_cgroup_id()))
		return 0; /* a runtime puts a child into a container: it has not arrived */
	arrived.update(&pid, &group);
	fill_head(&record.head, KIND_FORK, child, group);
	out_process.perf_submit(ctx, &record, sizeof(record));
	return 0;
}

RAW_TRACEPOINT_PROBE(sched_process_exit)
{
	struct task_struct *task = (void *)ctx->args[0];
	u64 group = bpf_get_current_cgroup_id();
	struct signal_struct *signals = NULL;
	struct exit_record record = {};
	u32 status = 0, pid = 0;
	int threads = 1;

	GET(signals, task->signal);
	GET(threads, signals->live.counter);
	if (threads || !wanted(group) || !has_arrived(task, group))
		return 0; /* other threads of the process go on */
	GET(pid, task->tgid);
	arrived.delete(&pid);
	GET(status, task->exit_code);
	fill_head(&record.head, KIND_EXIT, task, group);
	record.code = (status >> 8) & 0xff;
	record.signal = status & 0x7f;
	out_process.perf_submit(ctx, &record, sizeof(record));
	return 0;
}

#if WATCH_FILE || WATCH_NETWORK
static inline struct file *file_at(struct task_struct *task, u32 number)
{
	struct files_struct *files = NULL;
	struct fdtable *table = NULL;
	struct file **open = NULL, *file = NULL;
	u32 limit = 0;

	GET(files, task->files);
	GET(table, files->fdt);
	GET(limit, table->max_fds);
	if (number >= limit)
		return NULL;
	GET(open, table->fd);
	bpf_probe_read_kernel(&file, sizeof(file), &open[number]);
	return file;
}

#if WATCH_FILE
static inline void on_open(void *ctx, struct task_struct *task, u64 group, long opened)
{
	struct file *file = file_at(task, opened);
	struct open_record *record;
	u32 mode = 0;
	int zero = 0;

	record = opens.lookup(&zero);
	if (!record || !file)
		return;
	fill_head(&record->head, KIND_OPEN, task, group);
	GET(record->flags, file->f_flags);
	GET(mode, file->f_mode);
	walk(&record->path, &file->f_path);
	if (mode & 0x100000) /* FMODE_CREATED */
		record->path.flags |= CREATED;
	out_file.perf_submit(ctx, record, sizeof(*record));
}

static inline void begin_name(struct name_record *record, struct task_struct *task, int folder)
{
	struct fs_struct *fs = NULL;
	struct file *file;

	if (folder >= 0) {
		file = file_at(task, folder);
		walk(&record->base, &file->f_path);
	} else {
		GET(fs, task->fs);
		walk(&record->base, &fs->pwd);
	}
}

static inline void on_name(void *ctx, struct task_struct *task, u64 group, u32 op, int folder, u64 name,
			   int new_folder, u64 new_name)
{
	struct name_record *record;
	int zero = 0;

	record = names.lookup(&zero);
	if (!record)
		return;
	fill_head(&record->head, KIND_NAME, task, group);
	record->op = op;
	record->elsewhere = folder != new_folder;
	record->new_name[0] = 0;
	begin_name(record, task, folder);
	if (bpf_probe_read_user_str(record->name, TEXT, (void *)name) < 0)
		return;
	if (op == OP_RENAME)
		bpf_probe_read_user_str(record->new_name, TEXT, (void *)new_name);
	out_file.perf_submit(ctx, record, sizeof(*record));
}

#endif

#if WATCH_NETWORK
static inline void on_flow(void *ctx, struct task_struct *task, u64 group, u32 op, struct sock *sk)
{
	struct flow_record record = {};
	u16 port = 0;

	GET(record.family, sk->__sk_common.skc_family);
	if (record.family != 2 && record.family != 10)
		return; /* neither IPv4 nor IPv6 */
	fill_head(&record.head, KIND_FLOW, task, group);
	record.op = op;
	record.protocol = 6;
	GET(record.local_port, sk->__sk_common.skc_num);
	GET(port, sk->__sk_common.skc_dport);
	record.remote_port = bpf_ntohs(port);
	if (record.family == 2)
		bpf_probe_read_kernel(record.remote, 4, &sk->__sk_common.skc_daddr);
	else
		bpf_probe_read_kernel(record.remote, 16, &sk->__sk_common.skc_v6_daddr);
	out_network.perf_submit(ctx, &record, sizeof(record));
}

static inline void on_accept(void *ctx, struct task_struct *task, u64 group, long accepted)
{
	struct file *file = file_at(task, accepted);
	struct socket *socket = NULL;
	struct sock *sk = NULL;
	u16 type = 0;

	if (!file)
		return;
	GET(socket, file->private_data);
	GET(type, socket->type);
	GET(sk, socket->sk);
	if (type == 1) /* SOCK_STREAM */
		on_flow(ctx, task, group, OP_ACCEPT, sk);
}

/* TCP_CLOSE → TCP_SYN_SENT or TCP_LISTEN: in the calling process, with the peer already in the socket. */
RAW_TRACEPOINT_PROBE(inet_sock_set_state)
{
	struct sock *sk = (void *)ctx->args[0];
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 group = bpf_get_current_cgroup_id();
	int from = ctx->args[1], to = ctx->args[2];

	if (from != 7 || (to != 2 && to != 10) || !wanted(group) || !has_arrived(task, group))
		return 0;
	on_flow(ctx, task, group, to == 2 ? OP_CONNECT : OP_LISTEN, sk);
	return 0;
}
#endif

RAW_TRACEPOINT_PROBE(sys_exit)
{
	struct pt_regs *regs = (void *)ctx->args[0];
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 group = bpf_get_current_cgroup_id();
	long result = ctx->args[1], call = -1;
	u64 a = 0, b = 0, c = 0, d = 0;

	if (result < 0 || !wanted(group))
		return 0;
	GET(call, regs->REGISTER_OF_CALL);
	if (!NAMED(call) || !has_arrived(task, group))
		return 0;
	GET(a, regs->ARGUMENT_1);
	GET(b, regs->ARGUMENT_2);
	GET(c, regs->ARGUMENT_3);
	GET(d, regs->ARGUMENT_4);
#if WATCH_NETWORK
	if (call == CALL_ACCEPT || call == CALL_ACCEPT4)
		on_accept(ctx, task, group, result);
#endif
#if WATCH_FILE
	if (call == CALL_OPEN || call == CALL_OPENAT || call == CALL_OPENAT2 || call == CALL_CREAT)
		on_open(ctx, task, group, result);
	else if (call == CALL_UNLINK || call == CALL_RMDIR)
		on_name(ctx, task, group, OP_UNLINK, -1, a, -1, 0);
	else if (call == CALL_UNLINKAT)
		on_name(ctx, task, group, OP_UNLINK, a, b, a, 0);
	else if (call == CALL_RENAME)
		on_name(ctx, task, group, OP_RENAME, -1, a, -1, b);
	else if (call == CALL_RENAMEAT || call == CALL_RENAMEAT2)
		on_name(ctx, task, group, OP_RENAME, a, b, c, d);
#endif
	return 0;
}
#endif
