/* How a VM is run: the one seam between the agent and what really runs guests.
 *
 * Engines: qemu (KVM or TCG) and sim (no guest: modelled timings; tests and scale). The agent owns the life cycle
 * (agent/lifecycle.c); an engine only carries out one step at a time and reports what happened. An engine's calls never
 * block; what they begin is reported through `struct engine_events`, always from the main loop, never inside the call.
 *
 *   vm_new ──start──▶ starting ──▶ [started: paused, ready to go] ──resume──▶ [resumed]
 *          ──adopt──▶ finds the VM another agent left behind: then [adopted] with what it is doing, or [exited]
 *   pause ▶ [paused]   resume ▶ [resumed]   shutdown(step) asks; kill ▶ always leads to [exited]
 *   [exited] is the last event, exactly once per start or adopt; the run directory then holds no process and no socket.
 */
#pragma once

#include <gio/gio.h>

#include "daemon/model/dirs.h"
#include "daemon/model/nouns.h"

struct engine;    /* one per kind and agent */
struct engine_vm; /* one VM in it */

enum engine_exit_cause {
	ENGINE_EXIT_SHUTDOWN,     /* the guest powered itself off */
	ENGINE_EXIT_STOPPED,      /* it ended because we asked (shutdown or kill) */
	ENGINE_EXIT_PANIC,        /* the guest crashed */
	ENGINE_EXIT_CRASH,        /* the engine's process died: a signal, or a non-zero status */
	ENGINE_EXIT_START_FAILED, /* it never got to run */
	ENGINE_EXIT_LOST,         /* gone without a record: host rebooted, or its supervisor was killed */
	ENGINE_EXIT_CUT_SHORT,    /* adopt only: the agent before us ended before the engine's process was made */
};

struct engine_exit {
	enum engine_exit_cause cause;
	guint status;       /* of the process: code, or 128+signal */
	const char *reason; /* one line for people, names the next step where there is one. Borrowed */
	gint64 ended_at;    /* µs; from the exit record when there is one */
};

struct engine_events {
	void (*started)(struct engine_vm *vm,
			gpointer user_data); /* forked, answering, paused before its first instruction */
	void (*adopted)(struct engine_vm *vm, gboolean paused, gpointer user_data);
	void (*resumed)(struct engine_vm *vm, gpointer user_data);
	void (*paused)(struct engine_vm *vm, const char *reason,
		       gpointer user_data); /* reason NULL: we asked; else I/O error … */
	void (*ready)(struct engine_vm *vm, gboolean ready, gpointer user_data); /* guest agent answers, or went away */
	void (*addresses)(struct engine_vm *vm, const char *const *addresses, gpointer user_data);
	void (*exited)(struct engine_vm *vm, const struct engine_exit *exit, gpointer user_data);
};

/* What to run. Borrowed for the call; the engine copies what it keeps. */
struct engine_config {
	const char *name, *uuid;
	guint64 run; /* for the run directory's intent record */
	guint64 cpus, memory_bytes;
	const char *kernel, *initrd, *firmware, *cmdline; /* from the image's status; NULL where absent */
	int network;                                      /* enum vm_network */
	const char *const *publish;
};

enum engine_shutdown_step { ENGINE_SHUTDOWN_AGENT, ENGINE_SHUTDOWN_ACPI };

enum engine_stream_kind { ENGINE_STREAM_EXEC, ENGINE_STREAM_CONSOLE, ENGINE_STREAM_LOG };
struct engine_stream {
	enum engine_stream_kind kind;
	const char *request; /* EXEC: STREAM_OPEN's JSON, already checked for size and shape */
	gboolean follow;     /* LOG: go on until the VM ends */
	guint64 tail_bytes;  /* LOG: at most the last so many; 0: all */
};

struct engine_ops {
	const char *name; /* "qemu" */

	/* Fill in what this engine contributes to the host's record (engines, accelerator and why, qemu_version, limits).
	 * May run a child process and take a moment: called once at start, in a worker thread. FALSE: this engine can't be
	 * used here; error says why. */
	gboolean (*probe)(struct engine *engine, struct host *host, GError **error);

	struct engine *(*engine_new)(const struct dirs *dirs);
	void (*engine_free)(struct engine *engine);

	struct engine_vm *(*vm_new)(struct engine *engine, const struct engine_config *config,
				    const struct engine_events *events, gpointer user_data);
	void (*vm_free)(struct engine_vm *vm); /* forgets it and lets a running VM run on; no event after this */

	void (*start)(struct engine_vm *vm);
	void (*adopt)(struct engine_vm *vm);
	void (*resume)(struct engine_vm *vm);
	void (*pause)(struct engine_vm *vm);
	/* FALSE: this step can't be tried (no agent connected), try the next one. */
	gboolean (*shutdown)(struct engine_vm *vm, enum engine_shutdown_step step);
	void (*kill)(struct engine_vm *vm);

	/* Where it is: filled into `status` (accelerator, pid, supervisor_pid). */
	void (*describe)(struct engine_vm *vm, struct status *status);

	/* The threads that run its virtual CPUs, in order, as its process says (who uses them checks whose they are);
	 * borrowed until the next event. Returns how many; 0: not known. NULL: there are no such threads. */
	guint (*vcpus)(struct engine_vm *vm, const pid_t **threads);

	/* Open a stream: a SOCK_SEQPACKET fd that speaks guest/protocol.h (kind byte + payload), owned by the caller;
	 * -1 with error. EXEC before the guest is ready is refused with UNAVAILABLE. */
	int (*stream_open)(struct engine_vm *vm, const struct engine_stream *stream, GError **error);

	/* Names of VMs that have a run directory of this engine, for recovery (strv, caller frees), and the removal of what
	 * is left of one that is not running (sockets, records, directory). */
	char **(*scan)(struct engine *engine);
	void (*clean)(struct engine *engine, const char *name);
	/* The intent record of a run directory (uuid, run), for a VM found by scan. FALSE when unreadable. */
	gboolean (*intent)(struct engine *engine, const char *name, char **uuid, guint64 *run);
};

/* Every engine embeds these first. */
struct engine {
	const struct engine_ops *ops;
	const struct dirs *dirs;
};
struct engine_vm {
	struct engine *engine;
};

/* engines[]: qemu, sim; NULL-terminated; the order is the order of preference. */
extern const struct engine_ops *const engines[];
