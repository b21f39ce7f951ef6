/* The real polder-vm with /bin/sh in QEMU's place. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/model/limits.h"

#define DEADLINE_US (15 * G_USEC_PER_SEC)
#define VM_UID      0x70000123u

struct fixture {
	char *root, *run, *state, *log;
	pid_t supervisor, child;
	char *complaint;   /* what polder-vm said on stderr */
	rlim_t file_limit; /* RLIMIT_FSIZE for it; 0: none */
	gboolean as_user;
};

static void pass_time(gint64 start_us, const char *what)
{
	if (g_get_monotonic_time() - start_us > DEADLINE_US)
		g_error("waited too long: %s", what);
	g_usleep(500);
}

static char *path_of(struct fixture *f, const char *name)
{
	return g_build_filename(f->run, name, NULL);
}

static gboolean exists(struct fixture *f, const char *name)
{
	g_autofree char *path = path_of(f, name);

	return g_file_test(path, G_FILE_TEST_EXISTS);
}

static pid_t lock_holder(struct fixture *f)
{
	g_autofree char *path = path_of(f, "lock");
	struct flock flock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return 0;
	g_assert_cmpint(fcntl(fd, F_GETLK, &flock), ==, 0);
	close(fd);
	return flock.l_type == F_UNLCK ? 0 : flock.l_pid;
}

static gboolean gone(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
	g_autofree char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return TRUE;
	const char *state = strrchr(text, ')');
	return state && (state[2] == 'Z' || state[2] == 'X');
}

static void wait_gone(pid_t pid)
{
	gint64 start_us = g_get_monotonic_time();

	while (!gone(pid))
		pass_time(start_us, "a process to end");
}

static void wait_exists(struct fixture *f, const char *name)
{
	gint64 start_us = g_get_monotonic_time();

	while (!exists(f, name))
		pass_time(start_us, name);
}

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->root = g_dir_make_tmp("polder-test-XXXXXX", NULL);
	g_chmod(f->root, 0755);
	f->run = g_build_filename(f->root, "run", NULL);
	f->state = g_build_filename(f->root, "state", NULL);
	f->log = g_build_filename(f->state, "console.log", NULL);
	g_mkdir(f->run, 0700);
	g_mkdir(f->state, 0700);
}

static void remove_dir(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);
		g_assert_cmpint(g_unlink(child), ==, 0);
	}
	g_rmdir(path);
}

static void fixture_clear(struct fixture *f)
{
	if (f->supervisor) {
		wait_gone(f->supervisor);
		wait_gone(f->child);
		g_assert_cmpint(lock_holder(f), ==, 0);
	}
	remove_dir(f->run);
	remove_dir(f->state);
	g_assert_cmpint(g_rmdir(f->root), ==, 0);
	g_free(f->root);
	g_free(f->run);
	g_free(f->state);
	g_free(f->log);
	g_free(f->complaint);
}

static void limit_files(gpointer data)
{
	struct fixture *f = data;
	struct rlimit limit = { f->file_limit, f->file_limit };

	if (f->file_limit)
		setrlimit(RLIMIT_FSIZE, &limit);
}

/* polder-vm's first process, to its end: its exit status. */
static int launch_program(struct fixture *f, const char *const *child)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autofree char *program = g_build_filename(g_getenv("POLDER_LIBEXEC"), "polder-vm", NULL);
	g_autofree char *uid = g_strdup_printf("%u", VM_UID);
	const char *head[] = { program, "--dir", f->run, "--log", f->log };
	const char *ids[] = { "--uid", uid, "--gid", uid };
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	int status;

	for (guint i = 0; i < G_N_ELEMENTS(head); i++)
		g_ptr_array_add(argv, (gpointer)head[i]);
	for (guint i = 0; f->as_user && i < G_N_ELEMENTS(ids); i++)
		g_ptr_array_add(argv, (gpointer)ids[i]);
	g_ptr_array_add(argv, (gpointer) "--");
	for (guint i = 0; child[i]; i++)
		g_ptr_array_add(argv, (gpointer)child[i]);
	g_ptr_array_add(argv, NULL);
	g_clear_pointer(&f->complaint, g_free);
	g_assert_true(g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, limit_files, f,
				   NULL, &f->complaint, &status, &error));
	g_assert_no_error(error);
	g_assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 0) {
		f->supervisor = lock_holder(f);
		g_autofree char *path = path_of(f, "child");
		if (g_file_get_contents(path, &text, NULL, NULL))
			f->child = (pid_t)atoi(text);
	}
	return WEXITSTATUS(status);
}

/* dash can't name descriptors above 9, so the console, 13, is moved. */
static int launch(struct fixture *f, const char *script)
{
	const char *child[] = { "/bin/bash", "-c", script, NULL };

	return launch_program(f, child);
}

static char *exit_value(struct fixture *f, const char *key)
{
	g_autofree char *path = path_of(f, "exit");
	g_autofree char *text = NULL;
	g_autofree char *start = g_strdup_printf("%s=", key);

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (guint i = 0; lines[i]; i++)
		if (g_str_has_prefix(lines[i], start))
			return g_strdup(lines[i] + strlen(start));
	return g_strdup("absent");
}

static void expect_exit(struct fixture *f, const char *status, const char *signalled, const char *last)
{
	wait_exists(f, "exit");
	g_autofree char *is_status = exit_value(f, "status");
	g_autofree char *is_signalled = exit_value(f, "signalled");
	g_autofree char *is_last = exit_value(f, "last");
	g_autofree char *ended_at = exit_value(f, "ended_at_us");

	g_assert_cmpstr(is_status, ==, status);
	g_assert_cmpstr(is_signalled, ==, signalled);
	g_assert_cmpstr(is_last, ==, last);
	g_assert_cmpint(ABS(g_get_real_time() - g_ascii_strtoll(ended_at, NULL, 10)), <, 60 * G_USEC_PER_SEC);
}

static int connect_console(struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/console.sock", f->run);
	g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	return fd;
}

/* Reads until `text` came; all of it is returned. */
static char *read_until(int fd, const char *text)
{
	GString *got = g_string_new(NULL);
	gint64 start_us = g_get_monotonic_time();
	char bytes[4096];

	while (!strstr(got->str, text)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		gssize n = poll(&p, 1, 100) > 0 ? read(fd, bytes, sizeof(bytes)) : -1;
		if (n == 0)
			g_error("end of file before \"%s\"", text);
		if (n > 0)
			g_string_append_len(got, bytes, n);
		if (g_get_monotonic_time() - start_us > DEADLINE_US)
			g_error("no \"%s\" in \"%.200s\"", text, got->str);
	}
	return g_string_free(got, FALSE);
}

static void end(struct fixture *f)
{
	kill(f->child, SIGKILL);
	wait_gone(f->supervisor);
	fixture_clear(f);
}

static void test_exit_record(void)
{
	static const struct {
		const char *script, *status, *signalled, *last;
	} rows[] = {
		{ "exit 0", "0", "0", "" },
		{ "echo first >&2; echo the reason >&2; exit 7", "7", "0", "the reason" },
		{ "printf 'no end\\n\\n\\r\\n' >&2; exit 1", "1", "0", "no end" },
		{ "printf 'esc\\033[1m\\377\\nlast\\t=x' ; exit 1", "1", "0", "last?=x" },
		{ "head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2; exit 2", "2", "0", "end" },
		{ "kill -SEGV $$", "139", "1", "" },
		{ "echo dying >&2; kill -KILL $$", "137", "1", "dying" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct fixture f;
		fixture_init(&f);
		g_assert_cmpint(launch(&f, rows[i].script), ==, 0);
		g_assert_cmpstr(f.complaint, ==, "");
		expect_exit(&f, rows[i].status, rows[i].signalled, rows[i].last);
		if (f.supervisor)
			wait_gone(f.supervisor);
		g_assert_false(exists(&f, "qmp.sock"));
		g_assert_false(exists(&f, "console.sock"));
		g_assert_false(exists(&f, "exit.new"));
		fixture_clear(&f);
	}
}

static void test_lock(void)
{
	struct fixture f;

	fixture_init(&f);
	g_assert_cmpint(launch(&f, "exec sleep 1000"), ==, 0);
	g_assert_cmpint(f.supervisor, >, 0);
	g_assert_cmpint(f.child, >, 0);
	g_assert_true(exists(&f, "qmp.sock") && exists(&f, "guest.sock") && exists(&f, "stream.sock"));
	pid_t supervisor = f.supervisor, child = f.child;
	g_assert_cmpint(launch(&f, "exit 0"), ==, 1);
	g_assert_nonnull(strstr(f.complaint, "is in use by process"));
	/* The first was not harmed by the second. */
	g_assert_false(gone(child));
	g_assert_cmpint(lock_holder(&f), ==, supervisor);
	g_assert_true(exists(&f, "qmp.sock"));
	int fd = connect_console(&f);
	close(fd);
	end(&f);
}

static void test_start_fails(void)
{
	struct fixture f;
	const char *none[] = { "/nonexistent/qemu", NULL };
	const char *true_[] = { "/bin/true", NULL };

	fixture_init(&f);
	g_assert_cmpint(launch_program(&f, none), ==, 1);
	g_assert_nonnull(strstr(f.complaint, "execute /nonexistent/qemu: No such file"));
	g_assert_cmpint(lock_holder(&f), ==, 0);
	g_assert_false(exists(&f, "qmp.sock"));
	g_assert_false(exists(&f, "exit"));
	g_autofree char *log = g_steal_pointer(&f.log);
	f.log = g_strdup("/nonexistent/console.log");
	g_assert_cmpint(launch_program(&f, true_), ==, 1);
	g_assert_nonnull(strstr(f.complaint, "/nonexistent"));
	g_free(f.log);
	f.log = g_steal_pointer(&log);
	g_autofree char *run = g_steal_pointer(&f.run);
	f.run = g_strdup("/nonexistent");
	g_assert_cmpint(launch_program(&f, true_), ==, 1);
	g_assert_nonnull(strstr(f.complaint, "/nonexistent"));
	g_free(f.run);
	f.run = g_steal_pointer(&run);
	fixture_clear(&f);
}

/* Also as another user: the kernel lets a process kill at its death only whom it may signal. */
static void dies_with_supervisor(gboolean as_user)
{
	struct fixture f;

	fixture_init(&f);
	f.as_user = as_user;
	g_assert_cmpint(launch(&f, "exec sleep 1000"), ==, 0);
	kill(f.supervisor, SIGKILL);
	wait_gone(f.child);
	g_assert_false(exists(&f, "exit"));
	fixture_clear(&f);
}

static void test_supervisor_killed(void)
{
	dies_with_supervisor(FALSE);
	if (geteuid() == 0)
		dies_with_supervisor(TRUE);
}

static void test_terminated(void)
{
	struct fixture f;

	fixture_init(&f);
	g_assert_cmpint(launch(&f, "exec sleep 1000"), ==, 0);
	kill(f.supervisor, SIGTERM);
	expect_exit(&f, "143", "1", "");
	fixture_clear(&f);
}

static void test_descriptors(void)
{
	struct fixture f;
	int leak = open("/dev/null", O_RDONLY); /* of whoever starts us: not close-on-exec */

	g_assert_cmpint(dup2(leak, 40), ==, 40);

	fixture_init(&f);
	f.as_user = TRUE;
	g_assert_cmpint(launch(&f, "cd /proc/self/fd; for n in *; do test -e /proc/$$/fd/$n && echo -n $n,; done >&13;"
				   "grep -E 'NoNewPrivs|CapEff|Uid|Groups' /proc/self/status >&13; echo DONE >&13;"
				   "exec sleep 1000"),
			==, 0);
	close(leak);
	close(40);
	int fd = connect_console(&f);
	g_autofree char *text = read_until(fd, "DONE");
	close(fd);
	g_test_message("%s", text);
	/* Nothing but stdio, the four sockets and what bash itself keeps (its saved stdout: 14 or 255 …). */
	g_assert_true(g_str_has_prefix(text, "0,1,10,11,12,13,"));
	g_assert_null(strstr(text, ",40,"));
	g_assert_null(strstr(text, ",3,"));
	g_assert_nonnull(strstr(text, "NoNewPrivs:\t1"));
	if (geteuid() == 0) {
		g_autofree char *uid = g_strdup_printf("Uid:\t%u\t%u\t%u", VM_UID, VM_UID, VM_UID);
		g_assert_nonnull(strstr(text, uid));
		g_assert_nonnull(strstr(text, "CapEff:\t0000000000000000"));
		g_assert_nonnull(strstr(text, "Groups:\t \n"));
	}
	end(&f);
}

static void wait_log_count(struct fixture *f, const char *text, guint count)
{
	gint64 start_us = g_get_monotonic_time();

	for (guint n = 0; n != count;) {
		g_autofree char *log = NULL;
		n = 0;
		g_assert_true(g_file_get_contents(f->log, &log, NULL, NULL));
		for (char *at = log; (at = strstr(at, text)); at++)
			n++;
		g_assert_cmpuint(n, <=, count);
		pass_time(start_us, "all of the input to be answered");
	}
}

static void test_console(void)
{
	struct fixture f;

	fixture_init(&f);
	g_assert_cmpint(launch(&f, "echo READY >&13; while read -r line <&13; do echo \"got $line\" >&13; done"), ==,
			0);
	int first = connect_console(&f);
	g_autofree char *ready = read_until(first, "READY\n");
	g_assert_cmpint(write(first, "hello\n", 6), ==, 6);
	g_autofree char *echo = read_until(first, "got hello\n");
	/* Who comes later sees what was said before. */
	int second = connect_console(&f);
	g_autofree char *replay = read_until(second, "got hello\n");
	g_assert_cmpstr(replay, ==, "READY\ngot hello\n");
	g_assert_cmpint(write(second, "two\n", 4), ==, 4);
	g_autofree char *both = read_until(first, "got two\n");
	close(first);
	close(second);
	g_autofree char *log = NULL;
	g_assert_true(g_file_get_contents(f.log, &log, NULL, NULL));
	g_assert_cmpstr(log, ==, "READY\ngot hello\ngot two\n");
	/* Two who type at once: neither loses anything. */
	first = connect_console(&f);
	second = connect_console(&f);
	g_autoptr(GString) block = g_string_new(NULL);
	for (guint i = 0; i < 5000; i++)
		g_string_append(block, "y\n");
	kill(f.child, SIGSTOP);
	g_assert_cmpint(write(first, block->str, block->len), ==, (gssize)block->len);
	g_assert_cmpint(write(second, block->str, block->len), ==, (gssize)block->len);
	close(first); /* also when they leave at once */
	close(second);
	kill(f.child, SIGCONT);
	first = connect_console(&f);
	wait_log_count(&f, "got y\n", 10000);
	close(first);
	/* One more than allowed is hung up on, the others stay. */
	int clients[LIMIT_CONSOLE_CLIENTS], extra;
	char byte;
	for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
		clients[i] = connect_console(&f);
		g_autofree char *old = read_until(clients[i], "got y\n");
	}
	extra = connect_console(&f);
	g_assert_cmpint(read(extra, &byte, 1), ==, 0);
	close(extra);
	g_assert_cmpint(write(clients[0], "three\n", 6), ==, 6);
	for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
		g_autofree char *text = read_until(clients[i], "got three\n");
		close(clients[i]);
	}
	end(&f);
}

static void test_ring(void)
{
	struct fixture f;

	fixture_init(&f);
	/* Far more than the ring, in odd pieces: its last 16 KiB come, in order, to the byte. */
	g_assert_cmpint(
		launch(&f, "for i in $(seq 10000 19999); do echo $i; done >&13; echo -n END >&13; exec sleep 1000"), ==,
		0);
	gint64 start_us = g_get_monotonic_time();
	for (;;) {
		g_autofree char *log = NULL;
		if (g_file_get_contents(f.log, &log, NULL, NULL) && strstr(log, "END"))
			break;
		pass_time(start_us, "the log to be complete");
	}
	int fd = connect_console(&f);
	g_autofree char *text = read_until(fd, "END");
	close(fd);
	g_assert_cmpuint(strlen(text), ==, 16384);
	/* 16381 bytes before END: 2730 whole lines of 6, and the line's end before them. */
	GString *expect = g_string_new("\n");
	for (guint i = 20000 - 2730; i < 20000; i++)
		g_string_append_printf(expect, "%u\n", i);
	g_string_append(expect, "END");
	g_assert_cmpstr(text, ==, expect->str);
	g_string_free(expect, TRUE);
	end(&f);
}

/* Writes "ping" until "got ping" comes: a client may lose output when much comes at once, and so the first answer. */
static void ask(int fd, GString *got)
{
	gint64 start_us = g_get_monotonic_time();
	char bytes[4096];

	while (!strstr(got->str, "got ping\n")) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (poll(&p, 1, 20) > 0) {
			gssize n = read(fd, bytes, sizeof(bytes));
			g_assert_cmpint(n, >, 0);
			g_string_append_len(got, bytes, n);
		} else {
			g_assert_cmpint(write(fd, "ping\n", 5), ==, 5);
		}
		g_assert_cmpint(g_get_monotonic_time() - start_us, <, DEADLINE_US);
	}
}

#define ANSWER_PINGS "while read -r l <&13 && test \"$l\" = ping; do echo got ping >&13; done;"

/* A client that never reads: the guest and other clients don't notice. */
static void test_slow_client(void)
{
	struct fixture f;
	g_autoptr(GString) got = g_string_new(NULL);

	fixture_init(&f);
	g_assert_cmpint(launch(&f, "read -r line <&13; head -c 3000000 /dev/zero | tr '\\0' x >&13;" ANSWER_PINGS), ==,
			0);
	int slow = connect_console(&f);
	int fast = connect_console(&f);
	g_assert_cmpint(write(slow, "go\n", 3), ==, 3);
	ask(fast, got);
	g_assert_cmpuint(got->len, >, 16384);
	close(slow);
	close(fast);
	end(&f);
}

/* A guest that doesn't read: clients wait, nothing grows, their leaving is noticed. */
static void test_deaf_guest(void)
{
	struct fixture f;
	g_autofree char *block = g_malloc0(65536);

	fixture_init(&f);
	g_assert_cmpint(launch(&f, "echo READY >&13; sleep 1000 & wait"), ==, 0);
	int fd = connect_console(&f);
	gint64 start_us = g_get_monotonic_time(), sent = 0, last_us = start_us;
	while (g_get_monotonic_time() - last_us < 300000) {
		gssize n = send(fd, block, 65536, MSG_DONTWAIT);
		if (n > 0) {
			sent += n;
			last_us = g_get_monotonic_time();
		}
		g_assert_cmpint(sent, <, 4 << 20);
		g_usleep(1000);
	}
	for (guint i = 0; i < 3 * LIMIT_CONSOLE_CLIENTS; i++) {
		int other = connect_console(&f); /* it still serves, and those who left take nobody's place */
		g_autofree char *text = read_until(other, "READY");
		close(other);
	}
	close(fd);
	kill(-f.child, SIGKILL); /* its process group: the sleep too */
	wait_gone(f.supervisor);
	fixture_clear(&f);
}

static goffset size_of(const char *path)
{
	GStatBuf st;

	return g_stat(path, &st) == 0 ? st.st_size : -1;
}

static void test_rotation(void)
{
	struct fixture f;

	fixture_init(&f);
	g_autofree char *old = g_strconcat(f.log, ".1", NULL);
	g_assert_cmpint(launch(&f, "head -c 2621440 /dev/zero | tr '\\0' x >&13; echo END >&13; exit 0"), ==, 0);
	wait_exists(&f, "exit");
	g_assert_cmpint(size_of(old), <=, LIMIT_CONSOLE_LOG_BYTES);
	g_assert_cmpint(size_of(old), >, LIMIT_CONSOLE_LOG_BYTES - 8192);
	g_assert_cmpint(size_of(f.log) + 2 * size_of(old), ==, 2621440 + 4);
	g_autofree char *log = NULL;
	g_assert_true(g_file_get_contents(f.log, &log, NULL, NULL));
	g_assert_true(g_str_has_suffix(log, "xEND\n")); /* what it wrote last is not lost when it ends */
	fixture_clear(&f);
}

/* A full disk loses log output, not the VM, and not the reason it ended. */
static void test_disk_full(void)
{
	struct fixture f;

	fixture_init(&f);
	f.file_limit = 65536;
	g_assert_cmpint(launch(&f,
			       "trap '' XFSZ; head -c 200000 /dev/zero | tr '\\0' x >&13; echo END >&13;" ANSWER_PINGS
			       " echo why >&2; exit 5"),
			==, 0);
	int fd = connect_console(&f);
	g_autoptr(GString) got = g_string_new(NULL);
	ask(fd, got);
	g_assert_cmpint(size_of(f.log), ==, 65536);
	g_assert_cmpint(write(fd, "go\n", 3), ==, 3);
	expect_exit(&f, "5", "0", "why");
	close(fd);
	fixture_clear(&f);
}

/* The same with a file system that is really full, for the run directory as well. */
static void test_tmpfs_full(void)
{
	struct fixture f;

	fixture_init(&f);
	if (mount("polder-test", f.run, "tmpfs", 0, "size=64k,mode=700") < 0) {
		g_test_skip("no tmpfs can be mounted here");
		fixture_clear(&f);
		return;
	}
	g_free(f.log);
	f.log = g_build_filename(f.run, "console.log", NULL);
	g_assert_cmpint(launch(&f, "head -c 200000 /dev/zero | tr '\\0' x >&13; echo END >&13;" ANSWER_PINGS
				   "echo why >&2; exit 5"),
			==, 0);
	int fd = connect_console(&f);
	g_autoptr(GString) got = g_string_new(NULL);
	ask(fd, got);
	g_assert_cmpint(write(fd, "go\n", 3), ==, 3);
	expect_exit(&f, "5", "0", "why");
	close(fd);
	wait_gone(f.supervisor);
	g_assert_cmpint(umount(f.run), ==, 0);
	fixture_clear(&f);
}

static void test_small(void)
{
	struct fixture f;
	gint64 pss_kib = 0;

	fixture_init(&f);
	g_assert_cmpint(launch(&f, "exec sleep 1000"), ==, 0);
	g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", (int)f.supervisor);
	g_autofree char *text = NULL;
	if (g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "\nPss:"))
		pss_kib = g_ascii_strtoll(strstr(text, "\nPss:") + 5, NULL, 10);
	g_test_message("polder-vm: %" G_GINT64_FORMAT " KiB proportional set size", pss_kib);
	/* A sanitizer's own memory is not ours. */
	if (!strstr(POLDER_SANITIZE, "address"))
		g_assert_cmpint(pss_kib, <, 1024);
	end(&f);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/polder-vm/exit-record", test_exit_record);
	g_test_add_func("/polder-vm/lock", test_lock);
	g_test_add_func("/polder-vm/start-fails", test_start_fails);
	g_test_add_func("/polder-vm/supervisor-killed", test_supervisor_killed);
	g_test_add_func("/polder-vm/terminated", test_terminated);
	g_test_add_func("/polder-vm/descriptors", test_descriptors);
	g_test_add_func("/polder-vm/console", test_console);
	g_test_add_func("/polder-vm/ring", test_ring);
	g_test_add_func("/polder-vm/slow-client", test_slow_client);
	g_test_add_func("/polder-vm/deaf-guest", test_deaf_guest);
	g_test_add_func("/polder-vm/rotation", test_rotation);
	g_test_add_func("/polder-vm/disk-full", test_disk_full);
	g_test_add_func("/polder-vm/tmpfs-full", test_tmpfs_full);
	g_test_add_func("/polder-vm/small", test_small);
	return g_test_run();
}
