/* Reading what others wrote into the store, as what it is: untrusted input. */
#pragma once

#include "daemon/model/nouns.h"
#include "daemon/store/store.h"

/* name_of_key("/plan/web", "/plan/"): "web" when the rest is a valid name, else NULL. Caller frees. */
char *name_of_key(const char *key, const char *prefix);

/* plan_read(kv, plan, error): the plan in uninitialized memory, every field the agent acts on checked anew: the field
 * table's ranges, names, uuid and ports. INVALID naming the field otherwise. */
gboolean plan_read(const struct store_kv *kv, struct plan *plan, GError **error);
