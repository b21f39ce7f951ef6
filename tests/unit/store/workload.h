/* A numbered series of transactions of several keys each, whose end can be told from any state between: the store
 * holds exactly what transactions 1..n leave, for one n, or it is broken. */
#pragma once

#include "daemon/store/store.h"

#define WORKLOAD_SLOTS 16u

struct store_txn *workload_txn(guint n, gsize large_bytes);
/* The n the store is at. -1, with `why` to free: no n leaves this state, so something is lost or half there. */
gint64 workload_check(struct store *store, gsize large_bytes, char **why);
