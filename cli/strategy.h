/* What the strategy verbs share. */
#pragma once

#include "cli/workload.h"

/* strategy_put(invocation, family, choice, error): put it to work on the daemon. */
struct strategy_wanted {
	const struct strategy_info *info;
	const struct strategy_values *values;
	const char *reason;
};
gboolean strategy_put(struct invocation *invocation, const struct lab_family *family,
		      const struct strategy_wanted *wanted, GError **error);
