/* Where things are, for each way to say it. */
#include <glib/gstdio.h>
#include <unistd.h>

#include "daemon/model/dirs.h"

static void test_root(void)
{
	struct dirs dirs;
	g_autofree char *run = NULL, *state = NULL;

	dirs_init(&dirs, "/srv/p/", NULL);
	g_assert_cmpstr(dirs.state, ==, "/srv/p/state");
	g_assert_cmpstr(dirs.run, ==, "/srv/p/run");
	g_assert_cmpstr(dirs.cache, ==, "/srv/p/cache");
	g_assert_cmpstr(dirs.socket, ==, "/srv/p/run/polder.sock");
	run = dirs_vm_run(&dirs, "web");
	g_assert_cmpstr(run, ==, "/srv/p/run/vm/web");
	state = dirs_vm_state(&dirs, "web");
	g_assert_cmpstr(state, ==, "/srv/p/state/vm/web");
	dirs_clear(&dirs);
	g_assert_null(dirs.state);
	dirs_clear(&dirs);
}

static void test_environment(void)
{
	struct dirs dirs;

	g_setenv("POLDER_ROOT", "/srv/e", TRUE);
	g_setenv("POLDER_SOCKET", "/srv/s.sock", TRUE);
	dirs_init(&dirs, NULL, NULL);
	g_assert_cmpstr(dirs.run, ==, "/srv/e/run");
	g_assert_cmpstr(dirs.socket, ==, "/srv/s.sock");
	dirs_clear(&dirs);
	dirs_init(&dirs, "/srv/a", "/srv/t.sock");
	g_assert_cmpstr(dirs.run, ==, "/srv/a/run");
	g_assert_cmpstr(dirs.socket, ==, "/srv/t.sock");
	dirs_clear(&dirs);
	g_unsetenv("POLDER_ROOT");
	g_unsetenv("POLDER_SOCKET");
}

static void test_scope(void)
{
	struct dirs dirs;

	dirs_init(&dirs, NULL, NULL);
	g_assert_cmpint(dirs.system, ==, geteuid() == 0);
	if (dirs.system)
		g_assert_cmpstr(dirs.socket, ==, DIRS_SYSTEM_SOCKET);
	g_assert_true(g_path_is_absolute(dirs.state));
	g_assert_true(g_path_is_absolute(dirs.run));
	dirs_clear(&dirs);
}

static void test_tool(void)
{
	g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *name = g_path_get_basename(exe);
	g_autofree char *self = dirs_tool(name), *given = NULL, *installed = NULL;

	g_assert_cmpstr(self, ==, exe);
	g_setenv("POLDER_LIBEXEC", "/srv/tools", TRUE);
	given = dirs_tool("no-such-tool");
	g_assert_cmpstr(given, ==, "/srv/tools/no-such-tool");
	g_unsetenv("POLDER_LIBEXEC");
	installed = dirs_tool("no-such-tool");
	g_assert_true(g_str_has_suffix(installed, "/polder/no-such-tool"));
}

int main(int argc, char **argv)
{
	g_unsetenv("POLDER_ROOT");
	g_unsetenv("POLDER_SOCKET");
	g_unsetenv("POLDER_LIBEXEC");
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/dirs/root", test_root);
	g_test_add_func("/dirs/environment", test_environment);
	g_test_add_func("/dirs/scope", test_scope);
	g_test_add_func("/dirs/tool", test_tool);
	return g_test_run();
}
