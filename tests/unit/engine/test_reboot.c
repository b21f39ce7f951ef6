/* A guest that reboots: QEMU and the VM go on, its agent comes again. With the real image `tiny`, under TCG. */
#include "tests/unit/engine/vm_fixture.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/qemu/qemu.h"
#include "tests/unit/engine/fake_guest.h"
#include "tests/unit/guest/tiny.h"

#define BOOT_MS 120000

static gboolean is_ready(struct fixture *f)
{
	return f->ready || f->exited;
}

static gboolean is_unready(struct fixture *f)
{
	return !f->ready || f->exited;
}

static int open_stream(struct fixture *f, enum engine_stream_kind kind, const char *request)
{
	struct engine_stream stream = { .kind = kind, .request = request };
	g_autoptr(GError) error = NULL;
	int fd = engine_qemu.stream_open(f->vm, &stream, &error);

	g_assert_no_error(error);
	return fd;
}

/* The output of a command that succeeds. Caller frees. */
static char *run(struct fixture *f, const char *request)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autofree char *reason = NULL;
	int fd = open_stream(f, ENGINE_STREAM_EXEC, request);

	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	guint status = fake_collect(fd, out, NULL, &reason);
	if (status)
		g_error("%s: status %u, %s", request, status, reason ? reason : "no reason");
	close(fd);
	return g_strdup(out->str);
}

/* The console says `text` (again). */
static void wait_console(int fd, const char *text)
{
	g_autoptr(GString) out = g_string_new(NULL);
	struct fake_packet packet;

	while (!strstr(out->str, text)) {
		g_assert_true(fake_receive(fd, &packet));
		if (packet.kind != STREAM_STDOUT)
			continue;
		g_string_append_len(out, (const char *)packet.payload, packet.bytes);
		fake_send_u32(fd, STREAM_CREDIT, packet.bytes);
	}
}

/* `request` makes the guest start over. Until then a session runs; how it ends is returned: a status, or fake_collect's
 * 1000 with *reason. */
static guint reboot_by(struct fixture *f, const char *request, char **reason)
{
	static const char boot_id[] = "{\"argv\":[\"cat\",\"/proc/sys/kernel/random/boot_id\"]}";
	g_autofree char *before = run(f, boot_id);
	guint64 pid = f->pid;
	guint changes = f->ready_changes;
	gint64 began_us = g_get_monotonic_time();
	int sleeper = open_stream(f, ENGINE_STREAM_EXEC, "{\"argv\":[\"sleep\",\"4713\"]}");
	int console = open_stream(f, ENGINE_STREAM_CONSOLE, NULL);
	struct fake_packet packet;

	g_assert_true(fake_receive(sleeper, &packet));
	g_assert_cmpuint(packet.kind, ==, STREAM_OPENED);
	int asked = open_stream(f, ENGINE_STREAM_EXEC, request);
	guint status = fake_collect(sleeper, NULL, NULL, reason);
	g_assert_true(fixture_wait_until(f, is_unready, BOOT_MS));
	g_assert_true(fixture_wait_until(f, is_ready, BOOT_MS));
	g_test_message("there again after %" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - began_us) / 1000);
	g_assert_cmpuint(f->ready_changes, ==, changes + 2);
	wait_console(console, "web: Linux");
	g_autofree char *after = run(f, boot_id);
	g_assert_cmpstr(before, !=, after);
	struct status now = { 0 };
	engine_qemu.describe(f->vm, &now);
	g_assert_cmpuint(now.pid, ==, pid);
	noun_clear(&status_noun, &now);
	g_assert_cmpuint(f->exited, ==, 0);
	g_assert_cmpuint(f->paused, ==, 0);
	close(sleeper);
	close(asked);
	close(console);
	return status;
}

static void test_reboot(gconstpointer image)
{
	struct fixture f;
	g_autofree char *reason = NULL, *hard_reason = NULL;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	f.image = image;
	fixture_start(&f);
	fixture_resume(&f);
	g_assert_true(fixture_wait_until(&f, is_ready, BOOT_MS));
	/* In order: what ran is told to end, and how it did reaches its client, or why not. */
	guint status = reboot_by(&f, "{\"argv\":[\"reboot\"]}", &reason);
	g_test_message("session: %u %s", status, reason ? reason : "");
	g_assert_true(status == 128 + SIGTERM || (status == 1000 && strstr(reason, "the guest went away")));
	/* Like a press on its reset button. */
	status = reboot_by(&f, "{\"argv\":[\"sh\",\"-c\",\"echo b >/proc/sysrq-trigger\"]}", &hard_reason);
	g_test_message("session: %u %s", status, hard_reason ? hard_reason : "");
	g_assert_cmpuint(status, ==, 1000);
	g_assert_nonnull(strstr(hard_reason, "the guest went away: it was started again"));
	/* A later agent finds the rebooted guest as any other. */
	fixture_forget(&f);
	f.ready = FALSE;
	fixture_adopt(&f);
	fixture_wait(&f, &f.adopted, 1);
	g_assert_true(fixture_wait_until(&f, is_ready, BOOT_MS));
	g_free(run(&f, "{\"argv\":[\"true\"]}"));
	engine_qemu.kill(f.vm);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_STOPPED);
	fixture_clear(&f);
}

int main(int argc, char **argv)
{
	struct image_status image;

	g_test_init(&argc, &argv, NULL);
	signal(SIGPIPE, SIG_IGN);
	noun_init(&image_status_noun, &image);
	tiny_image(&image);
	g_test_add_data_func("/reboot/tiny", &image, test_reboot);
	int status = g_test_run();
	noun_clear(&image_status_noun, &image);
	return status;
}
