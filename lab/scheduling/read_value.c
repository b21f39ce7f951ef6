#include "lab/scheduling/reader.h"

#include <math.h>
#include <string.h>

#include "lab/error.h"

gboolean reader_fail(struct reader *reader, const char *where, const char *what)
{
	g_set_error(reader->error, LAB_ERROR, LAB_ERROR_INVALID, "%s: %s: %s", reader->name, where, what);
	return FALSE;
}

gboolean reader_fail_key(struct reader *reader, const char *where, const char *key, const char *known)
{
	g_set_error(reader->error, LAB_ERROR, LAB_ERROR_INVALID, "%s: %s: '%.60s' is not known here; known: %s",
		    reader->name, where, key, known);
	return FALSE;
}

gboolean reader_number(struct reader *reader, JsonNode *node, const char *where, const double range[2], double *value)
{
	GType type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;
	g_autofree char *what = NULL;

	*value = type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double(node) : NAN;
	if (*value >= range[0] && *value <= range[1])
		return TRUE;
	what = g_strdup_printf("it has to be a number from %.10g to %.10g", range[0], range[1]);
	return reader_fail(reader, where, what);
}

gboolean reader_time(struct reader *reader, JsonNode *node, const char *where, gint64 unit_ns, gint64 *ns)
{
	double value;

	if (!reader_number(reader, node, where, (double[]) { 0, (double)WORKLOAD_TIME_MAX / (double)unit_ns }, &value))
		return FALSE;
	*ns = (gint64)(value * (double)unit_ns + 0.5);
	return TRUE;
}

gboolean reader_duration(struct reader *reader, JsonNode *node, const char *where, gint64 *ns)
{
	const char *text = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
				   ? json_node_get_string(node)
				   : NULL;
	double value, unit;
	char *end = NULL;

	if (!text)
		return reader_time(reader, node, where, US, ns);
	value = g_ascii_strtod(text, &end);
	unit = strcmp(end, "us") == 0 ? 1e3 : strcmp(end, "ms") == 0 ? 1e6 : strcmp(end, "s") == 0 ? 1e9 : 0;
	if (end == text || unit == 0 || !(value >= 0 && value * unit <= (double)WORKLOAD_TIME_MAX))
		return reader_fail(reader, where, "it has to be a time like \"2ms\", \"150us\" or \"1.5s\"");
	*ns = (gint64)(value * unit + 0.5);
	return TRUE;
}

gboolean reader_share(struct reader *reader, JsonNode *node, const char *where, double *share)
{
	const char *text = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
				   ? json_node_get_string(node)
				   : NULL;
	char *end = NULL;

	if (!text)
		return reader_number(reader, node, where, (double[]) { 0, WORKLOAD_CPUS_MAX }, share);
	*share = g_ascii_strtod(text, &end) / 100;
	if (end == text || strcmp(end, "%") != 0 || !(*share >= 0 && *share <= WORKLOAD_CPUS_MAX))
		return reader_fail(reader, where, "it has to be a share of a CPU like \"30%\"");
	return TRUE;
}
