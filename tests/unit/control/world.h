/* A snapshot to plan in: what the store and its cache are to the real loop. */
#pragma once

#include "daemon/control/planner.h"
#include "daemon/model/nouns.h"

#define GIB (1ull << 30)
#define MIB (1ull << 20)

struct world {
	GHashTable *records; /* key → struct store_kv */
	gint64 revision;
	struct planner *planner;
};

struct wish {
	const char *name, *uuid, *engine;
	guint64 cpus, memory, run;
	gboolean ephemeral;
	int desired;
	const char *members; /* more of the record, as JSON members; NULL: none */
};

void world_init(struct world *world);
void world_clear(struct world *world);

const struct store_kv *world_lookup(const char *key, gpointer world);
void world_put_text(struct world *world, const char *key, char *text); /* takes `text` */
void world_delete(struct world *world, const char *key);
void world_put_host(struct world *world, const char *name, guint64 cpus, guint64 memory);
void world_put_vm(struct world *world, struct wish wish);
void world_put_status(struct world *world, const char *name, const char *uuid, int state, guint64 run);

/* Carry one write out, as the store would: its compare holds. */
void world_apply(struct world *world, struct planner_write *write);
/* Until it rests; how many writes that took. */
guint world_settle(struct world *world);
/* FALSE: there is no plan. Else clear it. */
gboolean world_plan(struct world *world, const char *name, struct plan *plan);
