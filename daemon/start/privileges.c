#include "daemon/start/start.h"

#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/model/error.h"

static gboolean fail(GError **error, const char *what)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "drop privileges: %s: %s", what, g_strerror(errno));
	return FALSE;
}

gboolean start_drop(const struct identity *identity, GError **error)
{
	struct rlimit none = { 0, 0 };
	uid_t real, effective, saved;

	if (identity->drop) {
		if (setgroups(0, NULL) < 0)
			return fail(error, "setgroups");
		if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
			return fail(error, "setresgid");
		if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
			return fail(error, "setresuid");
		/* Trust the outcome, not the call. */
		if (getresuid(&real, &effective, &saved) < 0 || real != identity->uid || effective != identity->uid ||
		    saved != identity->uid)
			return fail(error, "still root");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(error, "no_new_privs");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return fail(error, "core dumps");
	return TRUE;
}
