/* The guest agent of one VM: a client of the QEMU guest agent's JSON lines on RUN/vm/NAME/guest.sock and, where the
 * guest has it, of the stream port on RUN/vm/NAME/stream.sock (mux.h).
 *
 *   closed ──port_opened(TRUE)──▶ syncing ──sync, then ping answered──▶ ready
 *      ▲                             ▲  │ no answer: again, for ever        │ a deadline passed, or the link was lost
 *      └──────port_opened(FALSE)─────┴──┴─────────────────────────────────◀─┘
 *
 * Everything a guest says is hostile: lines are bounded (LIMIT_GUEST_LINE_BYTES), garbage is skipped by syncing again,
 * silence ends with LIMIT_GUEST_TIMEOUT_MS. Runs on the default main context; never blocks. */
#pragma once

#include <gio/gio.h>

struct guest;

/* Called from the main loop, never inside a call of this file. */
struct guest_events {
	/* On each change: the agent answers, or stopped answering. */
	void (*ready)(gboolean ready, gpointer user_data);
	/* On each change: IPv4 and IPv6 addresses, neither loopback nor link-local, at most GUEST_ADDRESSES_MAX;
	 * NULL-terminated, borrowed. */
	void (*addresses)(const char *const *addresses, gpointer user_data);
};

#define GUEST_ADDRESSES_MAX 32u
#define GUEST_REFRESH_MS \
	30000u /* addresses are asked for this often while ready: also how an agent gone silent is noticed */

/* guest_new(run_dir, events, user_data): `run_dir` is the VM's own directory (RUN/vm/NAME), copied; `events` must
 * outlive the guest. Connects to nothing before guest_port_opened(TRUE). */
struct guest *guest_new(const char *run_dir, const struct guest_events *events, gpointer user_data);

/* guest_free(guest): ends every session with a reason and closes the links; no event after this. NULL is fine. */
void guest_free(struct guest *guest);

/* guest_port_opened(guest, open): the guest opened (QMP VSERPORT_CHANGE, query-chardev frontend-open) or closed the
 * agent port. TRUE again while open starts over: the guest rebooted, or its agent was started again. */
void guest_port_opened(struct guest *guest, gboolean open);

/* guest_is_ready(guest): the agent answered, and has not stopped answering. */
gboolean guest_is_ready(const struct guest *guest);

/* guest_shutdown(guest): ask the agent to power the guest off; no answer comes. FALSE when no agent is ready. */
gboolean guest_shutdown(struct guest *guest);
