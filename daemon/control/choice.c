#include "daemon/control/choice.h"

#include <string.h>

#include "daemon/model/error.h"

static gboolean unknown(const char *name, GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (size_t i = 0; i < allocation_n_strategies; i++) {
		if (allocation_strategies[i]->info.kind == STRATEGY_ONLINE)
			g_string_append_printf(names, "%s%s", names->len ? " " : "",
					       allocation_strategies[i]->info.name);
	}
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
		    "there is no allocation strategy '%.63s' that can decide live: use one of %s", name, names->str);
	return FALSE;
}

gboolean choice_set(const struct strategy_info *info, struct strategy_values *values, char *const *parameters,
		    GError **error)
{
	for (; parameters && *parameters; parameters++) {
		const char *value = strchr(*parameters, '=');
		const char *what = "is malformed";

		if (!value) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "'%.100s' is not NAME=VALUE",
				    *parameters);
			return FALSE;
		}
		switch (strategy_values_set(info, values, *parameters, (size_t)(value - *parameters), value + 1)) {
		case STRATEGY_SET_OK:
			continue;
		case STRATEGY_SET_UNKNOWN:
			what = "is none of its parameters";
			break;
		case STRATEGY_SET_MALFORMED:
			break;
		case STRATEGY_SET_RANGE:
			what = "is out of range";
			break;
		}
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "strategy %s: %.100s %s", info->name,
			    *parameters, what);
		return FALSE;
	}
	return TRUE;
}

gboolean choice_parse(const struct strategy_choice *record, struct choice *out, GError **error)
{
	const char *name = record && record->name && *record->name ? record->name : CHOICE_DEFAULT;

	memset(out, 0, sizeof(*out));
	out->strategy = allocation_strategy_find(name);
	if (!out->strategy || out->strategy->info.kind != STRATEGY_ONLINE)
		return unknown(name, error);
	strategy_values_init(&out->strategy->info, &out->values);
	out->seed = record ? record->seed : 0;
	return !record || choice_set(&out->strategy->info, &out->values, record->parameters, error);
}

char **choice_parameters(const struct choice *choice)
{
	char text[2048];
	size_t bytes = strategy_values_print(&choice->strategy->info, &choice->values, text, sizeof(text));

	if (!bytes || bytes >= sizeof(text))
		return NULL;
	return g_strsplit(text, " ", -1);
}
