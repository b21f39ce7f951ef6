/* Control decides and never acts: it watches what is wanted, what hosts there are and what was observed, and writes plans
 * with their reasons. planner.h holds the decisions; this is the loop around them.
 *
 * The owner of the cache feeds it: control_ready() once after the first full read, then control_changed() for each change
 * and control_settled() after each revision. */
#pragma once

#include "daemon/store/cache.h"
#include "daemon/store/store.h"

struct control;

/* Both are borrowed and outlive the control. `cache` holds every key ("/"). */
struct control *control_new(struct store *store, const struct store_cache *cache);
void control_free(struct control *control); /* NULL is fine. What was sent to the store is not taken back */

void control_ready(struct control *control);
void control_changed(struct control *control, const struct store_kv *before, const struct store_kv *now);
void control_settled(struct control *control);

/* control_waiting(control): VMs that have no host yet. For metrics. */
guint control_waiting(const struct control *control);
