// SPDX-License-Identifier: Apache-2.0
// Stands in for every program of the demo's image: it looks at its own name, waits and leaves.
// It opens no file and no socket, so the demo's "miners" mine nothing and reach nobody.
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : (argc > 0 ? argv[0] : "");
	struct timespec wait = { .tv_sec = 0, .tv_nsec = 5 * 1000 * 1000 };

	if (strcmp(name, "pause") == 0)
		for (;;)
			pause();
	nanosleep(&wait, NULL);
	return 0;
}
