#include "tests/unit/engine/vm_fixture.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sys/stat.h>

#include "daemon/engine/qemu/qemu.h"

#define DEADLINE_MS 20000

static void on_started(struct engine_vm *vm, gpointer data)
{
	struct fixture *f = data;
	struct status status = { 0 };

	f->started++;
	engine_qemu.describe(vm, &status);
	f->pid = status.pid;
	f->supervisor_pid = status.supervisor_pid;
	noun_clear(&status_noun, &status);
}

static void on_adopted(struct engine_vm *vm, gboolean paused, gpointer data)
{
	struct fixture *f = data;

	on_started(vm, data);
	f->started--;
	f->adopted++;
	f->adopted_paused = paused;
}

static void on_resumed(struct engine_vm *vm, gpointer data)
{
	((struct fixture *)data)->resumed++;
}

static void on_paused(struct engine_vm *vm, const char *reason, gpointer data)
{
	struct fixture *f = data;

	f->paused++;
	g_free(f->pause_reason);
	f->pause_reason = g_strdup(reason);
}

static void on_ready(struct engine_vm *vm, gboolean ready, gpointer data)
{
	struct fixture *f = data;

	f->ready = ready;
	f->ready_changes++;
}

static void on_addresses(struct engine_vm *vm, const char *const *addresses, gpointer data)
{
}

static void on_exited(struct engine_vm *vm, const struct engine_exit *end, gpointer data)
{
	struct fixture *f = data;

	f->exited++;
	f->cause = end->cause;
	f->status = end->status;
	f->ended_at = end->ended_at;
	g_free(f->reason);
	f->reason = g_strdup(end->reason);
	g_test_message("exited: cause %d, %s", end->cause, end->reason);
}

static const struct engine_events events = { .started = on_started,
					     .adopted = on_adopted,
					     .resumed = on_resumed,
					     .paused = on_paused,
					     .ready = on_ready,
					     .addresses = on_addresses,
					     .exited = on_exited };

void fixture_init(struct fixture *f, const char *line, enum rom_then then)
{
	memset(f, 0, sizeof(*f));
	f->name = "web";
	f->root = g_dir_make_tmp("polder-test-XXXXXX", NULL);
	g_assert_nonnull(f->root);
	g_chmod(f->root, 0755); /* QEMU reads the ROM under its own uid */
	dirs_init(&f->dirs, f->root, NULL);
	f->engine = engine_qemu.engine_new(&f->dirs);
	f->rom = g_build_filename(f->root, "guest.rom", NULL);
	f->log = g_build_filename(f->dirs.state, "vm", "web", "console.log", NULL);
	g_assert_cmpint(rom_write(f->rom, line, then), ==, 0);
}

static void remove_tree(const char *path)
{
	GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);
		remove_tree(child);
	}
	if (dir)
		g_dir_close(dir);
	g_remove(path);
}

static gboolean reached(gint64 deadline_us)
{
	g_main_context_iteration(NULL, FALSE);
	if (g_get_monotonic_time() > deadline_us)
		return TRUE;
	g_usleep(200); /* between two looks at the condition; the condition decides, not the time */
	return FALSE;
}

/* Whoever was killed together with another may end a moment after it. */
static void await_gone(guint64 pid)
{
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_MS * 1000;

	while (!process_gone(pid))
		g_assert_false(reached(deadline_us));
}

void fixture_clear(struct fixture *f)
{
	g_autofree char *run_dir = dirs_vm_run(&f->dirs, f->name);

	if (f->vm)
		engine_qemu.vm_free(f->vm);
	if (f->pid)
		await_gone(f->pid);
	if (f->supervisor_pid)
		await_gone(f->supervisor_pid);
	engine_qemu.clean(f->engine, f->name);
	g_assert_false(g_file_test(run_dir, G_FILE_TEST_EXISTS));
	engine_qemu.engine_free(f->engine);
	remove_tree(f->root);
	dirs_clear(&f->dirs);
	g_free(f->root);
	g_free(f->rom);
	g_free(f->log);
	g_free(f->pause_reason);
	g_free(f->reason);
}

void fixture_vm_new(struct fixture *f)
{
	struct engine_config config = { .name = f->name,
					.uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
					.run = 3,
					.cpus = 1,
					.memory_bytes = 32 << 20,
					.firmware = f->rom,
					.network = VM_NETWORK_NONE };

	if (f->image) {
		config.firmware = NULL;
		config.kernel = f->image->kernel;
		config.initrd = f->image->initrd;
		config.cmdline = f->image->cmdline;
		config.memory_bytes = 256 << 20;
	}
	g_assert_null(f->vm);
	f->vm = engine_qemu.vm_new(f->engine, &config, &events, f);
}

void fixture_wait(struct fixture *f, const guint *counter, guint n)
{
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_MS * 1000;

	while (*counter < n && !reached(deadline_us)) {
		if (f->exited && counter != &f->exited)
			g_error("the VM ended meanwhile: %s", f->reason);
	}
	g_assert_cmpuint(*counter, ==, n);
}

gboolean fixture_wait_until(struct fixture *f, gboolean (*condition)(struct fixture *f), guint timeout_ms)
{
	gint64 deadline_us = g_get_monotonic_time() + timeout_ms * 1000;

	while (!condition(f))
		if (reached(deadline_us))
			return FALSE;
	return TRUE;
}

void fixture_start(struct fixture *f)
{
	guint n = f->started;

	fixture_vm_new(f);
	engine_qemu.start(f->vm);
	g_assert_cmpuint(f->started, ==, n);
	fixture_wait(f, &f->started, n + 1);
}

void fixture_resume(struct fixture *f)
{
	guint n = f->resumed;

	engine_qemu.resume(f->vm);
	fixture_wait(f, &f->resumed, n + 1);
}

void fixture_forget(struct fixture *f)
{
	engine_qemu.vm_free(f->vm);
	f->vm = NULL;
	engine_qemu.engine_free(f->engine);
	f->engine = engine_qemu.engine_new(&f->dirs);
}

void fixture_adopt(struct fixture *f)
{
	fixture_vm_new(f);
	engine_qemu.adopt(f->vm);
}

void fixture_wait_log(struct fixture *f, const char *text)
{
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_MS * 1000;

	for (;;) {
		g_autofree char *log = NULL;
		if (g_file_get_contents(f->log, &log, NULL, NULL) && strstr(log, text))
			return;
		if (reached(deadline_us))
			g_error("the console never said \"%s\" but: %.100s", text, log ? log : "nothing");
	}
}

char *process_status(guint64 pid, const char *key)
{
	g_autofree char *path = g_strdup_printf("/proc/%" G_GUINT64_FORMAT "/status", pid);
	g_autofree char *text = NULL;
	g_autofree char *start = g_strdup_printf("\n%s:", key);

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return g_strdup("");
	char *line = strstr(text, start);
	if (!line)
		return g_strdup("");
	line += strlen(start);
	return g_strstrip(g_strndup(line, strcspn(line, "\n")));
}

gboolean process_gone(guint64 pid)
{
	g_autofree char *state = process_status(pid, "State");

	return *state == '\0' || *state == 'Z' || *state == 'X';
}
