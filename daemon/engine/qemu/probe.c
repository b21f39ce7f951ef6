#include "daemon/engine/qemu/internal.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/engine/qemu/kvm.h"
#include "daemon/model/error.h"

#define ACCELERATOR_VARIABLE "POLDER_ACCELERATOR"

static char *qemu_version(const char *binary)
{
	char *argv[] = { (char *)binary, (char *)"--version", NULL };
	g_autofree char *text = NULL;
	static const char prefix[] = "QEMU emulator version ";

	if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &text, NULL, NULL, NULL) ||
	    !g_str_has_prefix(text, prefix))
		return NULL;
	const char *version = text + strlen(prefix);
	return g_strndup(version, strcspn(version, " \n"));
}

static void append(char ***list, char *item)
{
	guint n = *list ? g_strv_length(*list) : 0;

	*list = g_renew(char *, *list, n + 2);
	(*list)[n] = item;
	(*list)[n + 1] = NULL;
}

/* A VM's own user must be able to open the device too: by its group, or anybody. */
static gboolean vm_user_can_open(gint64 *gid)
{
	struct stat st;

	*gid = -1;
	if (geteuid() != 0)
		return TRUE;
	if (stat(KVM_DEVICE, &st) < 0)
		return FALSE;
	if ((st.st_mode & 0060) == 0060 && st.st_gid != 0)
		*gid = st.st_gid;
	return *gid > 0 || (st.st_mode & 0006) == 0006;
}

/* What the self-test says, unless the operator knows better. */
static void judge_kvm(struct host *host, struct kvm_verdict *verdict)
{
	const char *wanted = g_getenv(ACCELERATOR_VARIABLE);
	g_autofree char *said = NULL;

	kvm_self_test(KVM_DEVICE, KVM_TEST_DEADLINE_MS, verdict);
	if (!wanted || !*wanted)
		return;
	if (g_str_equal(wanted, "tcg")) {
		verdict->usable = FALSE;
	} else if (g_str_equal(wanted, "kvm")) {
		verdict->usable = verdict->long_us > 0; /* its guests ran, however slowly */
	} else {
		append(&host->limits,
		       g_strdup_printf(ACCELERATOR_VARIABLE " is '%.20s' and ignored: use kvm or tcg", wanted));
		return;
	}
	said = verdict->reason;
	verdict->reason = g_strdup_printf(ACCELERATOR_VARIABLE "=%s; %s", wanted, said);
}

gboolean qemu_probe(struct engine *base, struct host *host, GError **error)
{
	struct qemu_engine *engine = (struct qemu_engine *)base;
	struct kvm_verdict verdict;
	gint64 kvm_gid = -1;

	if (!engine->binary) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE,
			    QEMU_BINARY " is not installed; on Debian: apt install qemu-system-x86");
		return FALSE;
	}
	g_autofree char *version = qemu_version(engine->binary);
	if (!version) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "%s doesn't run: try `%s --version`",
			    engine->binary, engine->binary);
		return FALSE;
	}
	judge_kvm(host, &verdict);
	if (verdict.usable && !vm_user_can_open(&kvm_gid)) {
		verdict.usable = FALSE;
		g_free(verdict.reason);
		verdict.reason =
			g_strdup(KVM_DEVICE " works, but only root may open it and VMs don't run as root: give it "
					    "a group (chgrp kvm, chmod 660)");
	}
	g_mutex_lock(&engine->lock);
	g_free(engine->accelerator);
	engine->accelerator = g_strdup(verdict.usable ? "kvm" : "tcg");
	engine->kvm_gid = verdict.usable ? kvm_gid : -1;
	g_mutex_unlock(&engine->lock);
	append(&host->engines, g_strdup("qemu"));
	g_free(host->accelerator);
	host->accelerator = g_strdup(engine->accelerator);
	g_free(host->accelerator_reason);
	host->accelerator_reason = g_strdup(verdict.reason);
	g_free(host->qemu_version);
	host->qemu_version = g_steal_pointer(&version);
	if (!verdict.usable)
		append(&host->limits, g_strdup_printf("no KVM: %s; VMs run on TCG, many times slower", verdict.reason));
	kvm_verdict_clear(&verdict);
	return TRUE;
}
