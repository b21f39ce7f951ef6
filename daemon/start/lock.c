/* Only one polderd and one agent at a time. Those of before may still be ending, so we wait for them a little. */
#include "daemon/start/start.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define POLL_MS 10
#define SAY_MS  1000 /* then whoever watches is told what we wait for */

/* FALSE with CONFLICT: still held at the end. */
static gboolean take(int fd, const char *path, guint wait_ms, GError **error)
{
	gint64 begun_us = g_get_monotonic_time();
	gboolean said = FALSE;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		gint64 waited_ms = (g_get_monotonic_time() - begun_us) / 1000;

		if (errno != EWOULDBLOCK && errno != EINTR) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "lock %s: %s", path, g_strerror(errno));
			return FALSE;
		}
		if (waited_ms >= wait_ms) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "%s is held", path);
			return FALSE;
		}
		if (!said && waited_ms >= SAY_MS)
			g_message("waiting for the process that holds %s to end", path);
		said |= waited_ms >= SAY_MS;
		g_usleep(POLL_MS * 1000);
	}
	return TRUE;
}

int start_lock(const struct dirs *dirs, guint wait_ms, GError **error)
{
	g_autofree char *path = g_build_filename(dirs->state, "polderd.lock", NULL);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	g_autoptr(GError) why = NULL;

	if (fd < 0) {
		g_set_error(error, POLDER_ERROR,
			    errno == ENOSPC || errno == EDQUOT ? POLDER_ERROR_STORAGE_FULL : POLDER_ERROR_FAILED,
			    "open %s: %s", path, g_strerror(errno));
		return -1;
	}
	if (take(fd, path, wait_ms, &why))
		return fd;
	close(fd);
	if (g_error_matches(why, POLDER_ERROR, POLDER_ERROR_CONFLICT))
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
			    "another polderd serves %s already: polder version says which", dirs->state);
	else
		g_propagate_error(error, g_steal_pointer(&why));
	return -1;
}

gboolean start_await_agent(const struct dirs *dirs, guint wait_ms, GError **error)
{
	g_autofree char *path = g_build_filename(dirs->run, "agent.lock", NULL);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	gboolean ok;

	if (fd < 0 && errno == ENOENT)
		return TRUE;
	if (fd < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "open %s: %s", path, g_strerror(errno));
		return FALSE;
	}
	ok = take(fd, path, wait_ms, error);
	close(fd);
	g_prefix_error(error, "the polder-agent of an earlier polderd has not ended, it serves %s: ", dirs->run);
	return ok;
}
