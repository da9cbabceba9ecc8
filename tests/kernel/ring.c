/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Asks the kernel for work through io_uring, one request at a time, without liburing:
 * ring [-p | -w] (open PATH FLAGS | unlink PATH | rmdir PATH | mkdir PATH | rename A B | refused A B |
 * link A B | symlink A B | use A B | connect ADDRESS PORT | unix PATH) …
 * `refused` is a rename that the ring does not take. `use` reads A twice by system calls, closes it by
 * the ring, and does the same with B under the same descriptor, but for the close. `connect` is of IPv4
 * by TCP; that and `unix` only connect by the ring, the socket is made by a system call.
 * -p: a thread of the kernel polls the ring. Ends with the first request's error, or 0.
 * -w: one request, taken at once and said so, done once there is something to read on standard input;
 * nothing is told of its end. Does not end.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define ENTRIES 4

static struct io_uring_params about;
static char *rings;
static struct io_uring_sqe *requests;
static int ring, waits;

static uint32_t *in_submission(uint32_t offset)
{
	return (uint32_t *)(rings + offset);
}

/* Never returns but with an error. */
static int ask_for_later(struct io_uring_sqe request)
{
	static char read;

	requests[0] = (struct io_uring_sqe){ .opcode = IORING_OP_READ, .flags = IOSQE_IO_LINK, .len = 1, .off = -1 };
	requests[0].addr = (uintptr_t)&read;
	requests[1] = request;
	requests[1].flags = IOSQE_CQE_SKIP_SUCCESS;
	in_submission(about.sq_off.array)[0] = 0;
	in_submission(about.sq_off.array)[1] = 1;
	__atomic_store_n(in_submission(about.sq_off.tail), 2, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 2, 0, 0, NULL, 0) != 2 || write(1, "asked\n", 6) != 6)
		return -1;
	for (;;)
		pause();
}

static int ask(struct io_uring_sqe request)
{
	uint32_t tail = *in_submission(about.sq_off.tail), slot = tail & (ENTRIES - 1);
	uint32_t *head = in_submission(about.cq_off.head);
	struct io_uring_cqe *done = (void *)(rings + about.cq_off.cqes);
	int flags = IORING_ENTER_GETEVENTS | (about.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0);
	int result;

	if (waits)
		return ask_for_later(request);
	requests[slot] = request;
	in_submission(about.sq_off.array)[slot] = slot;
	__atomic_store_n(in_submission(about.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, flags, NULL, 0) < 0)
		return -1;
	result = done[*head & *in_submission(about.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static struct io_uring_sqe named(int op, const char *path, const char *other)
{
	struct io_uring_sqe request = { .opcode = op, .fd = AT_FDCWD, .addr = (uintptr_t)path };

	request.addr2 = (uintptr_t)other;
	if (other && op != IORING_OP_SYMLINKAT)
		request.len = AT_FDCWD; /* where the other path starts */
	return request;
}

static int use(const char *path, const char *other)
{
	struct io_uring_sqe request = { .opcode = IORING_OP_CLOSE };
	char room[2];
	int file = open(path, O_RDONLY), next;

	if (file < 0 || read(file, room, 2) != 2 || read(file, room, 1) != 1)
		return -97;
	request.fd = file;
	if (ask(request) < 0)
		return -96;
	next = open(other, O_RDONLY);
	return next == file && read(next, room, 2) == 2 && read(next, room, 2) == 2 ? 0 : -95;
}

static int connect_by_ring(const void *address, size_t size)
{
	struct io_uring_sqe request = { .opcode = IORING_OP_CONNECT, .addr = (uintptr_t)address, .off = size };

	request.fd = socket(*(const sa_family_t *)address, SOCK_STREAM, 0);
	return request.fd < 0 ? -94 : ask(request);
}

static int connect_to(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(strtol(port, NULL, 0)) };

	inet_pton(AF_INET, address, &to.sin_addr);
	return connect_by_ring(&to, sizeof(to));
}

static int connect_to_path(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
	return connect_by_ring(&to, sizeof(to));
}

static int perform(const char *what, const char *path, const char *other)
{
	struct io_uring_sqe request;

	if (!strcmp(what, "use"))
		return use(path, other);
	if (!strcmp(what, "connect"))
		return connect_to(path, other);
	if (!strcmp(what, "unix"))
		return connect_to_path(path);
	if (!strcmp(what, "open")) {
		request = named(IORING_OP_OPENAT, path, NULL);
		request.open_flags = strtol(other, NULL, 0);
		request.len = 0644;
		return ask(request);
	}
	if (!strcmp(what, "mkdir")) {
		request = named(IORING_OP_MKDIRAT, path, NULL);
		request.len = 0755;
		return ask(request);
	}
	if (!strcmp(what, "unlink") || !strcmp(what, "rmdir")) {
		request = named(IORING_OP_UNLINKAT, path, NULL);
		request.unlink_flags = *what == 'r' ? AT_REMOVEDIR : 0;
		return ask(request);
	}
	if (!strcmp(what, "refused")) {
		request = named(IORING_OP_RENAMEAT, path, other);
		request.buf_index = 1;
		return ask(request);
	}
	if (!strcmp(what, "rename"))
		return ask(named(IORING_OP_RENAMEAT, path, other));
	if (!strcmp(what, "link"))
		return ask(named(IORING_OP_LINKAT, path, other));
	return ask(named(IORING_OP_SYMLINKAT, path, other));
}

static int takes_one(const char *what)
{
	return !strcmp(what, "mkdir") || !strcmp(what, "unlink") || !strcmp(what, "rmdir") || !strcmp(what, "unix");
}

int main(int count, char **words)
{
	int i = 1, result;

	if (count > 1 && !strcmp(words[1], "-p")) {
		about = (struct io_uring_params){ .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1000 };
		i++;
	}
	if (count > 1 && !strcmp(words[1], "-w")) {
		waits = 1;
		i++;
	}
	ring = syscall(SYS_io_uring_setup, ENTRIES, &about);
	if (ring < 0)
		return 99;
	rings = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	requests = mmap(NULL, ENTRIES * sizeof(*requests), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (rings == MAP_FAILED || requests == MAP_FAILED)
		return 98;
	while (i + 1 < count) {
		int one = takes_one(words[i]);

		result = perform(words[i], words[i + 1], one ? NULL : words[i + 2]);
		if (result < 0)
			return -result;
		i += one ? 2 : 3;
	}
	return 0;
}
