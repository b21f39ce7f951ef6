/* Commands in a guest whose agent has no stream port: guest-exec and guest-exec-status of the QEMU guest agent.
 *
 *   gathering ──end of stdin──▶ starting ──pid──▶ running (polled) ──exited──▶ delivering (by credit) ──▶ gone
 *
 * What that protocol can't do is refused or made up for: no terminal; stdin is handed over whole; a working directory
 * and environment go through the guest's env and sh; signals through the guest's kill. When the client goes, the command
 * is killed and its end waited for, so that the agent forgets it. */
#pragma once

#include "daemon/engine/qemu/client.h"
#include "daemon/engine/qemu/qga.h"

struct exec;

/* exec_start(qga, client, open_json, gone, user_data): takes the client over. `gone` is called from the main loop, never
 * inside the call; the session frees itself right after it. */
struct exec *exec_start(struct qga *qga, struct client *client, const char *open_json,
			void (*gone)(struct exec *exec, gpointer user_data), gpointer user_data);

/* exec_free(exec, reason): ends it now, telling its client why; `gone` is not called. */
void exec_free(struct exec *exec, const char *reason);

/* exec_arguments(open_json, error): the arguments of guest-exec for STREAM_OPEN's JSON, "input-data" left out.
 * INVALID when malformed or over LIMIT_EXEC_ARGS, or when a terminal is asked for. Caller unrefs. */
JsonObject *exec_arguments(const char *open_json, GError **error);
