/* Answers to what control.h lets ask, by the planner's accounts. Nothing is changed. */
#pragma once

#include <json-glib/json-glib.h>

#include "daemon/control/planner.h"
#include "daemon/model/nouns.h"

JsonObject *questions_explain(struct planner *planner, const struct vm *vm, GError **error);
/* The same for a VM that is placed: as if it had no host yet. */
JsonObject *questions_explain_placed(struct planner *planner, const struct vm *vm, const struct plan *plan,
				     GError **error);
JsonObject *questions_capacity(struct planner *planner, const struct vm *vm, guint64 limit, GError **error);
JsonObject *questions_drain(struct planner *planner, const char *host, GError **error);
JsonObject *questions_rebalance(struct planner *planner, const char *strategy, char *const *parameters,
				guint64 max_moves, GError **error);
JsonObject *questions_pool(struct planner *planner, const char *pool, GError **error);
gboolean questions_pool_check(struct planner *planner, const struct pool *pool, GError **error);
JsonObject *questions_host(struct planner *planner, const char *host, GError **error);
JsonObject *questions_strategy(struct planner *planner);
