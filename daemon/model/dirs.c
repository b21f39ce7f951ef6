#include "daemon/model/dirs.h"

#include <unistd.h>

static const char *env(const char *name)
{
	const char *value = g_getenv(name);

	return value && *value ? value : NULL;
}

void dirs_init(struct dirs *dirs, const char *root, const char *socket)
{
	if (!root)
		root = env("POLDER_ROOT");
	if (!socket)
		socket = env("POLDER_SOCKET");

	dirs->system = geteuid() == 0;
	if (root) {
		g_autofree char *absolute = g_canonicalize_filename(root, NULL);

		dirs->state = g_build_filename(absolute, "state", NULL);
		dirs->run = g_build_filename(absolute, "run", NULL);
		dirs->cache = g_build_filename(absolute, "cache", NULL);
	} else if (dirs->system) {
		dirs->state = g_strdup("/var/lib/polder");
		dirs->run = g_strdup("/run/polder");
		dirs->cache = g_strdup("/var/cache/polder");
	} else {
		const char *runtime = env("XDG_RUNTIME_DIR");

		dirs->state = g_build_filename(g_get_user_state_dir(), "polder", NULL);
		dirs->run = runtime ? g_build_filename(runtime, "polder", NULL)
				    : g_strdup_printf("/tmp/polder-%u", (unsigned)geteuid());
		dirs->cache = g_build_filename(g_get_user_cache_dir(), "polder", NULL);
	}
	dirs->socket =
		socket ? g_canonicalize_filename(socket, NULL) : g_build_filename(dirs->run, "polder.sock", NULL);
}

void dirs_clear(struct dirs *dirs)
{
	g_clear_pointer(&dirs->state, g_free);
	g_clear_pointer(&dirs->run, g_free);
	g_clear_pointer(&dirs->cache, g_free);
	g_clear_pointer(&dirs->socket, g_free);
}

char *dirs_vm_run(const struct dirs *dirs, const char *name)
{
	return g_build_filename(dirs->run, "vm", name, NULL);
}

char *dirs_vm_state(const struct dirs *dirs, const char *name)
{
	return g_build_filename(dirs->state, "vm", name, NULL);
}

char *dirs_tool(const char *name)
{
	g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
	const char *libexec = env("POLDER_LIBEXEC");

	if (exe) {
		g_autofree char *dir = g_path_get_dirname(exe);
		g_autofree char *beside = g_build_filename(dir, name, NULL);

		if (g_file_test(beside, G_FILE_TEST_IS_REGULAR))
			return g_steal_pointer(&beside);
	}
	if (libexec)
		return g_build_filename(libexec, name, NULL);
	return g_build_filename(POLDER_LIBEXECDIR, name, NULL);
}
