/* polder-agent: acts on this host. Started by polderd with two sockets; see ../../docs/architecture.md.
 *
 *   fd 3  the store (daemon/store/remote.c)      fd 4  requests for streams (link.h)
 *
 * Ends when polderd goes away, or on SIGTERM or SIGINT. VMs run on: the next agent adopts them. */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/agent/agent.h"
#include "daemon/agent/log_line.h"
#include "daemon/agent/privileges.h"
#include "daemon/model/error.h"

#define STORE_FD          3
#define REQUEST_FD        4
#define LOCK_WAIT_MS      10000
#define SOCKET_WAIT_MS    2000 /* for polderd to close it: the same exit closes its end of ours and this */
#define OPEN_FILES_WANTED 65536

struct program {
	GMainLoop *loop;
	int exit_status;
};

static gboolean parse_options(int argc, char **argv, char **root, char **api_socket, gboolean *system)
{
	GOptionEntry entries[] = {
		{ "root", 0, 0, G_OPTION_ARG_FILENAME, root, "Keep everything under DIR", "DIR" },
		{ "socket", 0, 0, G_OPTION_ARG_FILENAME, api_socket, "Remove polderd's socket PATH after it", "PATH" },
		{ "system", 0, 0, G_OPTION_ARG_NONE, system, "Refuse to run without root", NULL },
		G_OPTION_ENTRY_NULL,
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- started by polderd");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	if (g_option_context_parse(context, &argc, &argv, &error) && argc == 1)
		return TRUE;
	fprintf(stderr, "polder-agent: %s\n", error ? error->message : "takes no arguments");
	return FALSE;
}

static gboolean take_sockets(GError **error)
{
	for (int fd = STORE_FD; fd <= REQUEST_FD; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode)) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
				    "fd %d is no socket: polder-agent is started by polderd, not by hand", fd);
			return FALSE;
		}
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	return TRUE;
}

/* VMs cost a few fds each. */
static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= OPEN_FILES_WANTED)
		return;
	if (limit.rlim_max < OPEN_FILES_WANTED) {
		struct rlimit more = { .rlim_cur = OPEN_FILES_WANTED, .rlim_max = OPEN_FILES_WANTED };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	limit.rlim_cur = MIN(limit.rlim_max, OPEN_FILES_WANTED);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		g_message("open files stay limited to what they were: %s", g_strerror(errno));
}

static gboolean make_dir(const char *parent, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(parent, name, NULL);

	if (g_mkdir_with_parents(path, 0700) == 0)
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "make directory %s: %s", path, g_strerror(errno));
	return FALSE;
}

/* What QEMUs and the image builder, which run under uids of their own, must be able to pass: whatever our umask is. */
static gboolean make_public_dirs(const struct dirs *dirs, GError **error)
{
	static const char *const names[] = { "image", "build", "packages" };

	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(dirs->cache, names[i], NULL);

		if (!make_dir(dirs->cache, names[i], error))
			return FALSE;
		if (chmod(path, 0755) < 0)
			g_message("%s stays closed to others: %s", path, g_strerror(errno));
	}
	return TRUE;
}

/* One agent at a time. The old one ends when its polderd does: wait for it a little. The fd stays open until we end. */
static gboolean take_lock(const struct dirs *dirs, GError **error)
{
	g_autofree char *path = g_build_filename(dirs->run, "agent.lock", NULL);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	gint64 deadline_us = g_get_monotonic_time() + LOCK_WAIT_MS * 1000;

	if (fd < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "open %s: %s", path, g_strerror(errno));
		return FALSE;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (g_get_monotonic_time() >= deadline_us) {
			close(fd);
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
				    "another polder-agent holds %s: stop its daemon first", path);
			return FALSE;
		}
		g_usleep(20 * 1000);
	}
	return TRUE;
}

/* Does anybody accept on `path`? A full queue (EAGAIN) counts. */
static gboolean accepts(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	gboolean answered;

	g_strlcpy(address.sun_path, path, sizeof address.sun_path);
	answered = fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	return answered;
}

/* polderd has ended or is about to, and may not remove its socket from our run directory: we do. Before agent.lock is
 * released, as the next polderd waits for that and then makes its own. */
static void remove_socket(const char *path)
{
	gint64 deadline_us = g_get_monotonic_time() + SOCKET_WAIT_MS * 1000;
	struct stat st;

	if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return;
	while (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (!accepts(path)) {
			if (unlink(path) < 0 && errno != ENOENT)
				fprintf(stderr, "polder-agent: remove %s: %s\n", path, g_strerror(errno));
			return;
		}
		/* Somebody else's, after all: it stays. */
		if (g_get_monotonic_time() >= deadline_us)
			return;
		g_usleep(5 * 1000);
	}
}

static gboolean on_signal(gpointer user_data)
{
	struct program *program = user_data;

	g_main_loop_quit(program->loop);
	return G_SOURCE_CONTINUE;
}

static void on_ended(const GError *error, gpointer user_data)
{
	struct program *program = user_data;

	if (error) {
		fprintf(stderr, "polder-agent: %s\n", error->message);
		program->exit_status = 1;
	}
	g_main_loop_quit(program->loop);
}

static gboolean set_up(const struct dirs *dirs, gboolean system, GError **error)
{
	if (system && geteuid() != 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_DENIED, "--system needs root");
		return FALSE;
	}
	umask(077);
	raise_open_files();
	return take_sockets(error) && privileges_reduce(error) && make_dir(dirs->run, "vm", error) &&
	       make_dir(dirs->state, "vm", error) && make_public_dirs(dirs, error) && take_lock(dirs, error);
}

int main(int argc, char **argv)
{
	struct program program = { 0 };
	g_autofree char *root = NULL, *api_socket = NULL;
	g_autoptr(GError) error = NULL;
	gboolean system = FALSE;
	struct agent *agent;
	struct dirs dirs;

	if (!parse_options(argc, argv, &root, &api_socket, &system))
		return 2;
	g_log_set_writer_func(log_line_write, NULL, NULL);
	signal(SIGPIPE, SIG_IGN);
	dirs_init(&dirs, root, api_socket);
	if (!set_up(&dirs, system, &error)) {
		fprintf(stderr, "polder-agent: %s\n", error->message);
		dirs_clear(&dirs);
		return polder_error_exit_status(error);
	}
	program.loop = g_main_loop_new(NULL, FALSE);
	g_unix_signal_add(SIGTERM, on_signal, &program);
	g_unix_signal_add(SIGINT, on_signal, &program);
	agent = agent_new(&dirs, STORE_FD, REQUEST_FD, on_ended, &program);
	g_main_loop_run(program.loop);
	agent_free(agent);
	g_main_loop_unref(program.loop);
	remove_socket(dirs.socket);
	dirs_clear(&dirs);
	return program.exit_status;
}
