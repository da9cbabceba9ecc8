/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops that are timed: workload MODE COUNT FOLDER PORT RATE [CGROUP]
 *
 * Joins CGROUP as a container's runtime does (own mount namespace, then exec), does COUNT
 * operations after a short warm-up, and prints the nanoseconds of one. FOLDER holds the files f0, f1, …
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES 16
#define MILLION 1000000L

static const char *folder;
static int port;
static long rate;
static char names[FILES][256];

static void die(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 * MILLION + time.tv_nsec;
}

static void open_close(long i)
{
	int fd = open(names[i % FILES], O_RDONLY);

	if (fd < 0)
		die(names[i % FILES]);
	close(fd);
}

/* One byte of a file that stays open. */
static void read_one(long i)
{
	static int fd = -1;
	char byte;

	(void)i;
	if (fd < 0)
		fd = open(names[0], O_RDONLY);
	if (pread(fd, &byte, 1, 0) != 1)
		die(names[0]);
}

/* A system call that has nothing to do with files. */
static void call(long i)
{
	(void)i;
	syscall(SYS_getppid);
}

static void spawn(long i)
{
	pid_t child = vfork();
	int status;

	(void)i;
	if (child < 0)
		die("vfork");
	if (!child) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child || status)
		die("/bin/true");
}

static void connect_close(long i)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct linger linger = { 1, 0 }; /* reset at close: no port waits for its time */
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)i;
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof(peer)))
		die("connect");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void mixed(long i)
{
	int at;

	for (at = 0; at < 40; at++)
		open_close(at);
	connect_close(i);
	if (i % 4 == 0)
		spawn(i);
}

/* Every operation is one that nobody saw before, at `rate` operations a second. */
static void fresh(long i)
{
	static int64_t begin;
	char name[300];
	int fd;

	if (!i)
		begin = now();
	while (now() < begin + i * 1000 * MILLION / rate)
		if (i % 64 == 0)
			usleep(200);
	snprintf(name, sizeof(name), "%s/n%ld", folder, i);
	fd = open(name, O_RDONLY);
	if (fd < 0)
		die(name);
	close(fd);
}

/* `rate` turns of the mixed loop a second, at most. */
static void steady(long i)
{
	mixed(i);
	usleep(MILLION / rate);
}

static void join(const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
	if (unshare(CLONE_NEWNS))
		die("unshare");
}

static const struct mode {
	const char *name;
	void (*run)(long);
	long warm;
} modes[] = {
	{ "open", open_close, 2000 }, { "spawn", spawn, 10 },   { "connect", connect_close, 100 },
	{ "read", read_one, 100 },  { "call", call, 100 },
	{ "mixed", mixed, 8 },	      { "fresh", fresh, 0 },	{ "steady", steady, 0 },
};

static const struct mode *mode_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	fprintf(stderr, "workload: no mode %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	const struct mode *mode;
	int64_t begin;
	long count, i;

	if (argc != 6 && argc != 7)
		return 2;
	if (argc == 7) {
		join(argv[6]);
		argv[6] = NULL;
		execv("/proc/self/exe", argv);
		die("exec");
	}
	mode = mode_of(argv[1]);
	count = atol(argv[2]);
	folder = argv[3];
	port = atoi(argv[4]);
	rate = atol(argv[5]);
	for (i = 0; i < FILES; i++)
		snprintf(names[i], sizeof(names[i]), "%s/f%ld", folder, i);
	for (i = 0; i < mode->warm; i++)
		mode->run(i);
	begin = now();
	for (i = 0; i < count; i++)
		mode->run(i);
	printf("%.1f\n", (double)(now() - begin) / count);
	return 0;
}
