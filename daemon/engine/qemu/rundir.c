#include "daemon/engine/qemu/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define RECORD_BYTES    16384
#define LAUNCH_AGAIN_US 5000 /* between two looks at a lock that cannot be polled */

/* Everything polder-vm and we put there. */
static const char *const sockets[] = { "qmp.sock", "guest.sock", "stream.sock", "console.sock", NULL };
static const char *const records[] = { "exit",   "exit.new", "child",       "intent",          "intent.new",
				       "launch", "lock",     "cpu.journal", "cpu.journal.new", NULL };

static void set_errno_error(GError **error, const char *what, const char *path)
{
	int saved = errno;

	g_set_error(error, POLDER_ERROR,
		    saved == ENOSPC   ? POLDER_ERROR_STORAGE_FULL
		    : saved == ENOENT ? POLDER_ERROR_NOT_FOUND
				      : POLDER_ERROR_FAILED,
		    "%s %s: %s", what, path, g_strerror(saved));
}

/* key=value lines into a table of strings. */
static GHashTable *read_lines(const char *run_dir, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(run_dir, name, NULL);
	g_autofree char *text = g_malloc(RECORD_BYTES + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, text, RECORD_BYTES);

	if (n < 0)
		set_errno_error(error, "read", path);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return NULL;
	text[n] = '\0';
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	for (guint i = 0; lines[i]; i++) {
		char *equals = strchr(lines[i], '=');
		if (equals)
			g_hash_table_insert(table, g_strndup(lines[i], (gsize)(equals - lines[i])),
					    g_utf8_make_valid(equals + 1, -1));
	}
	return table;
}

static guint64 number(GHashTable *table, const char *key)
{
	const char *text = g_hash_table_lookup(table, key);

	return text ? g_ascii_strtoull(text, NULL, 10) : 0;
}

static char *string(GHashTable *table, const char *key)
{
	const char *text = g_hash_table_lookup(table, key);

	return g_strdup(text ? text : "");
}

static gboolean sync_directory(const char *path, GError **error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	gboolean ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		set_errno_error(error, "sync", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

gboolean intent_write(const char *run_dir, const struct intent *intent, GError **error)
{
	g_autofree char *fresh = g_build_filename(run_dir, "intent.new", NULL);
	g_autofree char *path = g_build_filename(run_dir, "intent", NULL);
	g_autofree char *text = g_strdup_printf("name=%s\nuuid=%s\nrun=%" G_GUINT64_FORMAT "\nengine=%s\n"
						"accelerator=%s\nuid=%" G_GUINT64_FORMAT "\nboot_id=%s\n"
						"console_log=%s\n",
						intent->name, intent->uuid, intent->run, intent->engine,
						intent->accelerator, intent->uid, intent->boot_id, intent->console_log);
	gsize bytes = strlen(text);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	gboolean ok =
		fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes && fsync(fd) == 0 && g_rename(fresh, path) == 0;

	if (!ok)
		set_errno_error(error, "write", path);
	if (fd >= 0)
		close(fd);
	g_autofree char *parent = g_path_get_dirname(run_dir);
	return ok && sync_directory(run_dir, error) && sync_directory(parent, error);
}

gboolean intent_read(const char *run_dir, struct intent *intent, GError **error)
{
	memset(intent, 0, sizeof(*intent));
	g_autoptr(GHashTable) table = read_lines(run_dir, "intent", error);
	if (!table)
		return FALSE;
	intent->name = string(table, "name");
	intent->uuid = string(table, "uuid");
	intent->engine = string(table, "engine");
	intent->accelerator = string(table, "accelerator");
	intent->boot_id = string(table, "boot_id");
	intent->console_log = string(table, "console_log");
	intent->run = number(table, "run");
	intent->uid = number(table, "uid");
	if (*intent->uuid)
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_CORRUPT, "%s/intent doesn't say which VM it is for", run_dir);
	intent_clear(intent);
	return FALSE;
}

void intent_clear(struct intent *intent)
{
	g_free(intent->name);
	g_free(intent->uuid);
	g_free(intent->engine);
	g_free(intent->accelerator);
	g_free(intent->boot_id);
	g_free(intent->console_log);
	memset(intent, 0, sizeof(*intent));
}

char *boot_id_get(void)
{
	char *text = NULL;

	if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &text, NULL, NULL))
		return g_strdup("");
	return g_strstrip(text);
}

gboolean exit_record_read(const char *run_dir, struct exit_record *record, GError **error)
{
	memset(record, 0, sizeof(*record));
	g_autoptr(GHashTable) table = read_lines(run_dir, "exit", error);
	if (!table)
		return FALSE;
	record->status = (guint)number(table, "status");
	record->signalled = number(table, "signalled") != 0;
	record->ended_at = (gint64)number(table, "ended_at_us");
	record->last = string(table, "last");
	return TRUE;
}

void exit_record_clear(struct exit_record *record)
{
	g_clear_pointer(&record->last, g_free);
}

static void remove_all(const char *run_dir, const char *const *names)
{
	for (guint i = 0; names[i]; i++) {
		g_autofree char *path = g_build_filename(run_dir, names[i], NULL);
		unlink(path);
	}
}

static gboolean make_directory(const char *run_dir, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(run_dir);

	/* Others must reach the sockets of RUN itself, but nothing below run/vm. */
	if (g_mkdir_with_parents(parent, 0755) == 0 && (mkdir(run_dir, 0700) == 0 || errno == EEXIST))
		return TRUE;
	set_errno_error(error, "make", run_dir);
	return FALSE;
}

int rundir_launch_lock(const char *run_dir, guint timeout_ms, GError **error)
{
	g_autofree char *path = g_build_filename(run_dir, "launch", NULL);
	gint64 deadline_us = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

	if (!make_directory(run_dir, error))
		return -1;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		set_errno_error(error, "open", path);
		return -1;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			set_errno_error(error, "lock", path);
			close(fd);
			return -1;
		}
		if (g_get_monotonic_time() >= deadline_us) {
			close(fd);
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "another start of it is under way");
			return -1;
		}
		g_usleep(LAUNCH_AGAIN_US);
	}
	return fd;
}

gboolean rundir_launching(const char *run_dir)
{
	g_autofree char *path = g_build_filename(run_dir, "launch", NULL);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	gboolean busy = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return busy;
}

gboolean rundir_prepare(const char *run_dir, GError **error)
{
	static const char *const stale[] = { "exit", "exit.new", "child", NULL };

	if (!make_directory(run_dir, error))
		return FALSE;
	/* The lock's file stays: unlinking it would let two processes hold "the" lock. */
	remove_all(run_dir, stale);
	return TRUE;
}

void rundir_remove_sockets(const char *run_dir)
{
	remove_all(run_dir, sockets);
}

void rundir_remove(const char *run_dir)
{
	remove_all(run_dir, sockets);
	remove_all(run_dir, records);
	rmdir(run_dir);
}
