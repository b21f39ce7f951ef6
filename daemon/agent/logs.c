#include "daemon/agent/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void logs_remove(const struct dirs *dirs, const char *name)
{
	g_autofree char *path = dirs_vm_state(dirs, name);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		if (errno != ENOENT)
			g_warning("remove the logs of vm %s: %s: %s", name, path, g_strerror(errno));
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(dir);
	if (rmdir(path) < 0)
		g_warning("remove the logs of vm %s: %s: %s", name, path, g_strerror(errno));
}
