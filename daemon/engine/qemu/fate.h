/* Why a VM ended, told from all that is known about its end. Pure. */
#pragma once

#include "daemon/engine/engine.h"
#include "daemon/engine/qemu/rundir.h"

struct fate {
	const struct exit_record *record; /* NULL: none was written */
	gboolean killed;                  /* we sent SIGKILL because we were asked to */
	gboolean asked;                   /* a shutdown was asked for */
	gboolean started;                 /* QEMU had answered: it was not the start that failed */
	gboolean panicked;                /* QEMU told of a guest panic */
	gboolean boot_loop;               /* killed because the guest crashed, started over, and so on */
	gboolean cut_short;               /* QEMU was never forked */
	gboolean rebooted;                /* the host was restarted since the VM was */
	const char *problem;              /* a start's own reason to give up ("QEMU's monitor …"), or NULL */
};

/* fate_decide(fate, &cause): the reason, for people, one line; caller frees. */
char *fate_decide(const struct fate *fate, enum engine_exit_cause *cause);
