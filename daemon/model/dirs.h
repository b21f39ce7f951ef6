/* Where Polder keeps things: one answer for the CLI and every process. */
#pragma once

#include <glib.h>

/* System scope (root):  state /var/lib/polder, run /run/polder, cache /var/cache/polder.
 * User scope:           state $XDG_STATE_HOME/polder, run $XDG_RUNTIME_DIR/polder (or /tmp/polder-UID, 0700, owned by
 *                       us, refused otherwise), cache $XDG_CACHE_HOME/polder.
 * Under one root (--root DIR, tests): DIR/state, DIR/run, DIR/cache. */
struct dirs {
	char *state;  /* the store, console logs: survives reboots */
	char *run;    /* sockets, locks, run directories: gone after a reboot */
	char *cache;  /* built images: can be made again */
	char *socket; /* the API's unix socket: run/polder.sock unless overridden */
	gboolean system;
};

/* dirs_init(dirs, root, socket): `root` and `socket` may be NULL. Also honours POLDER_ROOT and POLDER_SOCKET when the
 * arguments are NULL. Computes paths only; creates nothing. */
void dirs_init(struct dirs *dirs, const char *root, const char *socket);
/* dirs_clear(dirs): free the paths. */
void dirs_clear(struct dirs *dirs);

/* dirs_vm_run(dirs, name): run/vm/NAME, a VM's run directory. dirs_vm_state: state/vm/NAME (its logs). Caller frees. */
char *dirs_vm_run(const struct dirs *dirs, const char *name);
char *dirs_vm_state(const struct dirs *dirs, const char *name);

/* dirs_tool(name): absolute path of a program or data file of ours: next to the running executable in a build tree
 * (build/NAME, or POLDER_LIBEXEC), else the installed libexec directory. Caller frees. */
char *dirs_tool(const char *name);

/* Where the system daemon listens: anyone may try it before starting a daemon of his own. */
#define DIRS_SYSTEM_SOCKET "/run/polder/polder.sock"
