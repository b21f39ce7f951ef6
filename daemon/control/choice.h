/* The strategy chosen for allocation: from its record to what core/allocation runs, and checked on the way. */
#pragma once

#include "core/allocation/family.h"
#include "daemon/model/nouns.h"

#define CHOICE_DEFAULT "first-fit"

struct choice {
	const struct allocation_strategy *strategy;
	struct strategy_values values;
	guint64 seed;
};

/* choice_parse(record, out, error): `record` NULL: the default. NOT_FOUND (with all names) or INVALID (which parameter) when
 * it can't run live. */
gboolean choice_parse(const struct strategy_choice *record, struct choice *out, GError **error);
/* choice_check_scheduling(record, error): NOT_FOUND or INVALID when it can't run live or no kernel can enforce it. */
gboolean choice_check_scheduling(const struct strategy_choice *record, GError **error);
/* choice_parameters(choice): those that differ from their defaults: strv or NULL. Caller frees. */
char **choice_parameters(const struct choice *choice);
/* choice_set(info, values, parameters, error): set "a=1" pair by pair. */
gboolean choice_set(const struct strategy_info *info, struct strategy_values *values, char *const *parameters,
		    GError **error);
