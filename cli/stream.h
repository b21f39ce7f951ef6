/* One exec or console session: a WebSocket that speaks guest/protocol.h, between three file descriptors and the guest. */
#pragma once

#include "cli/client.h"

struct stream_config {
	const char *path; /* of the WebSocket */
	const char *open; /* exec: STREAM_OPEN's JSON; NULL: console */
	const char *what; /* "VM web", for messages */
	int fd_in, fd_out, fd_err;
	gboolean forward_input; /* else the command sees an empty standard input */
	gboolean tty;           /* the command has a terminal of its own */
	gboolean raw;           /* fd_in becomes a raw terminal; its size is passed on */
	/* Console, raw: the terminal's size, at the begin and whenever it changes. A serial line has no way to carry it. */
	void (*resized)(guint rows, guint columns, gpointer user_data);
	gpointer user_data;  /* of resized() */
	gboolean detach_key; /* Ctrl-] ends the session from this side */
};

enum stream_end {
	STREAM_END_EXIT,     /* status is the command's own; of a console: the VM ended */
	STREAM_END_DETACHED, /* by the detach key */
	STREAM_END_REFUSED,  /* the guest can't execute it: reason */
	STREAM_END_SIGNAL,   /* we were told to end: status is 128+signal */
	STREAM_END_BROKEN,   /* Polder failed: error is set */
};

struct stream_result {
	enum stream_end end;
	guint status;
	char *reason; /* refused; caller frees */
};

#define STREAM_DETACH_KEY 0x1d /* Ctrl-] */

/* Of STREAM_OPEN: one message, like every other. */
#define STREAM_OPEN_BYTES_MAX 16384u

/* stream_run(client, config, result, error): runs the session to its end. FALSE only with STREAM_END_BROKEN. The
 * terminal is as before in any case. */
gboolean stream_run(struct client *client, const struct stream_config *config, struct stream_result *result,
		    GError **error);
