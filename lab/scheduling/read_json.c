/* rt-app's grammar, the part that README.md names, and our VMs. Every key is looked at: one that isn't known is refused, so that
 * nobody believes in something that has no effect. */
#include "lab/scheduling/reader.h"

#include <string.h>

#include "lab/error.h"

#define BYTES_MAX (64 << 20)
#define SECOND    G_GINT64_CONSTANT(1000000000)

static gboolean tasks_read(struct reader *reader, JsonNode *node)
{
	g_autoptr(GList) names = NULL;

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return reader_fail(reader, "tasks", "it is an object of tasks by name");
	names = json_object_get_members(json_node_get_object(node));
	for (GList *name = names; name; name = name->next) {
		JsonNode *task = json_object_get_member(json_node_get_object(node), name->data);
		g_autofree char *where = g_strdup_printf("task %.60s", (char *)name->data);

		if (!JSON_NODE_HOLDS_OBJECT(task))
			return reader_fail(reader, where, "it is an object");
		if (!reader_vm(reader, where, name->data, json_node_get_object(task)))
			return FALSE;
	}
	return TRUE;
}

static gboolean vms_read(struct reader *reader, JsonNode *node)
{
	if (!JSON_NODE_HOLDS_ARRAY(node))
		return reader_fail(reader, "vms", "it is a list of VMs");
	reader->own_objects = TRUE;
	for (guint i = 0; i < json_array_get_length(json_node_get_array(node)); i++) {
		JsonNode *vm = json_array_get_element(json_node_get_array(node), i);
		g_autofree char *where = NULL, *name = g_strdup_printf("vm%u", i);
		const char *given;

		if (!JSON_NODE_HOLDS_OBJECT(vm))
			return reader_fail(reader, name, "it is an object");
		given = json_object_get_string_member_with_default(json_node_get_object(vm), "name", name);
		where = g_strdup_printf("VM %.60s", given);
		if (!reader_vm(reader, where, given, json_node_get_object(vm)))
			return FALSE;
	}
	return TRUE;
}

/* ---- The whole ---- */

static gboolean topology_read(struct reader *reader, JsonNode *node)
{
	struct topology *topology = &reader->workload->topology;
	g_autoptr(GList) keys =
		JSON_NODE_HOLDS_OBJECT(node) ? json_object_get_members(json_node_get_object(node)) : NULL;

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return reader_fail(reader, "topology", "it is an object");
	for (GList *key = keys; key; key = key->next) {
		const struct {
			const char *name;
			guint *count;
			gint64 *ns;
		} fields[] = {
			{ "cpus", &topology->n_cpus, NULL },
			{ "threads", &topology->threads_per_core, NULL },
			{ "cores_per_llc", &topology->cores_per_llc, NULL },
			{ "llcs_per_node", &topology->llcs_per_node, NULL },
			{ "switch_us", NULL, &topology->switch_ns },
			{ "migrate_us", NULL, &topology->migrate_ns },
			{ "migrate_llc_us", NULL, &topology->migrate_llc_ns },
		};
		JsonNode *value = json_object_get_member(json_node_get_object(node), key->data);
		double number;
		gsize i;

		for (i = 0; i < G_N_ELEMENTS(fields) && strcmp(fields[i].name, key->data) != 0; i++)
			;
		if (i == G_N_ELEMENTS(fields))
			return reader_fail_key(
				reader, "topology", key->data,
				"cpus, threads, cores_per_llc, llcs_per_node, switch_us, migrate_us, migrate_llc_us");
		if (!reader_number(reader, value, key->data,
				   (double[]) { fields[i].count ? 1 : 0, fields[i].count ? WORKLOAD_CPUS_MAX : 100000 },
				   &number))
			return FALSE;
		if (fields[i].count)
			*fields[i].count = (guint)number;
		else
			*fields[i].ns = (gint64)(number * US + 0.5);
	}
	return TRUE;
}

static gboolean global_read(struct reader *reader, JsonNode *node)
{
	static const char *const ignored[] = { "calibration", "default_policy", "logdir", "log_basename",
					       "lock_pages",  "gnuplot",        "ftrace", "pi_enabled",
					       "log_size",    "io_device" };
	g_autoptr(GList) keys =
		JSON_NODE_HOLDS_OBJECT(node) ? json_object_get_members(json_node_get_object(node)) : NULL;

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return reader_fail(reader, "global", "it is an object");
	for (GList *key = keys; key; key = key->next) {
		JsonNode *value = json_object_get_member(json_node_get_object(node), key->data);
		gboolean known = FALSE;
		double cpus;

		for (gsize i = 0; i < G_N_ELEMENTS(ignored); i++)
			known = known || strcmp(key->data, ignored[i]) == 0;
		if (strcmp(key->data, "duration") == 0) {
			if (!reader_time(reader, value, "duration", SECOND, &reader->workload->horizon_ns))
				return FALSE;
			if (reader->workload->horizon_ns <= 0)
				return reader_fail(reader, "duration", "it has to be above 0 seconds");
		} else if (strcmp(key->data, "cpus") == 0) {
			if (!reader_number(reader, value, "cpus", (double[]) { 1, WORKLOAD_CPUS_MAX }, &cpus))
				return FALSE;
			reader->workload->topology.n_cpus = (guint)cpus;
		} else if (!known) {
			return reader_fail_key(
				reader, "global", key->data,
				"duration (seconds), cpus; calibration, logdir and the like are passed over");
		}
	}
	return TRUE;
}

static gboolean root_read(struct reader *reader, JsonNode *root)
{
	static const struct {
		const char *key;
		gboolean (*read)(struct reader *reader, JsonNode *node);
	} parts[] = {
		{ "global", global_read }, { "topology", topology_read }, { "tasks", tasks_read }, { "vms", vms_read }
	};
	g_autoptr(GList) keys = NULL;

	if (!root || !JSON_NODE_HOLDS_OBJECT(root))
		return reader_fail(reader, "document", "it is an object with global, topology, tasks, vms");
	keys = json_object_get_members(json_node_get_object(root));
	for (GList *key = keys; key; key = key->next) {
		gsize i;

		for (i = 0; i < G_N_ELEMENTS(parts) && strcmp(parts[i].key, key->data) != 0; i++)
			;
		if (i == G_N_ELEMENTS(parts) && strcmp(key->data, "resources") != 0)
			return reader_fail_key(reader, "document", key->data,
					       "global, topology, tasks, vms, resources");
	}
	for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
		JsonNode *node = json_object_get_member(json_node_get_object(root), parts[i].key);

		if (node && !parts[i].read(reader, node))
			return FALSE;
	}
	return TRUE;
}

/* Brackets nested deeper than json-glib's recursion should go. */
static gboolean too_deep(const char *text, gsize bytes)
{
	guint depth = 0;
	gboolean quoted = FALSE;

	for (gsize i = 0; i < bytes; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > 32)
			return TRUE;
		else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
	}
	return FALSE;
}

struct workload *workload_read_json(const char *text, gsize bytes, const char *name, GError **error)
{
	g_autoptr(JsonParser) parser = json_parser_new_immutable();
	g_autoptr(workload_auto) workload = workload_new();
	g_autoptr(GError) inner = NULL;
	struct reader reader = { .workload = workload, .name = name, .error = error };
	gboolean ok;

	if (bytes > BYTES_MAX || too_deep(text, bytes) || !g_utf8_validate(text, (gssize)bytes, NULL)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "%s: not a workload: more than 64 MiB, nested deeper than 32, or not UTF-8", name);
		return NULL;
	}
	if (!json_parser_load_from_data(parser, text, (gssize)bytes, &inner)) {
		const char *said =
			g_str_has_prefix(inner->message, "<data>") ? inner->message + strlen("<data>") : inner->message;

		/* It begins with line and column: "<data>:3:0: …". */
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s%s", name, said);
		return NULL;
	}
	for (guint i = 0; i < G_N_ELEMENTS(reader.objects); i++)
		reader.objects[i] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	workload->topology.switch_ns = 1500;
	workload->topology.migrate_ns = 5000;
	workload->topology.migrate_llc_ns = 20000;
	ok = root_read(&reader, json_parser_get_root(parser));
	if (ok && !workload_check(workload, error)) {
		g_prefix_error(error, "%s: ", name);
		ok = FALSE;
	}
	for (guint i = 0; i < G_N_ELEMENTS(reader.objects); i++)
		g_hash_table_unref(reader.objects[i]);
	return ok ? g_steal_pointer(&workload) : NULL;
}
