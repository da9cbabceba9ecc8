/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which requests of io_uring are file activity; the names in them were copied by the kernel already. */
#ifndef HABITUS_URING_CALL_H
#define HABITUS_URING_CALL_H

#include "file_call.h"
#include "kernel_uring.h"

static __always_inline struct named named(int fd, const struct filename *name)
{
	return (struct named){ fd, BPF_CORE_READ(name, name) };
}

/* What the file is to be opened for; whether it was made is not known yet. */
static __always_inline __u32 opening(__u64 how)
{
	__u64 way = how & O_ACCMODE;
	__u32 flags = opened(how);

	flags |= way == O_WRONLY ? 0 : FILE_READ;
	flags |= way == O_RDONLY ? 0 : FILE_WRITE;
	flags |= how & O_APPEND ? FILE_APPEND : 0;
	return flags | (how & O_DIRECTORY ? FILE_DIRECTORY : 0);
}

static __always_inline bool describe_open(struct call *call, struct io_open *open)
{
	__u64 how = BPF_CORE_READ(open, how.flags);

	if (how & O_PATH)
		return false; /* opens nothing */
	*call = (struct call){ .op = how & O_CREAT ? FILE_OP_CREATE : FILE_OP_OPEN, .flags = opening(how) };
	call->at[0] = named(BPF_CORE_READ(open, dfd), BPF_CORE_READ(open, filename));
	return true;
}

static __always_inline bool describe_rename(struct call *call, struct io_rename *rename)
{
	return two(call, FILE_OP_RENAME, renamed(BPF_CORE_READ(rename, flags)),
		   named(BPF_CORE_READ(rename, old_dfd), BPF_CORE_READ(rename, oldpath)),
		   named(BPF_CORE_READ(rename, new_dfd), BPF_CORE_READ(rename, newpath)));
}

static __always_inline bool describe_link(struct call *call, struct io_link *link, bool symbolic)
{
	return two(call, FILE_OP_LINK, symbolic ? FILE_SYMBOLIC : 0,
		   named(symbolic ? AT_FDCWD : BPF_CORE_READ(link, old_dfd), BPF_CORE_READ(link, oldpath)),
		   named(BPF_CORE_READ(link, new_dfd), BPF_CORE_READ(link, newpath)));
}

static __always_inline bool describe_unlink(struct call *call, struct io_unlink *unlink)
{
	*call = (struct call){ .op = FILE_OP_UNLINK, .flags = unlinked(BPF_CORE_READ(unlink, flags)) };
	call->at[0] = named(BPF_CORE_READ(unlink, dfd), BPF_CORE_READ(unlink, filename));
	return true;
}

static __always_inline bool describe_mkdir(struct call *call, struct io_mkdir *mkdir)
{
	*call = (struct call){ .op = FILE_OP_CREATE, .flags = FILE_DIRECTORY };
	call->at[0] = named(BPF_CORE_READ(mkdir, dfd), BPF_CORE_READ(mkdir, filename));
	return true;
}

/* Fills `call`; false for every request that is none of ours. */
static __always_inline bool describe_request(struct call *call, struct io_kiocb *request)
{
	void *command = (void *)request + bpf_core_field_offset(struct io_kiocb, cmd);

	switch (request->opcode) {
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
		return describe_open(call, command);
	case IORING_OP_RENAMEAT:
		return describe_rename(call, command);
	case IORING_OP_UNLINKAT:
		return describe_unlink(call, command);
	case IORING_OP_MKDIRAT:
		return describe_mkdir(call, command);
	case IORING_OP_SYMLINKAT:
		return describe_link(call, command, true);
	case IORING_OP_LINKAT:
		return describe_link(call, command, false);
	default:
		return false;
	}
}

#endif
