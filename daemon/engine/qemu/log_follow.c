/* The log stream: console.log.1, then console.log, within the client's credit; with `follow`, on across rotations.
 *
 * Rotation renames console.log to console.log.1 (over an older one) and begins a new console.log. The file being read is
 * held open, so its inode is not used again: once at its end, the file to read next is console.log.1 when that is another
 * file than ours (we were rotated past), else console.log. Waiting is by inotify where it can be had; a slow timer
 * stands behind it and notices a supervisor that was killed without a word. */
#include "daemon/engine/qemu/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/engine/qemu/client.h"
#include "daemon/model/error.h"

#define POLL_MS        1000u /* beside inotify */
#define POLL_ALONE_MS  250u  /* without it */
#define READS_PER_TURN 16

struct log {
	struct client *client;
	char *path, *older, *run_dir;
	gboolean follow, ended; /* ended: the VM is gone, what the file holds now is all */
	int fd;                 /* -1: no log yet */
	dev_t device;
	ino_t inode;
	int inotify_fd; /* -1: not followed, or not to be had */
	guint inotify_source, timer, pump;
};

static void pump_soon(struct log *log);

static void log_free(struct log *log)
{
	guint sources[] = { log->inotify_source, log->timer, log->pump };
	for (guint i = 0; i < G_N_ELEMENTS(sources); i++) {
		if (sources[i])
			g_source_remove(sources[i]);
	}
	if (log->fd >= 0)
		close(log->fd);
	if (log->inotify_fd >= 0)
		close(log->inotify_fd);
	g_free(log->path);
	g_free(log->older);
	g_free(log->run_dir);
	g_free(log);
}

/* ---- files ---- */

/* -1 when it is not there or no regular file. */
static int open_file(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	close(fd);
	return -1;
}

static void take_file(struct log *log, int fd, const struct stat *st)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = fd;
	log->device = st->st_dev;
	log->inode = st->st_ino;
}

static gboolean is_ours(const struct log *log, const struct stat *st)
{
	return log->fd >= 0 && st->st_dev == log->device && st->st_ino == log->inode;
}

/* At the end of the file: go on with the next one. FALSE: there is none yet. */
static gboolean next_file(struct log *log)
{
	struct stat st;
	/* console.log first: if it is still ours, there was no rotation, whatever console.log.1 is. */
	if (stat(log->path, &st) == 0 && is_ours(log, &st))
		return FALSE;
	int fd = log->fd >= 0 ? open_file(log->older, &st) : -1;
	if (fd >= 0 && is_ours(log, &st)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		fd = open_file(log->path, &st);
	if (fd < 0)
		return FALSE;
	if (is_ours(log, &st)) {
		close(fd);
		return FALSE;
	}
	take_file(log, fd, &st);
	return TRUE;
}

/* Where to begin: in the older file, or in the current one, so that `tail_bytes` are left of both. */
static void open_first(struct log *log, guint64 tail_bytes)
{
	struct stat current = { 0 }, older = { 0 };
	int older_fd = open_file(log->older, &older);
	int current_fd = open_file(log->path, &current);
	guint64 older_bytes = older_fd >= 0 ? (guint64)older.st_size : 0;
	guint64 current_bytes = current_fd >= 0 ? (guint64)current.st_size : 0;
	guint64 skip =
		tail_bytes && older_bytes + current_bytes > tail_bytes ? older_bytes + current_bytes - tail_bytes : 0;
	gboolean from_older = older_fd >= 0 && (skip < older_bytes || current_fd < 0);
	int first = from_older ? older_fd : current_fd;
	int other = from_older ? current_fd : older_fd;
	if (other >= 0)
		close(other);
	if (first < 0)
		return;
	take_file(log, first, from_older ? &older : &current);
	guint64 offset = from_older ? skip : skip - MIN(skip, older_bytes);
	if (lseek(log->fd, (off_t)offset, SEEK_SET) < 0)
		g_debug("seek in %s: %s", log->path, g_strerror(errno));
}

/* ---- is the VM still there? ---- */

/* polder-vm holds a record lock on RUN/vm/NAME/lock as long as it lives, and removes console.sock after it wrote why
 * QEMU ended. */
static gboolean vm_alive(const struct log *log)
{
	g_autofree char *lock_path = g_build_filename(log->run_dir, "lock", NULL);
	g_autofree char *socket_path = g_build_filename(log->run_dir, "console.sock", NULL);
	g_autofree char *exit_path = g_build_filename(log->run_dir, "exit", NULL);
	int fd = open(lock_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return FALSE;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	gboolean held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return held && (access(socket_path, F_OK) == 0 || access(exit_path, F_OK) != 0);
}

/* ---- the stream ---- */

static void end(struct log *log)
{
	client_exit(log->client, 0);
	log_free(log);
}

/* One packet. FALSE: at the end of all there is for now, or out of credit. */
static gboolean read_some(struct log *log, gboolean *at_end)
{
	guint8 buffer[STREAM_PAYLOAD_MAX];
	gsize credit = client_credit(log->client);
	struct stat st;
	*at_end = FALSE;
	if (credit == 0)
		return FALSE;
	ssize_t n = log->fd >= 0 ? read(log->fd, buffer, MIN(credit, sizeof(buffer))) : 0;
	if (n > 0) {
		client_send(log->client, STREAM_STDOUT, buffer, n);
		return TRUE;
	}
	/* Cut short under us: whatever is written now comes from its start. */
	if (log->fd >= 0 && fstat(log->fd, &st) == 0 && st.st_size < lseek(log->fd, 0, SEEK_CUR)) {
		lseek(log->fd, 0, SEEK_SET);
		return TRUE;
	}
	*at_end = !next_file(log);
	return !*at_end;
}

static gboolean on_pump(gpointer user_data)
{
	struct log *log = user_data;
	gboolean at_end = FALSE;
	for (guint i = 0; i < READS_PER_TURN; i++) {
		if (read_some(log, &at_end))
			continue;
		log->pump = 0;
		if (!at_end)
			return G_SOURCE_REMOVE; /* credit brings us back */
		if (log->ended || !log->follow) {
			end(log);
			return G_SOURCE_REMOVE;
		}
		/* Once the VM is seen gone, one more look: it may have written since we read. */
		log->ended = !vm_alive(log);
		if (log->ended)
			pump_soon(log);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static void pump_soon(struct log *log)
{
	if (!log->pump)
		log->pump = g_idle_add_full(G_PRIORITY_DEFAULT, on_pump, log, NULL);
}

static gboolean on_inotify(int fd, GIOCondition condition, gpointer user_data)
{
	char buffer[4096];
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	pump_soon(user_data);
	return G_SOURCE_CONTINUE;
}

static gboolean on_timer(gpointer user_data)
{
	pump_soon(user_data);
	return G_SOURCE_CONTINUE;
}

static void on_packet(guint8 kind, const guint8 *payload, gsize bytes, gpointer user_data)
{
	struct log *log = user_data;
	if (kind == STREAM_STDIN)
		client_consumed(log->client, bytes); /* nobody to hear it */
	else if (kind == STREAM_CREDIT)
		pump_soon(log);
}

static void on_closed(gpointer user_data)
{
	struct log *log = user_data;
	client_free(log->client);
	log_free(log);
}

static void watch_files(struct log *log)
{
	g_autofree char *directory = g_path_get_dirname(log->path);
	log->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	gboolean ok = log->inotify_fd >= 0 &&
		      inotify_add_watch(log->inotify_fd, directory, IN_MODIFY | IN_MOVED_TO | IN_CREATE) >= 0 &&
		      inotify_add_watch(log->inotify_fd, log->run_dir, IN_DELETE | IN_MOVED_TO | IN_DELETE_SELF) >= 0;
	if (log->inotify_fd >= 0)
		log->inotify_source = g_unix_fd_add(log->inotify_fd, G_IO_IN, on_inotify, log);
	log->timer = g_timeout_add(ok ? POLL_MS : POLL_ALONE_MS, on_timer, log);
}

int stream_log(const char *log_path, const char *run_dir, gboolean follow, guint64 tail_bytes, GError **error)
{
	static const struct client_events events = { .packet = on_packet, .closed = on_closed };
	int peer_fd;
	struct client *client = client_new(&peer_fd, error);
	if (!client)
		return -1;
	struct log *log = g_new0(struct log, 1);
	log->client = client;
	log->path = g_strdup(log_path);
	log->older = g_strconcat(log_path, ".1", NULL);
	log->run_dir = g_strdup(run_dir);
	log->follow = follow && run_dir;
	log->fd = log->inotify_fd = -1;
	open_first(log, tail_bytes);
	if (log->follow)
		watch_files(log);
	client_bind(client, &events, log);
	pump_soon(log);
	return peer_fd;
}
