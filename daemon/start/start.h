/* What polderd does before it serves: directories, lock, agent, socket, privileges. Each step once, in the order of
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

/* start_dirs(dirs, identity, error): make what is missing: state (ours, 0700), run (0755), run/vm (0700, the agent's),
 * cache (0755). Refuses a run directory below /tmp that somebody else made. */
gboolean start_dirs(const struct dirs *dirs, const struct identity *identity, GError **error);

/* start_lock(dirs, identity, error): the exclusive lock state/polderd.lock, as an fd that stays open; -1: CONFLICT when
 * another daemon holds it. */
int start_lock(const struct dirs *dirs, const struct identity *identity, GError **error);

/* start_agent(path, root, agent, error): run the agent with its two sockets as fds 3 and 4 and nothing else of ours. */
struct agent_process {
	pid_t pid;
	int store_fd;   /* for store_serve() */
	int request_fd; /* for agent_link_new() */
};
gboolean start_agent(const char *path, const char *root, struct agent_process *agent, GError **error);

/* start_listen(dirs, identity, error): the API's socket, 0660 root:polder (0600 without root). What an earlier daemon
 * left in its place is removed; anything but a socket there is refused. Hold the lock first. Caller unrefs. */
GSocket *start_listen(const struct dirs *dirs, const struct identity *identity, GError **error);

/* start_drop(identity, error): give up root for good; no new privileges, no core dumps (they would hold guests' data). */
gboolean start_drop(const struct identity *identity, GError **error);

/* start_notify(state): tell systemd ("READY=1"), when it asked to be told. */
void start_notify(const char *state);
