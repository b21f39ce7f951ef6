#include "daemon/agent/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/model/error.h"

static const int kept[] = {
	CAP_CHOWN,                     /* a VM's files belong to its uid */
	CAP_DAC_OVERRIDE,              /* directories of polderd's user and of VMs */
	CAP_FOWNER,                    /* modes of such files */
	CAP_KILL,                      /* end a QEMU, which runs under a uid of its own */
	CAP_SETGID,                    /* children drop to a VM's, a user's or the builder's ids … */
	CAP_SETUID,       CAP_SETPCAP, /* … and give up what is left of these themselves */
	CAP_SYS_NICE,                  /* policies and affinity of QEMU's threads */
	CAP_SYS_RESOURCE,              /* raise the limit of open files */
};

static gboolean fail(GError **error, const char *what)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "give up privileges: %s: %s", what, g_strerror(errno));
	return FALSE;
}

static gboolean is_kept(int capability)
{
	for (guint i = 0; i < G_N_ELEMENTS(kept); i++) {
		if (kept[i] == capability)
			return TRUE;
	}
	return FALSE;
}

static gboolean reduce_bounding_set(GError **error)
{
	for (int capability = 0; capability <= 63; capability++) {
		if (is_kept(capability) || prctl(PR_CAPBSET_READ, capability) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, capability) < 0)
			return fail(error, "bounding set");
	}
	return TRUE;
}

static gboolean reduce_own_set(GError **error)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	guint32 mask[2] = { 0, 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return fail(error, "capget");
	for (guint i = 0; i < G_N_ELEMENTS(kept); i++)
		mask[kept[i] / 32] |= 1u << (kept[i] % 32);
	for (guint i = 0; i < 2; i++) {
		data[i].permitted &= mask[i];
		data[i].effective &= mask[i];
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return fail(error, "capset");
	return TRUE;
}

gboolean privileges_reduce(GError **error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(error, "no_new_privs");
	if (geteuid() != 0)
		return TRUE;
	/* In this order: the bounding set needs CAP_SETPCAP of the own set. */
	return reduce_bounding_set(error) && reduce_own_set(error);
}
