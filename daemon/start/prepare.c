#include "daemon/start/start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
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

/* One directory with exactly this mode and owner; (uid_t)-1: as it is. */
static gboolean make(const char *path, mode_t mode, uid_t uid, GError **error)
{
	struct stat st;

	if (g_mkdir_with_parents(path, 0755) < 0)
		return fail(error, "make directory", path);
	if (lstat(path, &st) < 0)
		return fail(error, "look at directory", path);
	if (!S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != uid)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_DENIED,
			    "%s is not a directory of ours (it belongs to user %u): remove it or use --root DIR", path,
			    (unsigned)st.st_uid);
		return FALSE;
	}
	if ((st.st_mode & 07777) != mode && chmod(path, mode) < 0)
		return fail(error, "set the mode of", path);
	if (uid != (uid_t)-1 && st.st_uid != uid && chown(path, uid, (gid_t)-1) < 0)
		return fail(error, "set the owner of", path);
	return TRUE;
}

gboolean start_dirs(const struct dirs *dirs, const struct identity *identity, GError **error)
{
	g_autofree char *vm = g_build_filename(dirs->run, "vm", NULL);
	uid_t unchanged = (uid_t)-1;
	/* In user scope the run directory may be one below /tmp: nobody else looks into it. */
	mode_t run_mode = identity->drop ? 0755 : 0700;

	return make(dirs->state, 0700, identity->uid, error) && make(dirs->run, run_mode, unchanged, error) &&
	       make(vm, 0700, unchanged, error) && make(dirs->cache, 0755, unchanged, error);
}

int start_lock(const struct dirs *dirs, const struct identity *identity, GError **error)
{
	g_autofree char *path = g_build_filename(dirs->state, "polderd.lock", NULL);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		fail(error, "open", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
				    "another polderd serves %s already: polder version says which", dirs->state);
		else
			fail(error, "lock", path);
		close(fd);
		return -1;
	}
	if (identity->drop && fchown(fd, identity->uid, identity->gid) < 0)
		g_message("%s stays with root: %s", path, g_strerror(errno));
	return fd;
}
