/* What the strategy verbs share. */
#pragma once

#include "cli/workload.h"

/* strategy_put(invocation, family, choice, error): put it to work on the daemon. */
struct strategy_wanted {
	const struct strategy_info *info;
	const struct strategy_values *values;
	const char *reason;
	char **modifiers; /* what goes with any strategy of the family: "sharing=vm"; or NULL */
};
/* strategy_modifiers(family, texts): those of the NULL-terminated `texts` that are such. Caller frees with g_strfreev(). */
char **strategy_modifiers(const struct lab_family *family, const char *const *texts);

gboolean strategy_put(struct invocation *invocation, const struct lab_family *family,
		      const struct strategy_wanted *wanted, GError **error);
