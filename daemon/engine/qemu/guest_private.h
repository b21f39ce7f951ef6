/* What guest.c and stream.c share. */
#pragma once

#include "daemon/engine/qemu/guest.h"
#include "daemon/engine/qemu/mux.h"
#include "daemon/engine/qemu/qga.h"

struct guest {
	char *run_dir;
	const struct guest_events *events;
	gpointer user_data;
	gboolean open;
	struct qga *qga;
	struct mux *mux;
	char **addresses; /* as told last */
	guint refresh;    /* timer: ask for addresses again */
	guint quick_refresh_ms;
	guint quick_refreshes; /* addresses often come a little after the agent: asked for sooner at first */
	guint64 refreshing;    /* command at the agent */
	guint link_retry;      /* timer: connect the stream port again */
	gint64 ready_at;       /* µs, monotonic */
	/* How long after the agent's first answer the stream port may take: a guest of ours opens both together. */
	gint64 stream_grace_us;
	/* exec: */
	GQueue pending; /* struct pending: not yet known whether the stream port will answer */
	guint pending_timer;
	GPtrArray *execs; /* struct exec, over guest-exec */
};

/* guest_exec_pending(guest): see what pending sessions can become now. */
void guest_exec_pending(struct guest *guest);
/* guest_exec_pending_end(guest, reason): refuse what is pending. guest_execs_end: end what runs over guest-exec. */
void guest_exec_pending_end(struct guest *guest, const char *reason);
void guest_execs_end(struct guest *guest, const char *reason);

/* guest_qga(guest): the agent's client, for tests that shorten its deadline. */
struct qga *guest_qga(struct guest *guest);
