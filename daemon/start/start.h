/* What polderd does before it serves: directories, locks, agent, socket, privileges. Each step once, in the order of
 * daemon/main.c, while there is one thread. */
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

#include "daemon/model/dirs.h"

/* Who we will be and who may talk to us. */
struct identity {
	gboolean drop; /* started by root: become uid, gid */
	uid_t uid;
	gid_t gid; /* also the socket's group when we drop */
	uid_t started_by;
};

/* identity_find(identity): user and group `polder`, or the numbers of ids.h where the system has none. */
void identity_find(struct identity *identity);

/* start_dirs(dirs, identity, error): make what is missing and set modes and owners right. Refuses a symbolic link in one's
 * place, and what somebody else made.
 *
 *              system (root)     user
 *   state      root     0755     0700
 *   state/store  polderd's user 0700   0700      the store
 *   state/vm   root     0700     0700            logs: the agent's
 *   run        root     0755     0700
 *   run/vm     root     0700     0700            run directories: the agent's
 *   cache      root     0755     0755 */
gboolean start_dirs(const struct dirs *dirs, const struct identity *identity, GError **error);

/* start_check_store(dirs, error): after start_drop(): may we use state/store, being who we are now? DENIED names the
 * directory on the way that is closed to us. */
gboolean start_check_store(const struct dirs *dirs, GError **error);

/* How long those of an earlier polderd have to end. */
#define START_WAIT_MS 10000u

/* start_lock(dirs, wait_ms, error): the exclusive lock state/polderd.lock, as an fd that stays open; -1: CONFLICT when
 * another daemon holds it to the end of the wait. */
int start_lock(const struct dirs *dirs, guint wait_ms, GError **error);

/* start_await_agent(dirs, wait_ms, error): return when no agent holds run/agent.lock: before that the last one may still
 * remove its daemon's socket. FALSE: CONFLICT. Hold the lock of start_lock() first. */
gboolean start_await_agent(const struct dirs *dirs, guint wait_ms, GError **error);

/* start_agent(path, root, socket, agent, error): run the agent with its two sockets as fds 3 and 4 and nothing else of
 * ours. `socket`: the API's, which the agent removes when we have ended, as we then may not. */
struct agent_process {
	pid_t pid;
	int store_fd;   /* for store_serve() */
	int request_fd; /* for agent_link_new() */
};
gboolean start_agent(const char *path, const char *root, const char *socket, struct agent_process *agent,
		     GError **error);

/* start_end_agent(agent): when the start fails later on: end it and wait until it has, so that our reason is the last line
 * of the log. Nothing when it was not started. */
void start_end_agent(const struct agent_process *agent);

/* start_bind(dirs, identity, error): the API's socket, 0660 root:polder (0600 without root). What an earlier daemon
 * left in its place is removed; a socket on which somebody accepts and anything but a socket are refused. Hold the lock
 * first. Caller unrefs. */
GSocket *start_bind(const struct dirs *dirs, const struct identity *identity, GError **error);

/* start_listen(socket, error): from now on clients can connect: when all that may fail is done, so that they are never
 * taken and then dropped. */
gboolean start_listen(GSocket *socket, GError **error);

/* start_drop(identity, error): give up root for good; no new privileges, no core dumps (they would hold guests' data). */
gboolean start_drop(const struct identity *identity, GError **error);

/* start_notify(state): tell systemd ("READY=1"), when it asked to be told. */
void start_notify(const char *state);

/* start_log_line: a GLogWriterFunc: "polderd: MESSAGE" on stderr, one line each. */
GLogWriterOutput start_log_line(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data);
