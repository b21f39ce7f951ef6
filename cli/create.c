/* The body of a request for a new VM. Each table row is an option and the field it fills: the daemon checks values, this
 * only turns text into JSON of the right type. */
#include "cli/create.h"

#include <string.h>

#include "cli/verbs.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/nouns.h"
#include "daemon/model/units.h"

enum as { AS_TEXT, AS_LIST, AS_NUMBER, AS_SIZE, AS_RATE, AS_PERCENT, AS_DURATION_US };

static const struct mapping {
	const char *option, *field;
	enum as as;
} mappings[] = {
	{ "name", "name", AS_TEXT },
	{ "engine", "engine", AS_TEXT },
	{ "pool", "pool", AS_TEXT },
	{ "network", "network", AS_TEXT },
	{ "restart", "restart", AS_TEXT },
	{ "cmdline", "cmdline", AS_TEXT },
	{ "cpus", "cpus", AS_NUMBER },
	{ "memory", "memory_bytes", AS_SIZE },
	{ "disk", "disk_bytes", AS_SIZE },
	{ "bandwidth", "network_bps", AS_RATE },
	{ "extended", "extended", AS_LIST },
	{ "group", "groups", AS_LIST },
	{ "affinity", "affinity", AS_LIST },
	{ "anti-affinity", "anti_affinity", AS_LIST },
	{ "spread", "spread", AS_LIST },
	{ "require", "require", AS_LIST },
	{ "avoid", "avoid_labels", AS_LIST },
	{ "tolerate", "tolerate", AS_LIST },
	{ "exclusive", "exclusive", AS_TEXT },
	{ "hugepages", "hugepages", AS_TEXT },
	{ "cpu-model", "cpu_model", AS_TEXT },
	{ "priority", "priority", AS_NUMBER },
	{ "tenant", "tenant", AS_TEXT },
	{ "cpu-weight", "cpu_weight", AS_NUMBER },
	{ "cpu-limit", "cpu_limit_percent", AS_PERCENT },
	{ "cpu-reserve", "cpu_reserve_percent", AS_PERCENT },
	{ "cpu-latency", "cpu_latency_us", AS_DURATION_US },
};

static gboolean set_number(JsonObject *request, const struct mapping *mapping, const char *text,
			   const struct invocation *invocation, GError **error)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &number, NULL) ||
	    (number == 0 && strcmp(mapping->option, "cpus") == 0)) {
		usage_error(error, invocation, "--%s '%s' is not a number%s", mapping->option, text,
			    strcmp(mapping->option, "cpus") == 0 ? " from 1" : "");
		return FALSE;
	}
	json_object_set_int_member(request, mapping->field, (gint64)number);
	return TRUE;
}

static gboolean set_size(JsonObject *request, const struct mapping *mapping, const char *text, GError **error)
{
	guint64 bytes;

	if (!size_parse(text, &bytes, error)) {
		g_prefix_error(error, "--%s: ", mapping->option);
		return FALSE;
	}
	json_object_set_int_member(request, mapping->field, (gint64)MIN(bytes, (guint64)G_MAXINT64));
	return TRUE;
}

/* Bits per second, in the network's units of a thousand: 100M, 1G. */
static gboolean set_rate(JsonObject *request, const struct mapping *mapping, const char *text,
			 const struct invocation *invocation, GError **error)
{
	static const char units[] = "kMG";
	guint64 number, factor = 1;
	g_autofree char *digits = g_strdup(text);
	gsize length = strlen(digits);
	const char *unit = length ? strchr(units, digits[length - 1]) : NULL;

	if (unit && *unit) {
		for (const char *at = units; at <= unit; at++)
			factor *= 1000;
		digits[length - 1] = '\0';
	}
	if (!g_ascii_string_to_unsigned(digits, 10, 1, G_MAXINT64 / factor, &number, NULL)) {
		usage_error(error, invocation, "--%s '%s' is not a rate in bits per second, like 100M or 1G",
			    mapping->option, text);
		return FALSE;
	}
	json_object_set_int_member(request, mapping->field, (gint64)(number * factor));
	return TRUE;
}

/* To the API 0 means none, which is what leaving the option out says; who gives it means something else. */
static gboolean set_positive(JsonObject *request, const struct mapping *mapping, guint64 number,
			     const struct invocation *invocation, GError **error)
{
	if (number == 0) {
		usage_error(error, invocation, "--%s can't be 0: leave it out for none", mapping->option);
		return FALSE;
	}
	json_object_set_int_member(request, mapping->field, (gint64)number);
	return TRUE;
}

/* Of one CPU: 150% is a CPU and a half. */
static gboolean set_percent(JsonObject *request, const struct mapping *mapping, const char *text,
			    const struct invocation *invocation, GError **error)
{
	g_autofree char *digits = g_strndup(text, strcspn(text, "%"));
	gsize length = strlen(digits);
	guint64 number;

	if ((text[length] && strcmp(text + length, "%") != 0) ||
	    !g_ascii_string_to_unsigned(digits, 10, 0, G_MAXINT32, &number, NULL)) {
		usage_error(error, invocation, "--%s '%s' is not in percent of one CPU, like 150%%", mapping->option,
			    text);
		return FALSE;
	}
	return set_positive(request, mapping, number, invocation, error);
}

static gboolean set_duration_us(JsonObject *request, const struct mapping *mapping, const char *text,
				const struct invocation *invocation, GError **error)
{
	static const struct {
		const char *suffix;
		guint64 factor;
	} units[] = { { "us", 1 }, { "µs", 1 }, { "ms", 1000 }, { "s", 1000000 } };
	guint64 number;

	for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
		g_autofree char *digits = NULL;

		if (!g_str_has_suffix(text, units[i].suffix))
			continue;
		digits = g_strndup(text, strlen(text) - strlen(units[i].suffix));
		if (!g_ascii_string_to_unsigned(digits, 10, 0, G_MAXINT32, &number, NULL))
			continue;
		return set_positive(request, mapping, number * units[i].factor, invocation, error);
	}
	usage_error(error, invocation, "--%s '%s' is not a time like 2ms or 500us", mapping->option, text);
	return FALSE;
}

static gboolean check_utf8(const struct mapping *mapping, const char *text, const struct invocation *invocation,
			   GError **error)
{
	if (g_utf8_validate(text, -1, NULL))
		return TRUE;
	usage_error(error, invocation, "--%s is not UTF-8", mapping->option);
	return FALSE;
}

static gboolean set_list(JsonObject *request, const struct mapping *mapping, const struct invocation *invocation,
			 GError **error)
{
	g_autofree const char **texts = invocation_options(invocation, mapping->option);
	JsonArray *array;

	if (!texts[0])
		return TRUE;
	array = json_array_new();
	json_object_set_array_member(request, mapping->field, array);
	for (const char **text = texts; *text; text++) {
		if (!check_utf8(mapping, *text, invocation, error))
			return FALSE;
		json_array_add_string_element(array, *text);
	}
	return TRUE;
}

/* host capacity takes only the options that say what a VM takes. */
static gboolean has_option(const struct invocation *invocation, const char *name)
{
	const struct option *option = invocation->command->options;

	while (option && option->name && strcmp(option->name, name) != 0)
		option++;
	return option && option->name;
}

static gboolean set(JsonObject *request, const struct mapping *mapping, const struct invocation *invocation,
		    GError **error)
{
	const char *text;

	if (!has_option(invocation, mapping->option))
		return TRUE;
	if (mapping->as == AS_LIST)
		return set_list(request, mapping, invocation, error);
	text = invocation_option(invocation, mapping->option);
	if (!text)
		return TRUE;
	if (!check_utf8(mapping, text, invocation, error))
		return FALSE;
	switch (mapping->as) {
	case AS_NUMBER:
		return set_number(request, mapping, text, invocation, error);
	case AS_SIZE:
		return set_size(request, mapping, text, error);
	case AS_RATE:
		return set_rate(request, mapping, text, invocation, error);
	case AS_PERCENT:
		return set_percent(request, mapping, text, invocation, error);
	case AS_DURATION_US:
		return set_duration_us(request, mapping, text, invocation, error);
	case AS_TEXT:
	case AS_LIST:
		break;
	}
	json_object_set_string_member(request, mapping->field, text);
	return TRUE;
}

static gboolean add_publish(JsonObject *request, const struct invocation *invocation, GError **error)
{
	g_autofree const char **ports = NULL;
	JsonArray *array;

	if (!has_option(invocation, "publish"))
		return TRUE;
	ports = invocation_options(invocation, "publish");
	if (!ports[0])
		return TRUE;
	array = json_array_new();
	json_object_set_array_member(request, "publish", array);
	for (const char **port = ports; *port; port++) {
		if (!publish_check(*port, error)) {
			g_prefix_error(error, "--publish: ");
			return FALSE;
		}
		json_array_add_string_element(array, *port);
	}
	return TRUE;
}

/* any, one, or over how many nodes. */
static gboolean add_numa(JsonObject *request, const struct invocation *invocation, GError **error)
{
	const char *text = invocation_option(invocation, "numa");
	guint64 nodes;

	if (!text)
		return TRUE;
	if (strcmp(text, "any") == 0 || strcmp(text, "one") == 0) {
		json_object_set_string_member(request, "numa", text);
		return TRUE;
	}
	if (!g_ascii_string_to_unsigned(text, 10, 1, 8, &nodes, NULL)) {
		usage_error(error, invocation, "--numa '%s' is neither any, nor one, nor a number of nodes up to 8",
			    text);
		return FALSE;
	}
	json_object_set_string_member(request, "numa", "split");
	json_object_set_int_member(request, "numa_nodes", (gint64)nodes);
	return TRUE;
}

JsonNode *create_request(const struct invocation *invocation, const char *image, GError **error)
{
	g_autoptr(JsonObject) request = json_object_new();
	const char *name = has_option(invocation, "name") ? invocation_option(invocation, "name") : NULL;

	if (name && !name_check(name, error)) {
		g_prefix_error(error, "--name: ");
		return NULL;
	}
	if (image)
		json_object_set_string_member(request, "image", image);
	for (gsize i = 0; i < G_N_ELEMENTS(mappings); i++)
		if (!set(request, &mappings[i], invocation, error))
			return NULL;
	if (!add_publish(request, invocation, error) || !add_numa(request, invocation, error))
		return NULL;
	return json_node_init_object(json_node_alloc(), request);
}
