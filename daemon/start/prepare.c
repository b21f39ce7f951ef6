#include "daemon/start/start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/ids.h"

void identity_find(struct identity *identity)
{
	const struct passwd *user;
	const struct group *group;

	identity->started_by = getuid();
	identity->drop = geteuid() == 0;
	identity->uid = geteuid();
	identity->gid = getegid();
	if (!identity->drop)
		return;
	user = getpwnam(POLDER_USER);
	identity->uid = user ? user->pw_uid : POLDER_DAEMON_UID;
	identity->gid = user ? user->pw_gid : POLDER_DAEMON_UID;
	group = getgrnam(POLDER_USER);
	if (group)
		identity->gid = group->gr_gid;
}

static gboolean fail(GError **error, const char *doing, const char *path)
{
	int code = errno == ENOSPC || errno == EDQUOT  ? POLDER_ERROR_STORAGE_FULL
		   : errno == EACCES || errno == EPERM ? POLDER_ERROR_DENIED
						       : POLDER_ERROR_FAILED;

	g_set_error(error, POLDER_ERROR, code, "%s %s: %s", doing, path, g_strerror(errno));
	return FALSE;
}

/* One directory and whose it is. */
struct place {
	const char *parent, *name; /* name NULL: the parent itself */
	mode_t mode;
	uid_t owner;
};

static gboolean refuse(GError **error, const char *path, const char *what)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_DENIED, "%s %s: move it away, or use --root DIR", path, what);
	return FALSE;
}

/* Through the fd, so that nobody swaps the directory between the look and the change. */
static gboolean take_over(int fd, const char *path, const struct place *place, GError **error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(error, "look at directory", path);
	if (st.st_uid != geteuid() && st.st_uid != place->owner) {
		g_autofree char *what = g_strdup_printf("belongs to user %u and not to us (user %u)",
							(unsigned)st.st_uid, (unsigned)place->owner);

		return refuse(error, path, what);
	}
	if ((st.st_mode & 07777) != place->mode && fchmod(fd, place->mode) < 0)
		return fail(error, "set the mode of", path);
	if (st.st_uid != place->owner && fchown(fd, place->owner, (gid_t)-1) < 0)
		return fail(error, "set the owner of", path);
	return TRUE;
}

static gboolean make(const struct place *place, GError **error)
{
	g_autofree char *path = g_build_filename(place->parent, place->name, NULL);
	/* What lies above ours and is not there yet: to be passed by everyone, whatever our umask is. */
	mode_t mask = umask(0022);
	int made = g_mkdir_with_parents(path, 0755), failed = errno, fd;
	gboolean ok;

	umask(mask);
	errno = failed;
	if (made < 0 && failed != ENOTDIR && failed != EEXIST)
		return fail(error, "make directory", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP
			       ? refuse(error, path, "is a symbolic link or no directory at all")
			       : fail(error, "open directory", path);
	ok = take_over(fd, path, place, error);
	close(fd);
	return ok;
}

gboolean start_dirs(const struct dirs *dirs, const struct identity *identity, GError **error)
{
	/* In user scope everything is ours alone: the run directory may be one below /tmp. */
	mode_t top = identity->drop ? 0755 : 0700;
	uid_t us = geteuid();
	const struct place places[] = {
		{ dirs->state, NULL, top, us },  { dirs->state, "store", 0700, identity->uid },
		{ dirs->state, "vm", 0700, us }, { dirs->run, NULL, top, us },
		{ dirs->run, "vm", 0700, us },   { dirs->cache, NULL, 0755, us },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
		if (!make(&places[i], error))
			return FALSE;
	}
	return TRUE;
}

/* The first directory on the way to `path`, and `path` itself, that we may not pass; NULL: we may. Caller frees. */
static char *closed_directory(const char *path)
{
	for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
		const char *end = strchr(slash + 1, '/');
		g_autofree char *part = end ? g_strndup(path, (gsize)(end - path)) : g_strdup(path);

		if (access(part, X_OK) < 0 && errno == EACCES)
			return g_steal_pointer(&part);
	}
	return NULL;
}

gboolean start_check_store(const struct dirs *dirs, GError **error)
{
	g_autofree char *path = g_build_filename(dirs->state, "store", NULL);
	g_autofree char *closed = NULL;

	if (access(path, R_OK | W_OK | X_OK) == 0)
		return TRUE;
	closed = closed_directory(path);
	if (!closed)
		return fail(error, "use directory", path);
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_DENIED,
		    "directory %s is closed to user %u, as which polderd runs, and %s lies in it: run chmod o+x %s",
		    closed, (unsigned)geteuid(), path, closed);
	return FALSE;
}
