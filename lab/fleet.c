#include "lab/fleet.h"

#include <gio/gio.h>
#include <string.h>

#include "lab/error.h"
#include "lab/trace_lines.h"

#define NODE_CPUS_MAX       4096
#define NODE_MEMORY_MIB_MAX (16u << 20)
#define LABELS_MAX          64
#define SPEC_HELP                                                                                                      \
	"write NODESxCPUScMEMORY like 2x40c90G (as many hosts as needed), 100*2x40c90G (exactly 100; parts separated " \
	"by "                                                                                                          \
	"commas), or the name of a CSV file of hosts"

struct fleet *fleet_new_fixed(guint rack_hosts)
{
	struct fleet *fleet = g_new0(struct fleet, 1);

	fleet->hosts = g_array_new(FALSE, TRUE, sizeof(struct allocation_host));
	fleet->rack_hosts = MAX(rack_hosts, 1);
	return fleet;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	g_array_unref(fleet->hosts);
	g_free(fleet);
}

guint32 fleet_rack(const struct fleet *fleet, guint32 number)
{
	return number / fleet->rack_hosts + 1;
}

gboolean fleet_host_init(struct allocation_host *host, guint64 nodes, guint64 cpus, guint64 memory_mib)
{
	memset(host, 0, sizeof *host);
	if (nodes < 1 || nodes > ALLOCATION_NODES_MAX || cpus < nodes || memory_mib < nodes ||
	    cpus > nodes * NODE_CPUS_MAX || memory_mib > nodes * NODE_MEMORY_MIB_MAX)
		return FALSE;
	host->n_nodes = (guint32)nodes;
	host->powered = true;
	for (guint64 i = 0; i < nodes; i++) {
		host->node_capacity[i][ALLOCATION_CPU] = (guint32)(cpus / nodes + (i < cpus % nodes)) * 1000;
		host->node_capacity[i][ALLOCATION_MEMORY] = (guint32)(memory_mib / nodes + (i < memory_mib % nodes));
	}
	return TRUE;
}

void fleet_add(struct fleet *fleet, const struct allocation_host *host)
{
	struct allocation_host added = *host;

	if (!added.rack && !fleet->names_racks)
		added.rack = fleet_rack(fleet, fleet->hosts->len);
	g_array_append_val(fleet->hosts, added);
}

/* ---- "100*2x40c90G" ---- */

static gboolean take_number(const char **at, guint64 max, guint64 *value)
{
	char *end = NULL;

	if (!g_ascii_isdigit(**at))
		return FALSE;
	*value = g_ascii_strtoull(*at, &end, 10);
	*at = end;
	return *value <= max;
}

/* "2x40c90G" into a host. */
static gboolean shape_parse(const char *text, struct allocation_host *host)
{
	guint64 nodes, cpus, memory, unit;

	if (!take_number(&text, ALLOCATION_NODES_MAX, &nodes) || *text++ != 'x' ||
	    !take_number(&text, NODE_CPUS_MAX, &cpus) || *text++ != 'c' ||
	    !take_number(&text, NODE_MEMORY_MIB_MAX, &memory))
		return FALSE;
	switch (*text) {
	case 'M':
		unit = 1;
		break;
	case 'G':
		unit = 1024;
		break;
	case 'T':
		unit = 1024 * 1024;
		break;
	default:
		return FALSE;
	}
	return !text[1] && fleet_host_init(host, nodes, nodes * cpus, nodes * memory * unit);
}

static struct fleet *spec_fail(GError **error, const char *spec, const char *part)
{
	gboolean whole = strcmp(spec, part) == 0;

	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
		    "hosts %.80s%s%.80s is neither a shape of hosts nor a file: %s", spec, whole ? "" : ": ",
		    whole ? "" : part, SPEC_HELP);
	return NULL;
}

static struct fleet *spec_parse(const char *spec, guint rack_hosts, GError **error)
{
	g_autoptr(fleet_auto) fleet = fleet_new_fixed(rack_hosts);
	g_auto(GStrv) parts = g_strsplit(spec, ",", 0);
	struct allocation_host host;

	if (g_strv_length(parts) == 1 && shape_parse(parts[0], &host)) {
		fleet->elastic = TRUE;
		fleet->shape = host;
		return g_steal_pointer(&fleet);
	}
	for (char **part = parts; *part; part++) {
		const char *at = g_strstrip(*part);
		guint64 count = 0;
		if (shape_parse(at, &host)) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "hosts %.80s: %.40s says not how many: an unlimited fleet is one shape alone; "
				    "write 100*%.40s",
				    spec, at, at);
			return NULL;
		}
		if (!take_number(&at, FLEET_HOSTS_MAX, &count) || *at++ != '*' || !shape_parse(at, &host))
			return spec_fail(error, spec, *part);
		if (fleet->hosts->len + count > FLEET_HOSTS_MAX) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "hosts %.80s: more than %d hosts", spec,
				    FLEET_HOSTS_MAX);
			return NULL;
		}
		while (count--)
			fleet_add(fleet, &host);
	}
	if (fleet->hosts->len == 0) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "hosts %.80s: an empty fleet can run nothing: %s",
			    spec, SPEC_HELP);
		return NULL;
	}
	return g_steal_pointer(&fleet);
}

/* ---- A file of hosts ---- */

struct file {
	struct trace_lines *lines;
	struct fleet *fleet;
	GHashTable *names, *racks, *zones, *labels; /* name → number from 1 */
	int name, nodes, cpus, memory_mib, rack, zone, label;
};

static guint32 number_of(GHashTable *table, const char *name)
{
	gpointer number;

	if (!*name)
		return 0;
	number = g_hash_table_lookup(table, name);
	if (!number) {
		number = GUINT_TO_POINTER(g_hash_table_size(table) + 1);
		g_hash_table_insert(table, g_strdup(name), number);
	}
	return GPOINTER_TO_UINT(number);
}

static gboolean file_columns(struct file *file, GError **error)
{
	static const char *const known[] = { "name", "nodes", "cpus", "memory_mib", "rack", "zone", "labels", NULL };

	if (!trace_lines_header(file->lines, error))
		return FALSE;
	for (guint i = 0; i < trace_lines_n_columns(file->lines); i++)
		if (!g_strv_contains(known, trace_lines_column_name(file->lines, i)))
			return trace_lines_fail(file->lines, (int)i, error,
						"unknown; a file of hosts has the columns "
						"name,nodes,cpus,memory_mib[,rack,zone,labels]");
	file->name = trace_lines_column(file->lines, "name");
	file->nodes = trace_lines_column(file->lines, "nodes");
	file->cpus = trace_lines_column(file->lines, "cpus");
	file->memory_mib = trace_lines_column(file->lines, "memory_mib");
	file->rack = trace_lines_column(file->lines, "rack");
	file->zone = trace_lines_column(file->lines, "zone");
	file->label = trace_lines_column(file->lines, "labels");
	if (file->name < 0 || file->cpus < 0 || file->memory_mib < 0)
		return trace_lines_fail(file->lines, -1, error,
					"a file of hosts needs at least the columns name, cpus and memory_mib");
	file->fleet->names_racks = file->rack >= 0;
	return TRUE;
}

static gboolean row_labels(struct file *file, struct allocation_host *host, GError **error)
{
	g_auto(GStrv) labels = NULL;

	if (file->label < 0)
		return TRUE;
	labels = g_strsplit(trace_lines_field(file->lines, (guint)file->label), ";", 0);
	for (char **label = labels; *label; label++) {
		guint32 number = number_of(file->labels, g_strstrip(*label));
		if (number > LABELS_MAX)
			return trace_lines_fail(file->lines, file->label, error, "more than %d different labels",
						LABELS_MAX);
		if (number)
			host->labels |= UINT64_C(1) << (number - 1);
	}
	return TRUE;
}

static gboolean row_read(struct file *file, GError **error)
{
	const char *name = trace_lines_field(file->lines, (guint)file->name);
	guint64 nodes = 1, cpus, memory_mib;
	struct allocation_host host;

	if (!trace_lines_whole(file->lines, error))
		return FALSE;
	if (!*name)
		return trace_lines_fail(file->lines, file->name, error, "a host needs a name");
	if (g_hash_table_contains(file->names, name))
		return trace_lines_fail(file->lines, file->name, error, "the host %.60s is there twice", name);
	number_of(file->names, name);
	if ((file->nodes >= 0 &&
	     !trace_lines_decimal(file->lines, file->nodes, 1, ALLOCATION_NODES_MAX, &nodes, error)) ||
	    !trace_lines_decimal(file->lines, file->cpus, 1, NODE_CPUS_MAX * ALLOCATION_NODES_MAX, &cpus, error) ||
	    !trace_lines_decimal(file->lines, file->memory_mib, 1, (guint64)NODE_MEMORY_MIB_MAX * ALLOCATION_NODES_MAX,
				 &memory_mib, error))
		return FALSE;
	if (!fleet_host_init(&host, nodes, cpus, memory_mib))
		return trace_lines_fail(file->lines, -1, error,
					"not a host: it needs 1 to %d nodes, and on each at least one CPU and 1 MiB",
					ALLOCATION_NODES_MAX);
	if (!row_labels(file, &host, error))
		return FALSE;
	host.rack = file->rack < 0 ? 0 : number_of(file->racks, trace_lines_field(file->lines, (guint)file->rack));
	host.zone = file->zone < 0 ? 0 : number_of(file->zones, trace_lines_field(file->lines, (guint)file->zone));
	if (file->fleet->hosts->len == FLEET_HOSTS_MAX)
		return trace_lines_fail(file->lines, -1, error, "more than %d hosts", FLEET_HOSTS_MAX);
	fleet_add(file->fleet, &host);
	return TRUE;
}

static struct fleet *lines_read(struct trace_lines *lines, guint rack_hosts, GError **error)
{
	g_autoptr(fleet_auto) fleet = fleet_new_fixed(rack_hosts);
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) racks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) zones = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) labels = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct file file = { lines, fleet, names, racks, zones, labels, -1, -1, -1, -1, -1, -1, -1 };
	int got;

	if (!file_columns(&file, error))
		return NULL;
	while ((got = trace_lines_next(lines, error)) > 0)
		if (!row_read(&file, error))
			return NULL;
	if (got < 0)
		return NULL;
	if (fleet->hosts->len == 0) {
		trace_lines_fail(lines, -1, error, "no hosts: an empty fleet can run nothing");
		return NULL;
	}
	return g_steal_pointer(&fleet);
}

struct fleet *fleet_read(GInputStream *stream, const char *name, guint rack_hosts, GError **error)
{
	g_autoptr(trace_lines_auto) lines = trace_lines_new(stream, name);

	return lines_read(lines, rack_hosts, error);
}

struct fleet *fleet_parse(const char *spec, guint rack_hosts, GError **error)
{
	g_autoptr(trace_lines_auto) lines = NULL;

	if (!*spec) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "no hosts: %s", SPEC_HELP);
		return NULL;
	}
	if (g_file_test(spec, G_FILE_TEST_IS_REGULAR) || g_str_has_suffix(spec, ".csv") ||
	    g_str_has_suffix(spec, ".csv.gz") || strchr(spec, '/')) {
		lines = trace_lines_open(spec, error);
		return lines ? lines_read(lines, rack_hosts, error) : NULL;
	}
	return spec_parse(spec, rack_hosts, error);
}
