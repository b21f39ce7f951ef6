/* /proc/self/mountinfo and /proc/self/cgroup (after the first empty line), as daemon/cpu reads them. */
#include <string.h>

#include "daemon/cpu/cpu_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	char *cgroup = strstr(text, "\n\n");
	struct cpu_groups groups = { 0 };

	if (cgroup)
		*cgroup++ = '\0';
	cpu_mounts_find(text, cgroup ? cgroup + 1 : "", &groups);
	if (groups.kind != CPU_GROUPS_NONE)
		g_assert_nonnull(groups.base);
	g_free(groups.mount);
	g_free(groups.mount_root);
	g_free(groups.base);
	return 0;
}
