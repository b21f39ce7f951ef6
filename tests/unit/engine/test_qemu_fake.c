/* Engine qemu with a QEMU that misbehaves: this program itself, copied under the name of what it is to do. */
#include "tests/unit/engine/vm_fixture.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/args.h"
#include "daemon/engine/qemu/guest_private.h"
#include "daemon/engine/qemu/qemu.h"
#include "daemon/model/error.h"

#define GREETING "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\r\n"

/* ---- the fake QEMU ---- */

static void G_GNUC_PRINTF(2, 3) say(int fd, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	int n = g_vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (write(fd, text, (size_t)n) != n)
		_exit(9);
}

/* What QEMU tells when a disk's write fails and the VM stops on it. */
static void fail_disk(int fd)
{
	say(fd, "{\"event\":\"RESUME\",\"timestamp\":{}}\n");
	say(fd, "{\"event\":\"BLOCK_IO_ERROR\",\"data\":{\"device\":\"root\",\"operation\":\"write\","
		"\"action\":\"stop\",\"nospace\":true,\"reason\":\"No space left on device\"}}\n");
	say(fd, "{\"event\":\"STOP\",\"timestamp\":{}}\n");
}

/* The guest's agent opens its port; at `stop`, the guest starts over, without a word about the port. */
static void reset(int fd, const char *line)
{
	if (strstr(line, "cont"))
		say(fd, "{\"event\":\"VSERPORT_CHANGE\",\"data\":{\"open\":true,\"id\":\"" ARGS_AGENT_ID "\"}}\n");
	if (strstr(line, "stop"))
		say(fd, "{\"event\":\"RESET\",\"data\":{\"guest\":true,\"reason\":\"guest-reset\"}}\n");
}

/* Answers every command; `cont` as `mode` says: with an error, or with a disk that fails at once. */
static void serve(int fd, const char *mode)
{
	gboolean refuse = !strcmp(mode, "refuse");

	char line[512];
	gsize bytes = 0;

	say(fd, "%s", GREETING);
	while (bytes < sizeof(line) - 1 && read(fd, line + bytes, 1) == 1) {
		if (line[bytes++] != '\n')
			continue;
		line[bytes] = '\0';
		bytes = 0;
		long id = atol(strstr(line, "\"id\":") + 5);
		if (!strcmp(mode, "reset"))
			reset(fd, line);
		if (strstr(line, "query-status"))
			say(fd, "{\"return\":{\"running\":false},\"id\":%ld}\n", id);
		else if (refuse && strstr(line, "cont"))
			say(fd, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"},\"id\":%ld}\n", "not today",
			    id);
		else
			say(fd, "{\"return\":{},\"id\":%ld}\n", id);
		if (!strcmp(mode, "full") && strstr(line, "cont"))
			fail_disk(fd);
	}
}

static int fake(const char *mode)
{
	if (!strcmp(mode, "mute"))
		_exit(1);
	if (!strcmp(mode, "complain")) {
		fprintf(stderr, "qemu-system-x86_64: no such luck\n");
		_exit(1);
	}
	int fd = strcmp(mode, "stall") ? accept(ARGS_FD_QMP, NULL, NULL) : -1;
	while (fd < 0 && errno == EAGAIN) {
		usleep(1000); /* the listening socket is non-blocking; QEMU waits in its main loop */
		fd = accept(ARGS_FD_QMP, NULL, NULL);
	}
	if (!strcmp(mode, "garbage"))
		say(fd, "what?\n");
	if (!strcmp(mode, "refuse") || !strcmp(mode, "agree") || !strcmp(mode, "full") || !strcmp(mode, "reset"))
		serve(fd, mode);
	for (;;)
		pause();
}

/* ---- the tests ---- */

static void fixture_init_fake(struct fixture *f, const char *mode)
{
	struct qemu_engine *engine;
	g_autofree char *text = NULL;
	gsize bytes;

	fixture_init(f, "HELLO\n", ROM_HALT);
	engine = (struct qemu_engine *)f->engine;
	g_free(engine->binary);
	engine->binary = g_strdup_printf("%s/qemu-fake-%s", f->root, mode);
	engine->start_timeout_ms = 1000;
	g_assert_true(g_file_get_contents("/proc/self/exe", &text, &bytes, NULL));
	g_assert_true(
		g_file_set_contents_full(engine->binary, text, (gssize)bytes, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
	fixture_vm_new(f);
	engine_qemu.start(f->vm);
}

static void start_fails(const char *mode, const char *reason)
{
	struct fixture f;

	fixture_init_fake(&f, mode);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_START_FAILED);
	g_assert_nonnull(strstr(f.reason, reason));
	g_assert_cmpuint(f.started, ==, 0);
	fixture_clear(&f);
}

static void test_start_fails(void)
{
	start_fails("mute", "status 1");
	start_fails("complain", "refused to start: no such luck");
	start_fails("garbage", "garbage");
	start_fails("stall", "answer");
}

static void test_refuse(void)
{
	struct fixture f;

	fixture_init_fake(&f, "refuse");
	fixture_wait(&f, &f.started, 1);
	engine_qemu.resume(f.vm);
	fixture_wait(&f, &f.paused, 1);
	g_assert_nonnull(strstr(f.pause_reason, "not today"));
	g_assert_cmpuint(f.resumed, ==, 0);
	engine_qemu.kill(f.vm);
	fixture_wait(&f, &f.exited, 1);
	fixture_clear(&f);
}

/* Paused by a disk's error: why is told, each time anew. */
static void test_full(void)
{
	struct fixture f;

	fixture_init_fake(&f, "full");
	fixture_wait(&f, &f.started, 1);
	for (guint i = 1; i <= 2; i++) {
		engine_qemu.resume(f.vm);
		fixture_wait(&f, &f.paused, i);
		g_assert_cmpuint(f.resumed, ==, i);
		g_assert_cmpstr(f.pause_reason, ==, "I/O error on disk root: No space left on device");
	}
	engine_qemu.kill(f.vm);
	fixture_wait(&f, &f.exited, 1);
	fixture_clear(&f);
}

/* A guest that starts over has another agent, even when QEMU merged what its port did. */
static void test_reset(void)
{
	struct fixture f;

	fixture_init_fake(&f, "reset");
	fixture_wait(&f, &f.started, 1);
	fixture_resume(&f);
	struct qemu_vm *vm = (struct qemu_vm *)f.vm;
	g_assert_true(vm->guest->open);
	engine_qemu.pause(f.vm);
	fixture_wait(&f, &f.paused, 1);
	g_assert_false(vm->guest->open);
	g_assert_cmpuint(f.exited, ==, 0);
	engine_qemu.kill(f.vm);
	fixture_wait(&f, &f.exited, 1);
	fixture_clear(&f);
}

/* A QEMU that answers but tells no event is believed. */
static void test_agree(void)
{
	struct fixture f;

	fixture_init_fake(&f, "agree");
	fixture_wait(&f, &f.started, 1);
	fixture_resume(&f);
	engine_qemu.pause(f.vm);
	fixture_wait(&f, &f.paused, 1);
	g_assert_null(f.pause_reason);
	engine_qemu.kill(f.vm);
	fixture_wait(&f, &f.exited, 1);
	fixture_clear(&f);
}

int main(int argc, char **argv)
{
	const char *mode = strstr(argv[0], "/qemu-fake-");

	if (mode)
		return fake(mode + strlen("/qemu-fake-"));
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/qemu-fake/start-fails", test_start_fails);
	g_test_add_func("/qemu-fake/refuse", test_refuse);
	g_test_add_func("/qemu-fake/full", test_full);
	g_test_add_func("/qemu-fake/reset", test_reset);
	g_test_add_func("/qemu-fake/agree", test_agree);
	return g_test_run();
}
