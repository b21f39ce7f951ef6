#include "lab/ganeti.h"

#include <string.h>

#include "lab/error.h"

enum load { LOAD_MEMORY, LOAD_DISK, LOAD_VCPU, LOADS };
enum section { SECTION_GROUPS, SECTION_NODES, SECTION_INSTANCES, SECTION_TAGS, SECTION_POLICIES, SECTIONS };

struct node {
	char *name, *group;
	gint64 memory, free_memory, disk, free_disk, cpus;
	double speed;
	gboolean offline;
	gsize line;
};

struct instance {
	gint64 memory, vcpus;
	guint32 node;
	gboolean fixed;
};

struct parser {
	const struct lab_text *file;
	gsize line;
	char **fields;
	gsize *columns; /* of each field */
	guint n_fields;
	GArray *nodes, *instances;
	GPtrArray *names;    /* of instances */
	GHashTable *node_of; /* name → index + 1 */
	GHashTable *groups;  /* uuid → name */
	GHashTable *ratio;   /* group name → double *: highest virtual CPUs per CPU */
	GHashTable *seen;    /* instance names */
	GError **error;
};

static gboolean G_GNUC_PRINTF(3, 4) fail(struct parser *parser, guint field, const char *format, ...)
{
	g_autofree char *what = NULL;
	va_list arguments;

	va_start(arguments, format);
	what = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	g_set_error(parser->error, LAB_ERROR, LAB_ERROR_INVALID,
		    "%s, line %" G_GSIZE_FORMAT ", column %" G_GSIZE_FORMAT ": %s", parser->file->name, parser->line,
		    field < parser->n_fields ? parser->columns[field] : 1, what);
	return FALSE;
}

static gboolean get_integer(struct parser *parser, guint field, const char *what, gint64 max, gint64 *value)
{
	const char *text = parser->fields[field];
	char *end;

	*value = g_ascii_strtoll(text, &end, 10);
	if (!g_ascii_isdigit(*text) || *end)
		return fail(parser, field, "%s '%.40s' is not a whole number from 0", what, text);
	if (*value > max)
		return fail(parser, field, "%s %.40s is more than %" G_GINT64_FORMAT, what, text, max);
	return TRUE;
}

static gboolean get_number(struct parser *parser, guint field, const char *what, double *value)
{
	const char *text = parser->fields[field];
	char *end;

	*value = g_ascii_strtod(text, &end);
	if (!g_ascii_isdigit(*text) || *end || !(*value > 0 && *value < 1e6))
		return fail(parser, field, "%s '%.40s' is not a number above 0", what, text);
	return TRUE;
}

/* ---- One line of each section ---- */

static gboolean read_group(struct parser *parser)
{
	if (parser->n_fields < 2 || !*parser->fields[0] || !*parser->fields[1])
		return fail(parser, 0, "a group needs a name and a UUID: NAME|UUID|POLICY|TAGS|NETWORKS");
	if (g_hash_table_contains(parser->groups, parser->fields[1]))
		return fail(parser, 1, "there is a group with this UUID already");
	g_hash_table_insert(parser->groups, g_strdup(parser->fields[1]), g_strdup(parser->fields[0]));
	return TRUE;
}

static gboolean read_node(struct parser *parser)
{
	struct node node = { .speed = 1, .line = parser->line };
	gint64 kept;

	if (parser->n_fields < 9)
		return fail(parser, 0, "a node has at least 9 fields, this line %u", parser->n_fields);
	if (!*parser->fields[0] || g_hash_table_contains(parser->node_of, parser->fields[0]))
		return fail(parser, 0, "a node's name is missing or there already: '%.40s'", parser->fields[0]);
	if (parser->nodes->len >= GANETI_NODES_MAX)
		return fail(parser, 0, "there are more than %u nodes", GANETI_NODES_MAX);
	if (!g_hash_table_contains(parser->groups, parser->fields[8]))
		return fail(parser, 8, "there is no group with UUID '%.40s'", parser->fields[8]);
	if (!get_integer(parser, 1, "total memory", G_MAXINT32, &node.memory) ||
	    !get_integer(parser, 2, "the node's own memory", G_MAXINT32, &kept) ||
	    !get_integer(parser, 3, "free memory", G_MAXINT32, &node.free_memory) ||
	    !get_integer(parser, 4, "total disk", G_MAXINT64 / 2, &node.disk) ||
	    !get_integer(parser, 5, "free disk", G_MAXINT64 / 2, &node.free_disk) ||
	    !get_integer(parser, 6, "CPUs", 1000000, &node.cpus))
		return FALSE;
	if (!strchr("YNM", parser->fields[7][0]) || strlen(parser->fields[7]) != 1)
		return fail(parser, 7, "whether it is offline is Y, N or M, not '%.40s'", parser->fields[7]);
	node.offline = parser->fields[7][0] == 'Y';
	if (parser->n_fields > 14 && *parser->fields[14] && !get_number(parser, 14, "CPU speed", &node.speed))
		return FALSE;
	if (!node.offline && (!node.memory || !node.cpus || node.free_memory > node.memory))
		return fail(parser, 1, "an online node has memory and CPUs, and no more memory free than it has");
	node.name = g_strdup(parser->fields[0]);
	node.group = g_strdup(parser->fields[8]);
	g_array_append_val(parser->nodes, node);
	g_hash_table_insert(parser->node_of, node.name, GUINT_TO_POINTER(parser->nodes->len));
	return TRUE;
}

static gboolean read_disk(struct parser *parser, struct instance *instance)
{
	static const char *const anywhere[] = { "ext", "rbd", "sharedfile", "gluster", "diskless", NULL };
	static const char *const one_node[] = { "plain", "file", "blockdev", NULL };

	if (g_strv_contains(one_node, parser->fields[8])) {
		instance->fixed = TRUE;
		return TRUE;
	}
	if (g_strv_contains(anywhere, parser->fields[8]))
		return TRUE;
	if (g_str_equal(parser->fields[8], "drbd"))
		return fail(parser, 8,
			    "instances on drbd are not planned for: their secondaries would have to be scored");
	return fail(parser, 8, "there is no disk template '%.40s'", parser->fields[8]);
}

static gboolean read_instance(struct parser *parser)
{
	static const char *const up[] = { "running", "ERROR_up", "ERROR_wrongnode", NULL };
	struct instance instance = { 0 };
	gint64 disk;
	guint node;

	if (parser->n_fields < 9)
		return fail(parser, 0, "an instance has at least 9 fields, this line %u", parser->n_fields);
	if (parser->instances->len >= GANETI_INSTANCES_MAX)
		return fail(parser, 0, "there are more than %u instances", GANETI_INSTANCES_MAX);
	if (!*parser->fields[0] || !g_hash_table_add(parser->seen, g_strdup(parser->fields[0])))
		return fail(parser, 0, "an instance's name is missing or there already: '%.40s'", parser->fields[0]);
	if (!get_integer(parser, 1, "memory", G_MAXINT32, &instance.memory) ||
	    !get_integer(parser, 2, "disk", G_MAXINT64 / 2, &disk) ||
	    !get_integer(parser, 3, "virtual CPUs", 1000000, &instance.vcpus) || !read_disk(parser, &instance))
		return FALSE;
	node = GPOINTER_TO_UINT(g_hash_table_lookup(parser->node_of, parser->fields[6]));
	if (!node)
		return fail(parser, 6, "there is no node '%.40s'", parser->fields[6]);
	if (g_array_index(parser->nodes, struct node, node - 1).offline)
		return fail(parser, 6, "node %.40s is offline: evacuate it before balancing", parser->fields[6]);
	if (!g_strv_contains(up, parser->fields[4]))
		instance.memory = 0;
	if (!g_str_equal(parser->fields[5], "Y") && !g_str_equal(parser->fields[5], "N"))
		return fail(parser, 5, "whether it is balanced is Y or N, not '%.40s'", parser->fields[5]);
	instance.fixed |= parser->fields[5][0] == 'N';
	instance.node = node - 1;
	g_array_append_val(parser->instances, instance);
	g_ptr_array_add(parser->names, g_strdup(parser->fields[0]));
	return TRUE;
}

static gboolean read_policy(struct parser *parser)
{
	double *ratio;

	if (parser->n_fields < 6)
		return fail(parser, 0, "a policy has at least 6 fields, this line %u", parser->n_fields);
	ratio = g_new0(double, 1);
	g_hash_table_insert(parser->ratio, g_strdup(parser->fields[0]), ratio);
	return get_number(parser, 4, "the highest number of virtual CPUs per CPU", ratio);
}

static gboolean read_tag(struct parser *parser)
{
	if (g_str_has_prefix(parser->fields[0], "htools:iextags") ||
	    g_str_has_prefix(parser->fields[0], "htools:desiredlocation") ||
	    g_str_has_prefix(parser->fields[0], "htools:nlocation"))
		return fail(parser, 0, "exclusion and location tags are not planned for");
	return TRUE;
}

static gboolean (*const read_line[SECTIONS])(struct parser *parser) = {
	[SECTION_GROUPS] = read_group, [SECTION_NODES] = read_node,      [SECTION_INSTANCES] = read_instance,
	[SECTION_TAGS] = read_tag,     [SECTION_POLICIES] = read_policy,
};

static gboolean read_fields(struct parser *parser, enum section section, const char *line)
{
	gsize column = 1;
	gboolean ok;

	parser->fields = g_strsplit(line, "|", -1);
	parser->n_fields = g_strv_length(parser->fields);
	parser->columns = g_new0(gsize, parser->n_fields + 1);
	for (guint i = 0; i < parser->n_fields; i++) {
		parser->columns[i] = column;
		column += strlen(parser->fields[i]) + 1;
	}
	ok = read_line[section](parser);
	g_clear_pointer(&parser->fields, g_strfreev);
	g_clear_pointer(&parser->columns, g_free);
	return ok;
}

static gboolean read_sections(struct parser *parser)
{
	const struct lab_text *file = parser->file;
	guint section = 0;

	for (gsize at = 0; at < file->length; parser->line++) {
		const char *begin = file->text + at, *end = memchr(begin, '\n', file->length - at);
		gsize length = end ? (gsize)(end - begin) : file->length - at;
		g_autofree char *line = g_strndup(begin, length);

		at += length + 1;
		parser->n_fields = 0;
		if (strlen(line) != length || !g_utf8_validate(line, -1, NULL))
			return fail(parser, 0, "the line is not text");
		if (!length) {
			section++;
			continue;
		}
		if (section >= SECTIONS)
			return fail(parser, 0, "there is more after the five sections");
		if (!read_fields(parser, section, line))
			return FALSE;
	}
	parser->n_fields = 0;
	if (section < SECTION_INSTANCES)
		return fail(parser, 0,
			    "the file ends before the instances: groups, nodes and instances are separated by "
			    "empty lines");
	return TRUE;
}

/* ---- What it comes to ---- */

static gpointer keep(struct lab_ganeti *cluster, gsize n, gsize bytes)
{
	gpointer part = g_malloc0_n(n + 1, bytes);

	g_ptr_array_add(cluster->parts, part);
	return part;
}

static void set_nodes(struct lab_ganeti *cluster, const struct parser *parser)
{
	gsize nodes = parser->nodes->len;
	double *base = keep(cluster, nodes * LOADS, sizeof *base), *scale = keep(cluster, nodes * LOADS, sizeof *scale);
	double *limit = keep(cluster, nodes * LOADS, sizeof *limit);
	bool *closed = keep(cluster, nodes, sizeof *closed);

	for (gsize n = 0; n < nodes; n++) {
		const struct node *node = &g_array_index(parser->nodes, struct node, n);
		const double *ratio =
			g_hash_table_lookup(parser->ratio, g_hash_table_lookup(parser->groups, node->group));

		scale[n * LOADS + LOAD_MEMORY] = MAX((double)node->memory, 1);
		scale[n * LOADS + LOAD_DISK] = MAX((double)node->disk, 1);
		scale[n * LOADS + LOAD_VCPU] = MAX((double)node->cpus * node->speed, 1e-6);
		base[n * LOADS + LOAD_MEMORY] = 1 - (double)node->free_memory / scale[n * LOADS + LOAD_MEMORY];
		base[n * LOADS + LOAD_DISK] = 1 - (double)node->free_disk / scale[n * LOADS + LOAD_DISK];
		limit[n * LOADS + LOAD_MEMORY] = 1 + 1e-12;
		limit[n * LOADS + LOAD_DISK] = G_MAXDOUBLE;
		limit[n * LOADS + LOAD_VCPU] = ratio ? *ratio / node->speed + 1e-9 : G_MAXDOUBLE;
		closed[n] = node->offline;
		g_ptr_array_add(cluster->nodes, g_strdup(node->name));
	}
	cluster->even.n_nodes = (guint32)nodes;
	cluster->even.base = base;
	cluster->even.scale = scale;
	cluster->even.limit = limit;
	cluster->even.closed = closed;
}

/* Free memory in the file counts what is there: the base is what is not explained by the instances. */
static void set_instances(struct lab_ganeti *cluster, const struct parser *parser)
{
	gsize instances = parser->instances->len;
	g_autoptr(GHashTable) kinds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	guint32 *kind = keep(cluster, instances, sizeof *kind);
	double *amount = keep(cluster, instances * LOADS, sizeof *amount), *base = (double *)cluster->even.base;
	bool *fixed = keep(cluster, instances, sizeof *fixed);

	cluster->node = keep(cluster, instances, sizeof *cluster->node);
	cluster->memory_mib = keep(cluster, instances, sizeof *cluster->memory_mib);
	for (gsize i = 0; i < instances; i++) {
		const struct instance *instance = &g_array_index(parser->instances, struct instance, i);
		g_autofree char *key =
			g_strdup_printf("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, instance->memory, instance->vcpus);
		guint known = GPOINTER_TO_UINT(g_hash_table_lookup(kinds, key));

		if (!known) {
			known = g_hash_table_size(kinds) + 1;
			amount[(known - 1) * LOADS + LOAD_MEMORY] = (double)instance->memory;
			amount[(known - 1) * LOADS + LOAD_VCPU] = (double)instance->vcpus;
			g_hash_table_insert(kinds, g_steal_pointer(&key), GUINT_TO_POINTER(known));
		}
		kind[i] = known - 1;
		fixed[i] = instance->fixed;
		cluster->node[i] = instance->node;
		cluster->memory_mib[i] = (guint32)instance->memory;
		base[instance->node * LOADS + LOAD_MEMORY] -=
			(double)instance->memory / cluster->even.scale[instance->node * LOADS + LOAD_MEMORY];
	}
	cluster->even.n_items = (guint32)instances;
	cluster->even.n_kinds = g_hash_table_size(kinds);
	cluster->even.kind = kind;
	cluster->even.amount = amount;
	cluster->even.fixed = fixed;
}

static gboolean check_groups(struct parser *parser)
{
	for (guint n = 1; n < parser->nodes->len; n++) {
		const struct node *node = &g_array_index(parser->nodes, struct node, n);

		if (!g_str_equal(node->group, g_array_index(parser->nodes, struct node, 0).group)) {
			parser->line = node->line;
			return fail(parser, 0, "node %s is of another node group: balance one group at a time",
				    node->name);
		}
	}
	if (parser->nodes->len)
		return TRUE;
	return fail(parser, 0, "there is no node");
}

static void node_clear(gpointer data)
{
	struct node *node = data;

	g_free(node->name);
	g_free(node->group);
}

struct lab_ganeti *lab_ganeti_parse(const struct lab_text *file, GError **error)
{
	g_autoptr(lab_ganeti_auto) cluster = g_new0(struct lab_ganeti, 1);
	g_autoptr(GArray) nodes = g_array_new(FALSE, TRUE, sizeof(struct node));
	g_autoptr(GArray) instances = g_array_new(FALSE, TRUE, sizeof(struct instance));
	g_autoptr(GHashTable) node_of = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GHashTable) ratio = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct parser parser = { .file = file,
				 .line = 1,
				 .nodes = nodes,
				 .instances = instances,
				 .node_of = node_of,
				 .groups = groups,
				 .ratio = ratio,
				 .seen = seen,
				 .error = error };

	g_array_set_clear_func(nodes, node_clear);
	cluster->nodes = g_ptr_array_new_with_free_func(g_free);
	cluster->instances = g_ptr_array_new_with_free_func(g_free);
	cluster->parts = g_ptr_array_new_with_free_func(g_free);
	parser.names = cluster->instances;
	if (!read_sections(&parser) || !check_groups(&parser))
		return NULL;
	cluster->even.n_loads = LOADS;
	for (guint k = 0; k < LOADS; k++)
		cluster->even.weight[k] = 1;
	set_nodes(cluster, &parser);
	set_instances(cluster, &parser);
	return g_steal_pointer(&cluster);
}

struct lab_ganeti *lab_ganeti_load(const char *path, GError **error)
{
	struct lab_text file = { .name = path };
	g_autofree char *text = lab_text_load(path, GANETI_BYTES_MAX, &file.length, error);

	if (!text)
		return NULL;
	file.text = text;
	return lab_ganeti_parse(&file, error);
}

void lab_ganeti_free(struct lab_ganeti *cluster)
{
	if (!cluster)
		return;
	g_ptr_array_unref(cluster->nodes);
	g_ptr_array_unref(cluster->instances);
	g_ptr_array_unref(cluster->parts);
	g_free(cluster);
}
