/* What this machine is, and its record in the store. */
#pragma once

#include "daemon/model/dirs.h"
#include "daemon/model/nouns.h"
#include "daemon/store/store.h"

/* host_name(): the machine's hostname as a valid name: lower case, other characters replaced, at most
 * LIMIT_NAME_BYTES; "localhost" when nothing is left. Caller frees. */
char *host_name(void);
char *host_name_from(const char *hostname); /* the same of a given hostname */

/* host_name_keep(dirs, fresh): the name this host has for good, in STATE/host (ours, else it is not believed): plans name
 * their host, so a VM must find its host again when the machine is called something else by now. At the first start that
 * is `fresh`, which is then written there; a file that can't be written is complained about. Caller frees. */
char *host_name_keep(const struct dirs *dirs, const char *fresh);

/* host_boot_id(): the kernel's boot id, or NULL. Caller frees. host_booted_at(): µs since the epoch, 0: unknown. */
char *host_boot_id(void);
gint64 host_booted_at(void);

/* host_inspect(host, name): initializes `host` with what /proc and uname say. Engines add theirs (host_merge). */
void host_inspect(struct host *host, const char *name);

/* host_merge(host, found): add what an engine's probe filled into a record that noun_init() made. */
void host_merge(struct host *host, const struct host *found);
/* host_add_limit(host, limit): add a line on what this host can't do, and why. */
void host_add_limit(struct host *host, const char *limit);

/* ---- The record: /host/NAME on a lease that is kept alive as long as we live ---- */

struct host_record;
/* host_record_new(store): writes nothing before host_record_publish(). */
struct host_record *host_record_new(struct store *store);
void host_record_free(struct host_record *record); /* stops keeping it alive; NULL is fine */
/* host_record_set_intervals(record, lease_ms, keep_alive_ms): for tests that can't wait; before publishing. */
void host_record_set_intervals(struct host_record *record, guint lease_ms, guint keep_alive_ms);
/* host_record_publish(record, host): write it (copied), now and whenever its lease had to be made anew. */
void host_record_publish(struct host_record *record, const struct host *host);
