#include "guest/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
		fprintf(stderr, "polder: module %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void modules_load(const char *list_path)
{
	char path[256];
	FILE *list = fopen(list_path, "re");

	if (!list) {
		fprintf(stderr, "polder: %s: %s\n", list_path, strerror(errno));
		return;
	}
	while (fgets(path, sizeof(path), list)) {
		path[strcspn(path, "\n")] = 0;
		if (path[0])
			load(path);
	}
	fclose(list);
}
