/* Real QEMU under TCG with a ROM guest: the life of a VM, with and without the agent. */
#include "tests/unit/engine/vm_fixture.h"

#include <signal.h>
#include <stdio.h>

#include "daemon/engine/qemu/qemu.h"
#include "daemon/model/error.h"
#include "daemon/model/ids.h"

static guint count_fds(void)
{
	g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
	guint n = 0;

	while (g_dir_read_name(dir))
		n++;
	return n;
}

static void end(struct fixture *f)
{
	engine_qemu.kill(f->vm);
	fixture_wait(f, &f->exited, 1);
	fixture_clear(f);
}

/* Returns how many file descriptors we have in the end. */
static guint live(void)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", ROM_REPEAT);
	fixture_start(&f);
	g_assert_false(g_file_test(f.log, G_FILE_TEST_EXISTS) && f.resumed);
	fixture_resume(&f);
	fixture_wait_log(&f, "HELLO");
	engine_qemu.pause(f.vm);
	fixture_wait(&f, &f.paused, 1);
	g_assert_null(f.pause_reason);
	engine_qemu.pause(f.vm); /* again: answered again, harmless */
	fixture_wait(&f, &f.paused, 2);
	fixture_resume(&f);
	engine_qemu.kill(f.vm);
	g_assert_cmpuint(f.exited, ==, 0);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_STOPPED);
	g_assert_cmpuint(f.status, ==, 128 + SIGKILL);
	g_assert_cmpint(ABS(g_get_real_time() - f.ended_at), <, 10 * G_USEC_PER_SEC);
	g_autofree char *socket = g_build_filename(f.dirs.run, "vm", "web", "qmp.sock", NULL);
	g_assert_false(g_file_test(socket, G_FILE_TEST_EXISTS));
	fixture_clear(&f);
	return count_fds();
}

static void test_life(void)
{
	guint fds = live(); /* the first time, GLib opens some of its own */

	g_assert_cmpuint(live(), ==, fds);
}

static void test_adopt(void)
{
	struct fixture f;
	g_autofree char *uuid = NULL;
	guint64 run = 0;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_start(&f);
	guint64 pid = f.pid, supervisor = f.supervisor_pid;
	fixture_forget(&f);
	g_auto(GStrv) names = engine_qemu.scan(f.engine);
	g_assert_cmpuint(g_strv_length(names), ==, 1);
	g_assert_cmpstr(names[0], ==, "web");
	g_assert_true(engine_qemu.intent(f.engine, "web", &uuid, &run));
	g_assert_cmpuint(run, ==, 3);
	g_assert_cmpstr(uuid, ==, "6ba7b810-9dad-41d1-80b4-00c04fd430c8");
	engine_qemu.clean(f.engine, "web"); /* it runs: nothing happens */
	fixture_adopt(&f);
	fixture_wait(&f, &f.adopted, 1);
	g_assert_true(f.adopted_paused);
	g_assert_cmpuint(f.pid, ==, pid);
	g_assert_cmpuint(f.supervisor_pid, ==, supervisor);
	fixture_resume(&f);
	fixture_wait_log(&f, "HELLO");
	fixture_forget(&f);
	fixture_adopt(&f);
	fixture_wait(&f, &f.adopted, 2);
	g_assert_false(f.adopted_paused);
	end(&f);
}

/* It ends while no agent is there; the next one is told why. */
static void ended_alone(int signal, gboolean supervisor, enum engine_exit_cause cause, const char *reason)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_start(&f);
	fixture_forget(&f);
	kill((pid_t)(supervisor ? f.supervisor_pid : f.pid), signal);
	fixture_adopt(&f);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, cause);
	g_assert_nonnull(strstr(f.reason, reason));
	fixture_clear(&f);
}

static void test_ended_alone(void)
{
	ended_alone(SIGKILL, FALSE, ENGINE_EXIT_CRASH, "signal 9");
	ended_alone(SIGKILL, TRUE, ENGINE_EXIT_LOST, "polder-vm was killed");
	ended_alone(SIGTERM, FALSE, ENGINE_EXIT_CRASH, "terminating on signal 15");
}

static void test_ended_by_others(void)
{
	const struct {
		int signal;
		gboolean supervisor;
		enum engine_exit_cause cause;
		const char *reason;
	} rows[] = {
		{ SIGKILL, TRUE, ENGINE_EXIT_LOST, "polder-vm was killed" },
		{ SIGKILL, FALSE, ENGINE_EXIT_CRASH, "signal 9" },
		{ SIGABRT, FALSE, ENGINE_EXIT_CRASH, "signal 6" },
		{ SIGTERM, TRUE, ENGINE_EXIT_CRASH, "terminating on signal 15" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct fixture f;
		fixture_init(&f, "HELLO\n", ROM_HALT);
		fixture_start(&f);
		fixture_resume(&f);
		kill((pid_t)(rows[i].supervisor ? f.supervisor_pid : f.pid), rows[i].signal);
		fixture_wait(&f, &f.exited, 1);
		g_assert_cmpint(f.cause, ==, rows[i].cause);
		g_assert_nonnull(strstr(f.reason, rows[i].reason));
		g_autofree char *socket = g_build_filename(f.dirs.run, "vm", "web", "guest.sock", NULL);
		g_assert_false(g_file_test(socket, G_FILE_TEST_EXISTS));
		fixture_clear(&f);
	}
}

static void guest_ends(enum rom_then then, enum engine_exit_cause cause, guint status, gboolean alone)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", then);
	fixture_start(&f);
	fixture_resume(&f);
	if (alone) {
		/* The agent dies in the same moment: only what was written down is left to tell. */
		fixture_forget(&f);
		f.exited = 0;
		gint64 deadline_us = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
		while (!process_gone(f.pid) && g_get_monotonic_time() < deadline_us)
			g_usleep(1000);
		fixture_adopt(&f);
	}
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, cause);
	g_assert_cmpuint(f.status, ==, status);
	g_assert_cmpuint(f.paused, ==, 0);
	fixture_clear(&f);
}

static void test_guest_ends(void)
{
	guest_ends(ROM_POWEROFF, ENGINE_EXIT_SHUTDOWN, 0, FALSE);
	guest_ends(ROM_POWEROFF, ENGINE_EXIT_SHUTDOWN, 0, TRUE);
	guest_ends(ROM_PANIC, ENGINE_EXIT_PANIC, 1, FALSE);
	guest_ends(ROM_PANIC, ENGINE_EXIT_PANIC, 1, TRUE);
}

static void test_acpi(void)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", ROM_BUTTON);
	fixture_start(&f);
	fixture_resume(&f);
	fixture_wait_log(&f, "HELLO\n");
	g_assert_false(engine_qemu.shutdown(f.vm, ENGINE_SHUTDOWN_AGENT)); /* a ROM has none */
	/* The guest enables the button after its line; pressed before that, the press is lost. */
	while (!f.exited) {
		g_assert_true(engine_qemu.shutdown(f.vm, ENGINE_SHUTDOWN_ACPI));
		gint64 until_us = g_get_monotonic_time() + 200000;
		while (!f.exited && g_get_monotonic_time() < until_us)
			g_main_context_iteration(NULL, FALSE);
	}
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_STOPPED);
	g_assert_cmpuint(f.status, ==, 0);
	fixture_clear(&f);
}

static void test_start_fails(void)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	g_assert_cmpint(unlink(f.rom), ==, 0);
	fixture_vm_new(&f);
	engine_qemu.start(f.vm);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_START_FAILED);
	g_assert_nonnull(strstr(f.reason, "guest.rom"));
	g_assert_cmpuint(f.started, ==, 0);
	fixture_clear(&f);

	fixture_init(&f, "HELLO\n", ROM_HALT);
	g_free(f.rom);
	f.rom = g_strdup("relative.rom");
	fixture_vm_new(&f);
	engine_qemu.start(f.vm);
	g_assert_cmpuint(f.exited, ==, 0);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_START_FAILED);
	g_assert_nonnull(strstr(f.reason, "relative.rom"));
	fixture_clear(&f);
}

static void test_twice(void)
{
	struct fixture f, g;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_start(&f);
	g = f;
	g.vm = NULL;
	g.reason = g.pause_reason = NULL;
	fixture_vm_new(&g);
	engine_qemu.start(g.vm);
	fixture_wait(&g, &g.exited, 1);
	g_assert_cmpint(g.cause, ==, ENGINE_EXIT_START_FAILED);
	g_assert_nonnull(strstr(g.reason, "runs already"));
	engine_qemu.vm_free(g.vm);
	g_free(g.reason);
	fixture_resume(&f); /* the first was not touched */
	end(&f);
}

static void test_kill_early(void)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_vm_new(&f);
	engine_qemu.kill(f.vm);
	g_assert_cmpuint(f.exited, ==, 0);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_STOPPED);
	fixture_clear(&f);

	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_vm_new(&f);
	engine_qemu.start(f.vm);
	engine_qemu.kill(f.vm);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_STOPPED);
	g_assert_cmpuint(f.started, ==, 0);
	fixture_clear(&f);
}

static void test_confined(void)
{
	struct fixture f;
	struct {
		const char *key, *expect;
	} rows[] = { { "NoNewPrivs", "1" },
		     { "Seccomp", "2" },
		     { "CapEff", "0000000000000000" },
		     { "CapPrm", "0000000000000000" } };

	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_start(&f);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *value = process_status(f.pid, rows[i].key);
		g_assert_cmpstr(value, ==, rows[i].expect);
	}
	if (geteuid() == 0) {
		g_autofree char *uids = process_status(f.pid, "Uid");
		g_autofree char *gids = process_status(f.pid, "Gid");
		g_autofree char *groups = process_status(f.pid, "Groups");
		g_autofree char *expect = g_strdup_printf("%u\t%u\t%u\t%u", POLDER_VM_UID_FIRST, POLDER_VM_UID_FIRST,
							  POLDER_VM_UID_FIRST, POLDER_VM_UID_FIRST);
		g_autofree char *caps = process_status(f.supervisor_pid, "CapEff");
		g_assert_cmpstr(uids, ==, expect);
		g_assert_cmpstr(gids, ==, expect);
		g_assert_cmpstr(groups, ==, "");
		g_assert_cmpstr(caps, ==, "0000000000000020"); /* CAP_KILL alone */
	}
	/* Nothing of ours is open in QEMU. */
	g_autofree char *fds = g_strdup_printf("/proc/%" G_GUINT64_FORMAT "/fd", f.pid);
	g_autoptr(GDir) dir = g_dir_open(fds, 0, NULL);
	const char *name;
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(fds, name, NULL);
		g_autofree char *target = g_file_read_link(path, NULL);
		g_assert_false(target && g_str_has_prefix(target, f.root));
	}
	end(&f);
}

static guint uid_of(const struct fixture *f)
{
	g_autofree char *uids = process_status(f->pid, "Uid");

	return (guint)g_ascii_strtoull(uids, NULL, 10);
}

/* Each VM that runs has a uid of its own, also for an agent that did not start the others. */
static void test_uids(void)
{
	struct fixture f, g;

	if (geteuid() != 0) {
		g_test_skip("only root can give VMs users of their own");
		return;
	}
	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_start(&f);
	guint first = uid_of(&f);
	g_assert_cmpuint(first, ==, POLDER_VM_UID_FIRST);
	fixture_forget(&f);
	g = f;
	g.name = "db";
	fixture_start(&g);
	g_assert_cmpuint(uid_of(&g), ==, POLDER_VM_UID_FIRST + 1);
	fixture_adopt(&f);
	fixture_wait(&f, &f.adopted, 1);
	engine_qemu.kill(f.vm);
	fixture_wait(&f, &f.exited, 1);
	engine_qemu.vm_free(f.vm);
	f.vm = NULL;
	engine_qemu.kill(g.vm);
	fixture_wait(&g, &g.exited, 1);
	engine_qemu.vm_free(g.vm);
	/* Cleaned, its uid is free; the other keeps its own when it is started again. */
	engine_qemu.clean(f.engine, "db");
	f.exited = 0;
	fixture_start(&f);
	g_assert_cmpuint(uid_of(&f), ==, first);
	g_free(g.reason);
	end(&f);
}

static gboolean has_note(struct fixture *f)
{
	struct status status = { 0 };

	engine_qemu.describe(f->vm, &status);
	gboolean found = status.notes && strstr(status.notes[0], "monitor");
	noun_clear(&status_noun, &status);
	return found;
}

static gboolean has_no_note(struct fixture *f)
{
	return !has_note(f);
}

/* QMP that stalls: the VM is marked, not ended; it comes back by itself, and can be killed meanwhile. */
static void test_stall(void)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_start(&f);
	fixture_resume(&f);
	fixture_forget(&f);
	kill((pid_t)f.pid, SIGSTOP);
	((struct qemu_engine *)f.engine)->qmp_timeout_ms = 200;
	((struct qemu_engine *)f.engine)->reconnect_ms = 50;
	fixture_adopt(&f);
	fixture_wait(&f, &f.adopted, 1);
	g_assert_true(has_note(&f));
	engine_qemu.pause(f.vm);
	kill((pid_t)f.pid, SIGCONT);
	g_assert_true(fixture_wait_until(&f, has_no_note, 20000));
	fixture_wait(&f, &f.paused, 1);
	kill((pid_t)f.pid, SIGSTOP);
	end(&f);
}

/* Found so early that QEMU was not yet forked: then as soon as it answers. */
static void test_found_early(void)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	fixture_start(&f);
	fixture_forget(&f);
	guint64 pid = f.pid;
	g_autofree char *child = g_build_filename(f.dirs.run, "vm", "web", "child", NULL);
	g_autofree char *aside = g_strconcat(child, ".aside", NULL);
	g_assert_cmpint(rename(child, aside), ==, 0);
	kill((pid_t)pid, SIGSTOP);
	fixture_adopt(&f);
	while (((struct qemu_vm *)f.vm)->phase != PHASE_CONNECTING)
		g_main_context_iteration(NULL, FALSE);
	g_assert_cmpint(((struct qemu_vm *)f.vm)->process.child, ==, 0);
	g_assert_cmpint(rename(aside, child), ==, 0);
	kill((pid_t)pid, SIGCONT);
	fixture_wait(&f, &f.adopted, 1);
	g_assert_cmpuint(f.pid, ==, pid);
	end(&f);
}

static void test_recovery(void)
{
	struct fixture f;
	g_autofree char *uuid = NULL;
	guint64 run;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	g_auto(GStrv) none = engine_qemu.scan(f.engine);
	g_assert_cmpuint(g_strv_length(none), ==, 0);
	/* A start cut short before its intent was written. */
	g_autofree char *run_dir = dirs_vm_run(&f.dirs, "web");
	g_assert_cmpint(g_mkdir_with_parents(run_dir, 0700), ==, 0);
	g_auto(GStrv) names = engine_qemu.scan(f.engine);
	g_assert_cmpuint(g_strv_length(names), ==, 0);
	g_assert_false(g_file_test(run_dir, G_FILE_TEST_EXISTS));
	/* One that can't be read. */
	g_autofree char *unreadable = g_build_filename(run_dir, "intent", NULL);
	g_assert_cmpint(g_mkdir_with_parents(run_dir, 0700), ==, 0);
	g_assert_true(g_file_set_contents(unreadable, "?", 1, NULL));
	g_auto(GStrv) one = engine_qemu.scan(f.engine);
	g_assert_cmpuint(g_strv_length(one), ==, 1);
	g_assert_false(engine_qemu.intent(f.engine, "web", &uuid, &run));
	fixture_adopt(&f);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_CUT_SHORT);
	fixture_clear(&f);
	/* The host was restarted since. */
	fixture_init(&f, "HELLO\n", ROM_HALT);
	g_autofree char *run_dir2 = dirs_vm_run(&f.dirs, "web");
	g_assert_cmpint(g_mkdir_with_parents(run_dir2, 0700), ==, 0);
	struct intent intent = { .name = (char *)"web",
				 .uuid = (char *)"6ba7b810-9dad-41d1-80b4-00c04fd430c8",
				 .engine = (char *)"qemu",
				 .accelerator = (char *)"tcg",
				 .boot_id = (char *)"other",
				 .console_log = (char *)"/nowhere",
				 .run = 1,
				 .uid = 0 };
	g_assert_true(intent_write(run_dir2, &intent, NULL));
	fixture_adopt(&f);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_LOST);
	g_assert_nonnull(strstr(f.reason, "restarted"));
	fixture_clear(&f);
}

static void test_again(void)
{
	struct fixture f;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	for (guint i = 1; i <= 2; i++) {
		fixture_start(&f);
		engine_qemu.kill(f.vm);
		fixture_wait(&f, &f.exited, 1);
		engine_qemu.vm_free(f.vm);
		f.vm = NULL;
		f.exited = 0;
	}
	fixture_clear(&f);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/qemu/life", test_life);
	g_test_add_func("/qemu/adopt", test_adopt);
	g_test_add_func("/qemu/ended-alone", test_ended_alone);
	g_test_add_func("/qemu/ended-by-others", test_ended_by_others);
	g_test_add_func("/qemu/guest-ends", test_guest_ends);
	g_test_add_func("/qemu/acpi", test_acpi);
	g_test_add_func("/qemu/start-fails", test_start_fails);
	g_test_add_func("/qemu/twice", test_twice);
	g_test_add_func("/qemu/kill-early", test_kill_early);
	g_test_add_func("/qemu/confined", test_confined);
	g_test_add_func("/qemu/uids", test_uids);
	g_test_add_func("/qemu/stall", test_stall);
	g_test_add_func("/qemu/found-early", test_found_early);
	g_test_add_func("/qemu/recovery", test_recovery);
	g_test_add_func("/qemu/again", test_again);
	return g_test_run();
}
