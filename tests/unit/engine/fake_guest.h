/* What stands in for a VM in these tests: listening guest.sock and stream.sock in a run directory of their own, one
 * connection at a time as QEMU does it, and a client's end of a stream. All on the default main context. */
#pragma once

#include <glib.h>

#include "guest/protocol.h"

#define WAIT_SECONDS 20

/* Iterate the main context until `condition`; the test fails after WAIT_SECONDS. */
#define WAIT_FOR(condition)                                                                              \
	do {                                                                                             \
		gint64 wait_end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;                \
		guint wait_tick = g_timeout_add(50, fake_tick, NULL);                                    \
		while (!(condition)) {                                                                   \
			if (g_get_monotonic_time() > wait_end)                                           \
				g_error("%s:%d: waited in vain for %s", __FILE__, __LINE__, #condition); \
			g_main_context_iteration(NULL, TRUE);                                            \
		}                                                                                        \
		g_source_remove(wait_tick);                                                              \
	} while (0)

gboolean fake_tick(gpointer unused);

/* ---- a listening socket ---- */

struct fake_port {
	int listen_fd, fd; /* fd -1: nobody connected */
	guint listen_source, source, out_source;
	guint connections; /* so far */
	GByteArray *in;    /* what arrived and was not taken */
	GByteArray *out;   /* what the other side has no room for yet */
	void (*arrived)(struct fake_port *port, gpointer user_data);
	gpointer user_data;
};

void fake_port_init(struct fake_port *port, const char *dir, const char *name,
		    void (*arrived)(struct fake_port *port, gpointer user_data), gpointer user_data);
void fake_port_clear(struct fake_port *port);
void fake_port_send(struct fake_port *port, const void *data, gsize bytes);
void fake_port_adopt(struct fake_port *port, int fd); /* as if it had been accepted; the fd is taken over */
void fake_port_hang_up(struct fake_port *port);

/* ---- an agent ---- */

enum fake_mode {
	FAKE_GOOD,
	FAKE_SILENT,
	FAKE_GARBAGE, /* a line that is not JSON for everything but sync */
	FAKE_GARBAGE_ALWAYS,
	FAKE_OVERSIZED, /* answers interfaces with a line over the limit, then is good */
	FAKE_FLOOD,     /* never stops talking */
	FAKE_DRIBBLE,   /* a byte at a time */
	FAKE_LATE_REST, /* old answers before its own */
};

struct fake_agent {
	char *dir;
	struct fake_port port;
	enum fake_mode mode;
	const char *interfaces;  /* JSON of the answer */
	const char *exec_status; /* JSON of guest-exec-status once the polls are used up */
	guint polls_until_exit;
	guint syncs, pings, interface_asks, execs, shutdowns, status_polls, kills;
	guint flood_source;
	gsize flooded;   /* bytes the client took of a flood */
	char *last_exec; /* line */
};

void fake_agent_init(struct fake_agent *agent);
void fake_agent_clear(struct fake_agent *agent);

/* ---- the client's end of a stream ---- */

struct fake_packet {
	guint8 kind;
	gsize bytes; /* of payload */
	guint8 payload[STREAM_PAYLOAD_MAX + 1];
};

/* Next packet; FALSE: end of file. */
gboolean fake_receive(int fd, struct fake_packet *packet);
/* The same without waiting for one: FALSE also when there is none now. */
gboolean fake_receive_now(int fd, struct fake_packet *packet);
void fake_send(int fd, guint8 kind, const void *payload, gsize bytes); /* iterates while full */
void fake_send_u32(int fd, guint8 kind, guint32 value);
guint32 fake_u32(const struct fake_packet *packet);
/* Reads on, giving credit, until the stream ends: EXIT's status (or 1000 + REFUSED, reason in *text). `out` and `err`
 * may be NULL. */
guint fake_collect(int fd, GString *out, GString *err, char **reason);

void fake_remove_tree(const char *dir);
