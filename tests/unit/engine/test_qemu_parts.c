/* Engine qemu's parts that need no QEMU: command line, fate, run directory, processes. */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/qemu/args.h"
#include "daemon/engine/qemu/fate.h"
#include "daemon/engine/qemu/process.h"
#include "daemon/engine/qemu/rundir.h"
#include "daemon/model/error.h"

#define UUID "6ba7b810-9dad-41d1-80b4-00c04fd430c8"

static struct engine_config good(void)
{
	return (struct engine_config) { .name = "web",
					.uuid = UUID,
					.cpus = 2,
					.memory_bytes = 512u << 20,
					.kernel = "/k/vm,linux",
					.initrd = "/k/initrd",
					.cmdline = "a=b,c $(id) ; \"x",
					.network = VM_NETWORK_USER };
}

static gboolean has(char **argv, const char *option, const char *value)
{
	for (guint i = 0; argv[i]; i++)
		if (!strcmp(argv[i], option) && argv[i + 1] && (!value || !strcmp(argv[i + 1], value)))
			return TRUE;
	return FALSE;
}

static void test_args(void)
{
	struct engine_config config = good();
	const char *publish[] = { "8080:80", "10.0.0.1:53:5353/udp", NULL };

	config.publish = publish;
	g_auto(GStrv) argv = args_new(&config, "/usr/bin/qemu", "tcg", NULL);
	g_assert_nonnull(argv);
	g_assert_cmpstr(argv[0], ==, "/usr/bin/qemu");
	/* Whole arguments: nobody takes them apart again. */
	g_assert_true(has(argv, "-kernel", "/k/vm,linux"));
	g_assert_true(has(argv, "-append", "a=b,c $(id) ; \"x polder.name=web polder.net=user"));
	g_assert_true(has(argv, "-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:10.0.0.1:53-:5353"));
	g_assert_true(has(argv, "-m", "524288K"));
	g_assert_true(has(argv, "-S", NULL));
	g_assert_true(has(argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
	config.network = VM_NETWORK_NONE;
	config.cmdline = NULL;
	g_auto(GStrv) kvm = args_new(&config, "/usr/bin/qemu", "kvm", NULL);
	g_assert_true(has(kvm, "-accel", "kvm"));
	g_assert_true(has(kvm, "-cpu", "host"));
	g_assert_false(has(kvm, "-netdev", NULL));
	g_assert_true(has(kvm, "-append", "polder.name=web polder.net=none"));
	g_autofree char *escaped = args_escape("a,b,,c");
	g_assert_cmpstr(escaped, ==, "a,,b,,,,c");
}

static void refused(const struct engine_config *config, const char *part)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(args_new(config, "/usr/bin/qemu", "tcg", &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, part));
}

static void test_args_refused(void)
{
	struct engine_config config;
	const char *publish[] = { "80:80,guestfwd=tcp:1.2.3.4:5-cmd:id", NULL };

	config = good(), config.name = "../web", refused(&config, "");
	config = good(), config.name = "a,b", refused(&config, "");
	config = good(), config.uuid = "x,y", refused(&config, "x,y");
	config = good(), config.cpus = 0, refused(&config, "0 CPUs");
	config = good(), config.cpus = 100000, refused(&config, "100000");
	config = good(), config.memory_bytes = 1, refused(&config, "1 bytes");
	config = good(), config.kernel = "vmlinux", refused(&config, "vmlinux");
	config = good(), config.kernel = NULL, refused(&config, "neither");
	config = good(), config.initrd = "../x", refused(&config, "../x");
	config = good(), config.publish = publish, refused(&config, "");
}

static void test_fate(void)
{
	static const struct {
		struct exit_record record;
		gboolean no_record;
		struct fate fate;
		enum engine_exit_cause cause;
		const char *part;
	} rows[] = {
		{ { .status = 0 }, FALSE, { .started = TRUE }, ENGINE_EXIT_SHUTDOWN, "powered itself off" },
		{ { .status = 0 }, FALSE, { .started = TRUE, .asked = TRUE }, ENGINE_EXIT_STOPPED, "as asked" },
		{ { .status = 137, .signalled = TRUE },
		  FALSE,
		  { .started = TRUE, .killed = TRUE },
		  ENGINE_EXIT_STOPPED,
		  "as asked" },
		{ { .status = 137, .signalled = TRUE },
		  FALSE,
		  { .started = TRUE, .asked = TRUE },
		  ENGINE_EXIT_CRASH,
		  "signal 9" },
		{ { .status = 139, .signalled = TRUE }, FALSE, { .started = TRUE }, ENGINE_EXIT_CRASH, "signal 11" },
		{ { .status = 159, .signalled = TRUE }, FALSE, { .started = TRUE }, ENGINE_EXIT_CRASH, "sandbox" },
		{ { .status = 1 }, FALSE, { .started = TRUE }, ENGINE_EXIT_PANIC, "panic" },
		{ { .status = 1, .last = (char *)"qemu: warning: slow" },
		  FALSE,
		  { .started = TRUE },
		  ENGINE_EXIT_PANIC,
		  "panic" },
		{ { .status = 1, .last = (char *)"qemu-system-x86_64: no memory" },
		  FALSE,
		  { .started = TRUE },
		  ENGINE_EXIT_CRASH,
		  "status 1: no memory" },
		{ { .status = 1, .last = (char *)"qemu-system-x86_64: -m: bad" },
		  FALSE,
		  { 0 },
		  ENGINE_EXIT_START_FAILED,
		  "refused to start: -m: bad" },
		{ { .status = 1,
		    .last = (char *)"qemu-system-x86_64: -netdev user,id=net,hostfwd=tcp:127.0.0.1:80-:80: "
				    "Could not set up host forwarding rule 'tcp:127.0.0.1:80-:80'" },
		  FALSE,
		  { 0 },
		  ENGINE_EXIT_START_FAILED,
		  "tcp port 80 of 127.0.0.1 can't be published" },
		{ { .status = 137, .signalled = TRUE },
		  FALSE,
		  { .started = TRUE, .boot_loop = TRUE },
		  ENGINE_EXIT_PANIC,
		  "over again and again" },
		{ { .status = 137, .signalled = TRUE },
		  FALSE,
		  { .problem = "QEMU sent garbage" },
		  ENGINE_EXIT_START_FAILED,
		  "garbage" },
		{ { .status = 0, .last = (char *)"qemu-system-x86_64: terminating on signal 15 from pid 7 (x)" },
		  FALSE,
		  { .started = TRUE },
		  ENGINE_EXIT_CRASH,
		  "from outside" },
		{ { 0 }, TRUE, { .started = TRUE }, ENGINE_EXIT_LOST, "supervisor" },
		{ { 0 }, TRUE, { .started = TRUE, .rebooted = TRUE }, ENGINE_EXIT_LOST, "restarted" },
		{ { 0 }, TRUE, { .started = TRUE, .cut_short = TRUE }, ENGINE_EXIT_CUT_SHORT, "cut short" },
		{ { 0 }, TRUE, { .started = TRUE, .killed = TRUE }, ENGINE_EXIT_STOPPED, "as asked" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct exit_record record = rows[i].record;
		struct fate fate = rows[i].fate;
		enum engine_exit_cause cause;
		if (!record.last)
			record.last = (char *)"";
		fate.record = rows[i].no_record ? NULL : &record;
		g_autofree char *reason = fate_decide(&fate, &cause);
		g_test_message("%u: %s", i, reason);
		g_assert_cmpint(cause, ==, rows[i].cause);
		g_assert_nonnull(strstr(reason, rows[i].part));
	}
}

static void test_rundir(void)
{
	g_autofree char *root = g_dir_make_tmp("polder-test-XXXXXX", NULL);
	g_autofree char *run_dir = g_build_filename(root, "vm", "web", NULL);
	g_autofree char *exit_path = g_build_filename(run_dir, "exit", NULL);
	g_autofree char *intent_path = g_build_filename(run_dir, "intent", NULL);
	g_autofree char *parent = g_path_get_dirname(run_dir);
	g_autoptr(GError) error = NULL;
	struct intent wrote = { .name = (char *)"web",
				.uuid = (char *)UUID,
				.engine = (char *)"qemu",
				.accelerator = (char *)"tcg",
				.boot_id = (char *)"b",
				.console_log = (char *)"/l=x",
				.run = G_MAXUINT64,
				.uid = 7 };
	struct intent intent;
	struct exit_record record;
	struct process process;
	GStatBuf st;

	g_assert_false(process_find(run_dir, &process, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_true(rundir_prepare(run_dir, NULL));
	g_assert_cmpint(g_stat(run_dir, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 0777, ==, 0700);
	g_assert_false(intent_read(run_dir, &intent, NULL));
	int launch_fd = rundir_launch_lock(run_dir, 0, NULL);
	g_assert_cmpint(launch_fd, >=, 0);
	g_assert_true(rundir_launching(run_dir));
	g_assert_cmpint(rundir_launch_lock(run_dir, 20, &error), ==, -1);
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT);
	g_clear_error(&error);
	close(launch_fd);
	g_assert_false(rundir_launching(run_dir));
	g_assert_true(intent_write(run_dir, &wrote, NULL));
	g_assert_true(intent_read(run_dir, &intent, NULL));
	g_assert_cmpuint(intent.run, ==, G_MAXUINT64);
	g_assert_cmpuint(intent.uid, ==, 7);
	g_assert_cmpstr(intent.console_log, ==, "/l=x");
	intent_clear(&intent);
	g_assert_true(g_file_set_contents(intent_path, "\xff garbage", -1, NULL));
	g_assert_false(intent_read(run_dir, &intent, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_CORRUPT);
	g_assert_false(exit_record_read(run_dir, &record, NULL));
	g_assert_true(
		g_file_set_contents(exit_path, "status=139\nsignalled=1\nended_at_us=5\nlast=a=b\xff\n", -1, NULL));
	g_assert_true(exit_record_read(run_dir, &record, NULL));
	g_assert_cmpuint(record.status, ==, 139);
	g_assert_true(record.signalled);
	g_assert_true(g_str_has_prefix(record.last, "a=b") && g_utf8_validate(record.last, -1, NULL));
	exit_record_clear(&record);
	rundir_remove(run_dir);
	g_assert_false(g_file_test(run_dir, G_FILE_TEST_EXISTS));
	g_assert_cmpint(g_rmdir(parent), ==, 0);
	g_assert_cmpint(g_rmdir(root), ==, 0);
}

static void test_spawn(void)
{
	char *ok[] = { (char *)"/bin/true", NULL };
	char *bad[] = { (char *)"/bin/sh", (char *)"-c", (char *)"echo it is broken >&2; exit 1", NULL };
	char *none[] = { (char *)"/nonexistent", NULL };
	char *slow[] = { (char *)"/bin/sleep", (char *)"100", NULL };
	char *loud[] = { (char *)"/bin/sh", (char *)"-c", (char *)"head -c 1000000 /dev/zero >&2; exit 1", NULL };
	GError *error = NULL;

	g_assert_true(process_spawn(ok, -1, 10000, NULL));
	g_assert_false(process_spawn(bad, -1, 10000, &error));
	g_assert_cmpstr(error->message, ==, "it is broken");
	g_clear_error(&error);
	g_assert_false(process_spawn(none, -1, 10000, &error));
	g_assert_nonnull(strstr(error->message, "/nonexistent"));
	g_clear_error(&error);
	g_assert_false(process_spawn(slow, -1, 100, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_TIMEOUT);
	g_clear_error(&error);
	g_assert_false(process_spawn(loud, -1, 10000, &error));
	g_clear_error(&error);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/qemu-parts/args", test_args);
	g_test_add_func("/qemu-parts/args-refused", test_args_refused);
	g_test_add_func("/qemu-parts/fate", test_fate);
	g_test_add_func("/qemu-parts/rundir", test_rundir);
	g_test_add_func("/qemu-parts/spawn", test_spawn);
	return g_test_run();
}
