#include "core/strategy/strategy.h"

#include <math.h>
#include <string.h>

#include "core/strategy/number.h"

const char *const strategy_kind_names[] = { "online", "batch", "continuous", "yardstick", NULL };
const char *const strategy_index_names[] = { "exact", "bounded", "scan", NULL };

#define INTEGER_MAX 9007199254740992.0 /* 2^53: up to here every whole number is a double */

/* lower-case-with-hyphens, beginning with a letter */
static bool name_is_good(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > STRATEGY_NAME_MAX || name[0] < 'a' || name[0] > 'z' || name[length - 1] == '-')
		return false;
	for (const char *c = name; *c; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9') && *c != '-')
			return false;
	return true;
}

static size_t choices_count(const struct strategy_parameter *parameter)
{
	size_t n = 0;

	while (parameter->choices && parameter->choices[n])
		n++;
	return n;
}

static bool is_whole(double value)
{
	return value == floor(value) && fabs(value) <= INTEGER_MAX;
}

static const char *parameter_check(const struct strategy_parameter *parameter)
{
	if (!parameter->name || !name_is_good(parameter->name))
		return "a parameter's name is missing or malformed";
	if (!parameter->doc)
		return "a parameter is not documented";
	if (parameter->type == STRATEGY_CHOICE) {
		if (choices_count(parameter) == 0)
			return "a choice has no choices";
		if (!is_whole(parameter->initial) || !(parameter->initial >= 0) ||
		    parameter->initial >= (double)choices_count(parameter))
			return "a choice's default is none of its choices";
		return parameter->logarithmic ? "only a number can be searched by its logarithm" : NULL;
	}
	if (parameter->type != STRATEGY_NUMBER && parameter->type != STRATEGY_INTEGER)
		return "a parameter's type is unknown";
	if (!isfinite(parameter->min) || !isfinite(parameter->max) || !(parameter->min < parameter->max))
		return "a parameter's range is empty or not finite";
	if (!(parameter->initial >= parameter->min && parameter->initial <= parameter->max))
		return "a parameter's default is out of its range";
	if (parameter->type == STRATEGY_INTEGER &&
	    !(is_whole(parameter->min) && is_whole(parameter->max) && is_whole(parameter->initial)))
		return "an integer's range or default is not whole";
	if (parameter->logarithmic && (parameter->type != STRATEGY_NUMBER || !(parameter->min > 0)))
		return "only a number above 0 can be searched by its logarithm";
	return NULL;
}

const char *strategy_check(const struct strategy_info *info)
{
	if (!info->name || !name_is_good(info->name))
		return "the name is missing or malformed";
	if (!info->summary || !*info->summary)
		return "the summary is missing";
	if ((unsigned)info->kind >= STRATEGY_KINDS)
		return "the kind is unknown";
	if ((unsigned)info->index >= STRATEGY_INDEXES)
		return "the index is unknown";
	if (info->n_parameters > STRATEGY_PARAMETERS_MAX)
		return "there are too many parameters";
	for (size_t i = 0; i < info->n_parameters; i++) {
		const char *complaint = parameter_check(&info->parameters[i]);

		if (complaint)
			return complaint;
		for (size_t j = 0; j < i; j++)
			if (strcmp(info->parameters[i].name, info->parameters[j].name) == 0)
				return "a parameter is declared twice";
	}
	return NULL;
}

void strategy_values_init(const struct strategy_info *info, struct strategy_values *values)
{
	memset(values, 0, sizeof(*values));
	for (size_t i = 0; i < info->n_parameters; i++)
		values->value[i] = info->parameters[i].initial;
}

static enum strategy_set_result set_choice(const struct strategy_parameter *parameter, const char *text, double *value)
{
	for (size_t i = 0; parameter->choices[i]; i++)
		if (strcmp(parameter->choices[i], text) == 0) {
			*value = (double)i;
			return STRATEGY_SET_OK;
		}
	return STRATEGY_SET_MALFORMED;
}

enum strategy_set_result strategy_values_set(const struct strategy_info *info, struct strategy_values *values,
					     const char *name, size_t name_bytes, const char *text)
{
	const struct strategy_parameter *parameter = NULL;
	size_t at;
	double value;

	for (at = 0; at < info->n_parameters; at++) {
		parameter = &info->parameters[at];
		if (strlen(parameter->name) == name_bytes && memcmp(parameter->name, name, name_bytes) == 0)
			break;
	}
	if (at == info->n_parameters)
		return STRATEGY_SET_UNKNOWN;
	if (parameter->type == STRATEGY_CHOICE)
		return set_choice(parameter, text, &values->value[at]);
	if (!strategy_number_parse(text, &value))
		return STRATEGY_SET_MALFORMED;
	if (!(value >= parameter->min && value <= parameter->max))
		return STRATEGY_SET_RANGE;
	if (parameter->type == STRATEGY_INTEGER && !is_whole(value))
		return STRATEGY_SET_MALFORMED;
	values->value[at] = value;
	return STRATEGY_SET_OK;
}

struct out {
	char *text;
	size_t bytes, length;
};

static void out_add(struct out *out, const char *text)
{
	for (; *text; text++, out->length++)
		if (out->length + 1 < out->bytes)
			out->text[out->length] = *text;
}

size_t strategy_values_print(const struct strategy_info *info, const struct strategy_values *values, char *text,
			     size_t bytes)
{
	struct out out = { text, bytes, 0 };
	char number[STRATEGY_NUMBER_TEXT_MAX];

	for (size_t i = 0; i < info->n_parameters; i++) {
		const struct strategy_parameter *parameter = &info->parameters[i];

		if (values->value[i] == parameter->initial)
			continue;
		if (out.length)
			out_add(&out, " ");
		out_add(&out, parameter->name);
		out_add(&out, "=");
		if (parameter->type == STRATEGY_CHOICE) {
			out_add(&out, parameter->choices[(size_t)values->value[i]]);
		} else {
			strategy_number_print(values->value[i], number);
			out_add(&out, number);
		}
	}
	if (bytes)
		text[out.length < bytes ? out.length : bytes - 1] = '\0';
	return out.length;
}

const char *strategy_registry_check(const struct strategy_registry *registry, size_t *bad)
{
	for (size_t i = 0; i < registry->n_entries; i++) {
		const char *complaint = strategy_check(registry->entries[i]);

		*bad = i;
		if (complaint)
			return complaint;
		for (size_t j = 0; j < i; j++)
			if (strcmp(registry->entries[i]->name, registry->entries[j]->name) == 0)
				return "the name is given twice";
	}
	return NULL;
}

const struct strategy_info *strategy_registry_find(const struct strategy_registry *registry, const char *name)
{
	for (size_t i = 0; i < registry->n_entries; i++)
		if (strcmp(registry->entries[i]->name, name) == 0)
			return registry->entries[i];
	return NULL;
}
