/* The builtin image: guest/build-tiny as a child that has no privileges, and what it leaves put in place. */
#include "daemon/storage/image_private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/ids.h"

#define COMPLAINT_BYTES 4096
#define META_BYTES_MAX  65536
#define TINY_NOTE       "no disk: what it writes is gone at stop"
/* Its kernel does not unpack the initrd in 72 MiB, and does in 80. */
#define TINY_MEMORY_MIN_BYTES (96ull << 20)

/* Who the child is: with root's rights nothing is to be built. -1: we stay who we are. */
struct identity {
	uid_t uid;
	gid_t gid;
};

static struct identity builder_identity(void)
{
	struct passwd *entry;

	if (geteuid() != 0)
		return (struct identity) { -1, -1 };
	entry = getpwnam(POLDER_USER);
	return entry ? (struct identity) { entry->pw_uid, entry->pw_gid }
		     : (struct identity) { POLDER_DAEMON_UID, POLDER_DAEMON_UID };
}

/* Between fork and exec: plain system calls only. The signal at our end comes last, as a change of user clears it. */
static void become(gpointer user_data)
{
	const struct identity *identity = user_data;

	setpgid(0, 0);
	umask(022);
	if (identity->uid != (uid_t)-1 && (syscall(SYS_setgroups, 0, NULL) < 0 ||
					   syscall(SYS_setresgid, identity->gid, identity->gid, identity->gid) < 0 ||
					   syscall(SYS_setresuid, identity->uid, identity->uid, identity->uid) < 0))
		_exit(126);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* The child may be unable to reach our build tree: it gets copies beside its work. */
static gboolean copy_tool(const struct build *build, const char *tool, const char *as, GError **error)
{
	g_autofree char *from = dirs_tool(tool);
	g_autofree char *to = g_build_filename(build->directory, as, NULL);
	g_autofree char *bytes = NULL;
	gsize count;

	if (!g_file_get_contents(from, &bytes, &count, error)) {
		g_prefix_error(error, "%s is not installed; next: build or install Polder again: ", tool);
		return FALSE;
	}
	if (g_file_set_contents_full(to, bytes, count, G_FILE_SET_CONTENTS_NONE, 0755, error) && g_chmod(to, 0755) == 0)
		return TRUE;
	if (error && !*error)
		image_error(error, to, "write");
	return FALSE;
}

static gboolean prepare(struct build *build, const struct identity *identity, GError **error)
{
	g_autofree char *out = g_build_filename(build->directory, "out", NULL);

	if (!copy_tool(build, "guest/build-tiny", "build-tiny", error) ||
	    !copy_tool(build, "polder-guest", "polder-guest", error))
		return FALSE;
	if (g_mkdir(out, 0755) == 0 && g_chmod(build->directory, 0755) == 0 &&
	    (identity->uid == (uid_t)-1 || (chown(out, identity->uid, identity->gid) == 0 &&
					    chown(build->cache.packages, identity->uid, identity->gid) == 0)))
		return TRUE;
	image_error(error, build->directory, "prepare");
	return FALSE;
}

/* ---- What it leaves ---- */

/* The kernel's command line from the child's meta file: printable, and one line. */
static char *read_cmdline(const char *out)
{
	g_autofree char *path = g_build_filename(out, "meta", NULL);
	char line[4096];
	char *cmdline = NULL;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

	while (file && !cmdline && fgets(line, sizeof(line), file))
		if (g_str_has_prefix(line, "cmdline="))
			cmdline = g_strdup(g_strchomp(line + strlen("cmdline=")));
	for (char *c = cmdline; c && *c; c++)
		if (!g_ascii_isprint(*c))
			*c = ' ';
	if (file)
		fclose(file);
	else if (fd >= 0)
		close(fd);
	return cmdline;
}

static gboolean install(struct build *build, GError **error)
{
	g_autofree char *out = g_build_filename(build->directory, "out", NULL);
	g_autofree char *kernel = g_build_filename(out, "kernel", NULL);
	g_autofree char *initrd = g_build_filename(out, "initrd", NULL);
	char *notes[] = { (char *)TINY_NOTE, NULL };
	struct image_status made = { .build = build->image.build,
				     .memory_min_bytes = TINY_MEMORY_MIN_BYTES,
				     .notes = notes };

	if (access(kernel, F_OK) < 0 || access(initrd, F_OK) < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "the builder of %s left no kernel or no initrd",
			    build->image.name);
		return FALSE;
	}
	made.cmdline = read_cmdline(out);
	gboolean done = image_cache_install(&build->cache, build->image.name, out, &made, error);
	g_free(made.cmdline);
	return done;
}

/* ---- The child ---- */

static void operation_ended(struct build *build);

/* The last whole line it complained with, made fit for one line of ours. */
static char *complaint_line(const struct build *build)
{
	g_autofree char *text =
		g_strndup(build->complaint->len ? (const char *)build->complaint->data : "", build->complaint->len);
	char *line = strrchr(g_strchomp(text), '\n');

	line = line ? line + 1 : text;
	if (g_str_has_prefix(line, "build-tiny: "))
		line += strlen("build-tiny: ");
	char *valid = g_utf8_make_valid(line, -1);
	for (char *c = valid; *c; c++)
		if (g_ascii_iscntrl(*c))
			*c = ' ';
	return valid;
}

static void child_failed(struct build *build)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *line = complaint_line(build);
	gboolean full = strstr(line, g_strerror(ENOSPC)) != NULL;

	if (g_subprocess_get_if_signaled(build->process))
		g_set_error(&error, POLDER_ERROR, POLDER_ERROR_FAILED,
			    "the build was killed by signal %d; next: build it again",
			    g_subprocess_get_term_sig(build->process));
	else
		g_set_error(&error, POLDER_ERROR, full ? POLDER_ERROR_STORAGE_FULL : POLDER_ERROR_FAILED, "%s",
			    line[0] ? line : "the build failed and did not say why; next: build it again");
	build_ended(build, error);
}

/* stdout, stderr and the process itself have ended. */
static void operation_ended(struct build *build)
{
	g_autoptr(GError) error = NULL;

	if (--build->pending)
		return;
	if (!build->builder) {
		g_set_error(&error, POLDER_ERROR, POLDER_ERROR_FAILED, "abandoned");
		build_ended(build, error);
	} else if (g_subprocess_get_successful(build->process)) {
		build_step(build, 97, "putting it in place");
		build_work(build, install);
	} else {
		child_failed(build);
	}
}

static void read_line(struct build *build);

static void line_read(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct build *build = user_data;
	g_autofree char *line =
		g_data_input_stream_read_line_finish_utf8(G_DATA_INPUT_STREAM(source), result, NULL, NULL);
	guint percent;
	int step;

	if (!line) {
		operation_ended(build);
		return;
	}
	if (build->builder && sscanf(line, "progress %u %n", &percent, &step) == 1)
		build_step(build, MIN(percent, 96), line + step);
	read_line(build);
}

static void read_line(struct build *build)
{
	g_data_input_stream_read_line_async(build->lines, G_PRIORITY_DEFAULT, build->cancellable, line_read, build);
}

static void complaint_read(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct build *build = user_data;
	g_autoptr(GBytes) bytes = g_input_stream_read_bytes_finish(G_INPUT_STREAM(source), result, NULL);
	gsize count;
	const guint8 *data = bytes ? g_bytes_get_data(bytes, &count) : NULL;

	if (!bytes || !count) {
		operation_ended(build);
		return;
	}
	g_byte_array_append(build->complaint, data, count);
	if (build->complaint->len > COMPLAINT_BYTES)
		g_byte_array_remove_range(build->complaint, 0, build->complaint->len - COMPLAINT_BYTES);
	g_input_stream_read_bytes_async(G_INPUT_STREAM(source), COMPLAINT_BYTES, G_PRIORITY_DEFAULT, build->cancellable,
					complaint_read, build);
}

static pid_t process_group(const struct build *build)
{
	const char *text = build->process ? g_subprocess_get_identifier(build->process) : NULL;

	return text ? (pid_t)g_ascii_strtoll(text, NULL, 10) : 0;
}

static void child_ended(GObject *source, GAsyncResult *result, gpointer user_data)
{
	g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL);
	operation_ended(user_data);
}

static gboolean spawn(struct build *build, const struct identity *identity, GError **error)
{
	g_autoptr(GSubprocessLauncher) launcher =
		g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);

	/* Relative paths: the child needs no way through our parent directories. */
	g_subprocess_launcher_set_cwd(launcher, build->directory);
	g_subprocess_launcher_set_child_setup(launcher, become, g_memdup2(identity, sizeof(*identity)), g_free);
	g_subprocess_launcher_unsetenv(launcher, "TMPDIR");
	if (identity->uid != (uid_t)-1)
		g_subprocess_launcher_setenv(launcher, "HOME", "/nonexistent", TRUE);
	build->process =
		g_subprocess_launcher_spawn(launcher, error, "/bin/sh", "./build-tiny", "--guest", "./polder-guest",
					    "--packages", "../../packages", "--out", "./out", NULL);
	return build->process != NULL;
}

void image_tiny_start(struct build *build)
{
	struct identity identity = builder_identity();
	g_autoptr(GError) error = NULL;

	if (g_strcmp0(build->image.name, "tiny")) {
		g_set_error(&error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
			    "no builtin image is called %s; the one there is: tiny", build->image.name);
		build_ended(build, error);
		return;
	}
	if (!prepare(build, &identity, &error) || !spawn(build, &identity, &error)) {
		build_ended(build, error);
		return;
	}
	build->lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(build->process));
	build->pending = 3;
	read_line(build);
	g_input_stream_read_bytes_async(g_subprocess_get_stderr_pipe(build->process), COMPLAINT_BYTES,
					G_PRIORITY_DEFAULT, build->cancellable, complaint_read, build);
	g_subprocess_wait_async(build->process, NULL, child_ended, build);
}

void image_tiny_kill(struct build *build)
{
	pid_t group = process_group(build);

	if (group <= 0)
		return;
	kill(-group, SIGKILL);
	g_subprocess_wait(build->process, NULL, NULL);
}
