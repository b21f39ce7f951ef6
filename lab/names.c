/* Names, parameters, weights and requirements as people type them. */
#include <math.h>
#include <string.h>

#include "core/strategy/number.h"
#include "lab/error.h"
#include "lab/select.h"

const struct strategy_info *lab_strategy_find(const struct strategy_registry *registry, const char *name,
					      GError **error)
{
	const struct strategy_info *info = strategy_registry_find(registry, name);
	g_autoptr(GString) names = NULL;

	if (info)
		return info;
	names = g_string_new(NULL);
	for (size_t i = 0; i < registry->n_entries; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", registry->entries[i]->name);
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "there is no %s strategy '%s'; there are %s", registry->family,
		    name, names->str);
	return NULL;
}

char *lab_parameter_range(const struct strategy_parameter *parameter)
{
	char low[STRATEGY_NUMBER_TEXT_MAX], high[STRATEGY_NUMBER_TEXT_MAX];
	g_autofree char *choices = NULL;

	if (parameter->type == STRATEGY_CHOICE) {
		choices = g_strjoinv(", ", (char **)parameter->choices);
		return g_strconcat("one of ", choices, NULL);
	}
	strategy_number_print(parameter->min, low);
	strategy_number_print(parameter->max, high);
	return g_strdup_printf("%s%s to %s", parameter->type == STRATEGY_INTEGER ? "a whole number, " : "", low, high);
}

static void unknown_parameter(const struct strategy_info *info, const char *name, GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (size_t i = 0; i < info->n_parameters; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "it has ", info->parameters[i].name);
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "strategy %s has no parameter '%s'; %s", info->name, name,
		    info->n_parameters ? names->str : "it has none");
}

gboolean lab_values_set(const struct strategy_info *info, struct strategy_values *values, const char *pair,
			GError **error)
{
	const char *equals = strchr(pair, '=');
	size_t length = equals ? (size_t)(equals - pair) : 0;
	g_autofree char *name = g_strndup(pair, length), *range = NULL;
	enum strategy_set_result result;

	if (!length) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "'%s' is not a parameter's value: write NAME=VALUE, like cpu-weight=1", pair);
		return FALSE;
	}
	result = strategy_values_set(info, values, name, length, equals + 1);
	if (result == STRATEGY_SET_OK)
		return TRUE;
	if (result == STRATEGY_SET_UNKNOWN) {
		unknown_parameter(info, name, error);
		return FALSE;
	}
	for (size_t i = 0; i < info->n_parameters; i++)
		if (strcmp(info->parameters[i].name, name) == 0)
			range = lab_parameter_range(&info->parameters[i]);
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s of strategy %s can't be '%s': %s", name, info->name,
		    equals + 1, range);
	return FALSE;
}

char *lab_values_print(const struct strategy_info *info, const struct strategy_values *values)
{
	size_t length = strategy_values_print(info, values, NULL, 0);
	char *text = g_malloc(length + 1);

	strategy_values_print(info, values, text, length + 1);
	return text;
}

static int score_named(const char *name)
{
	for (int i = 0; i < SCORES; i++)
		if (strcmp(score_names[i], name) == 0)
			return i;
	return -1;
}

static gboolean set_weight(const char *pair, struct score_weights *weights, gboolean given[SCORES], GError **error)
{
	g_auto(GStrv) parts = g_strsplit(pair, "=", 2);
	int kind = parts[0] && parts[1] ? score_named(g_strstrip(parts[0])) : -1;
	double value;

	if (kind < 0 || given[kind] || !strategy_number_parse(g_strstrip(parts[1]), &value)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "'%s' is not a weight%s: write it like performance=0.5,availability=0.3,security=0.2", pair,
			    kind >= 0 && given[kind] ? " (given twice)" : "");
		return FALSE;
	}
	weights->weight[kind] = value;
	given[kind] = TRUE;
	return TRUE;
}

gboolean lab_weights_parse(const char *text, struct score_weights *weights, gboolean *changed, GError **error)
{
	g_auto(GStrv) pairs = NULL;
	gboolean given[SCORES] = { FALSE };
	bool normalized;

	*weights = (struct score_weights)SCORE_WEIGHTS_DEFAULT;
	*changed = FALSE;
	if (!text)
		return TRUE;
	memset(weights, 0, sizeof(*weights));
	pairs = g_strsplit(text, ",", -1);
	for (guint i = 0; pairs[i]; i++)
		if (!set_weight(pairs[i], weights, given, error))
			return FALSE;
	if (!score_weights_normalize(weights, &normalized)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "weights '%s': none may be negative or infinite, and one at least must be above 0", text);
		return FALSE;
	}
	*changed = normalized;
	return TRUE;
}

static const char *const comparisons[] = { ">=", ">", "<=", "<" };

static void floor_clear(gpointer data)
{
	g_free(((struct lab_floor *)data)->name);
}

static gboolean floor_parse(const char *text, GArray *floors, GError **error)
{
	size_t length = strcspn(text, "<>");
	struct lab_floor floor = { .value = 0 };
	g_autofree char *name = g_strstrip(g_strndup(text, length)), *value = NULL;
	gboolean equal = text[length] && text[length + 1] == '=';

	floor.comparison = text[length] == '<' ? (equal ? LAB_AT_MOST : LAB_BELOW) : equal ? LAB_AT_LEAST : LAB_ABOVE;
	value = text[length] ? g_strstrip(g_strdup(text + length + 1 + equal)) : NULL;
	if (!*name || !value || !strategy_number_parse(value, &floor.value) || !isfinite(floor.value)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "'%s' is not a requirement: write it like availability>=0.99 (also >, <= and <)", text);
		return FALSE;
	}
	floor.name = g_steal_pointer(&name);
	g_array_append_val(floors, floor);
	return TRUE;
}

GArray *lab_floors_parse(const char *const *texts, GError **error)
{
	g_autoptr(GArray) floors = g_array_new(FALSE, FALSE, sizeof(struct lab_floor));

	g_array_set_clear_func(floors, floor_clear);
	for (; texts && *texts; texts++) {
		g_auto(GStrv) parts = g_strsplit(*texts, ",", -1);

		if (!parts[0] && !floor_parse("", floors, error))
			return NULL;
		for (guint i = 0; parts[i]; i++)
			if (!floor_parse(parts[i], floors, error))
				return NULL;
	}
	return g_steal_pointer(&floors);
}

char *lab_floor_print(const struct lab_floor *floor)
{
	char value[STRATEGY_NUMBER_TEXT_MAX];

	strategy_number_print(floor->value, value);
	return g_strconcat(floor->name, comparisons[floor->comparison], value, NULL);
}
