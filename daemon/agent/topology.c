#include "daemon/agent/topology.h"

#include <string.h>
#include <sys/statvfs.h>

#include "daemon/model/limits.h"
#include "daemon/model/placement.h"

#define NODES      "/sys/devices/system/node"
#define CACHE      "/sys/devices/system/cpu/cpu0/cache/index%u/%s"
#define CACHES_MAX 8
#define MIB        (1ull << 20)

/* The file's text without trailing space, or NULL. */
static char *read_text(const char *root, const char *path)
{
	g_autofree char *full = g_strconcat(root, path, NULL);
	char *text = NULL;

	return g_file_get_contents(full, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

static guint64 read_number(const char *root, const char *path)
{
	g_autofree char *text = read_text(root, path);

	return text && g_ascii_isdigit(*text) ? g_ascii_strtoull(text, NULL, 10) : 0;
}

/* How many processors "0-3,8-11" lists. */
static guint64 list_count(const char *list)
{
	g_auto(GStrv) parts = g_strsplit(list ? list : "", ",", -1);
	guint64 n = 0;

	for (char **part = parts; *part; part++) {
		char *end;
		guint64 first, last;

		if (!g_ascii_isdigit(**part))
			continue;
		first = last = g_ascii_strtoull(*part, &end, 10);
		if (*end == '-')
			last = g_ascii_strtoull(end + 1, NULL, 10);
		if (last >= first && last - first < 1u << 20)
			n += last - first + 1;
	}
	return n;
}

/* "Node 0 MemTotal:  1234 kB", of the whole machine without the first two words. */
static guint64 memory_total_bytes(const char *root, const char *path)
{
	g_autofree char *text = read_text(root, path);
	const char *at = text ? strstr(text, "MemTotal:") : NULL;

	return at ? g_ascii_strtoull(at + strlen("MemTotal:"), NULL, 10) * 1024 : 0;
}

static guint64 node_huge_bytes(const char *root, guint node, guint64 page_kib)
{
	g_autofree char *path = g_strdup_printf(
		NODES "/node%u/hugepages/hugepages-%" G_GUINT64_FORMAT "kB/nr_hugepages", node, page_kib);
	guint64 pages = read_number(root, path);

	return MIN(pages, 1ull << 30) * page_kib * 1024;
}

static gboolean node_read(const char *root, guint node, gboolean only, struct node_text *out)
{
	g_autofree char *path = g_strdup_printf(NODES "/node%u/cpulist", node);
	g_autofree char *meminfo = g_strdup_printf(NODES "/node%u/meminfo", node);
	g_autofree char *cpus = read_text(root, path);
	guint64 memory = memory_total_bytes(root, meminfo), huge;

	if (!cpus)
		return FALSE;
	/* Memory plugged in while the machine runs is missing in the node's own total (seen with Linux 6.18). */
	if (only)
		memory = MAX(memory, memory_total_bytes(root, "/proc/meminfo"));
	out->cpus = list_count(cpus);
	out->huge_2m_bytes = node_huge_bytes(root, node, 2048);
	out->huge_1g_bytes = node_huge_bytes(root, node, 1048576);
	huge = out->huge_2m_bytes + out->huge_1g_bytes;
	out->memory_bytes = (memory - MIN(huge, memory)) / MIB * MIB;
	return TRUE;
}

/* Nodes beyond the limit, and those with memory only, are not offered. */
static char **nodes_read(const char *root)
{
	g_autofree char *path = g_strconcat(root, NODES, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	GPtrArray *nodes = g_ptr_array_new();
	guint highest = 0;
	const char *name;

	while (dir && (name = g_dir_read_name(dir)) != NULL) {
		if (g_str_has_prefix(name, "node") && g_ascii_isdigit(name[4]))
			highest = MAX(highest, (guint)MIN(g_ascii_strtoull(name + 4, NULL, 10), 1023));
	}
	for (guint i = 0; dir && i <= highest && nodes->len < LIMIT_HOST_NODES; i++) {
		struct node_text node;

		if (node_read(root, i, highest == 0, &node) && node.cpus)
			g_ptr_array_add(nodes, node_format(&node));
	}
	g_ptr_array_add(nodes, NULL);
	return (char **)g_ptr_array_free(nodes, FALSE);
}

/* ---- Processors ---- */

static gboolean has_flags(const char *flags, const char *const *wanted)
{
	for (; *wanted; wanted++) {
		g_autofree char *word = g_strconcat(" ", *wanted, " ", NULL);

		if (!strstr(flags, word))
			return FALSE;
	}
	return TRUE;
}

/* By the x86-64 psABI's list of features; the names are the kernel's. */
static char *cpu_level(const char *root)
{
	static const char *const level[3][10] = {
		{ "cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3", NULL },
		{ "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave", NULL },
		{ "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", NULL },
	};
	g_autofree char *text = read_text(root, "/proc/cpuinfo");
	const char *at = text ? strstr(text, "\nflags") : NULL;
	const char *list = at ? strchr(at, ':') : NULL;
	g_autofree char *line = list ? g_strndup(list + 1, strcspn(list, "\n") - 1) : NULL;
	g_autofree char *flags = line ? g_strconcat(" ", line, " ", NULL) : NULL;
	guint n = 1;

	if (!flags || !strstr(flags, " lm "))
		return g_strdup("");
	while (n < 4 && has_flags(flags, level[n - 1]))
		n++;
	return g_strdup_printf("x86-64-v%u", n);
}

guint topology_llc_cpus(const char *root)
{
	guint64 last = 0, n = 0;

	for (guint i = 0; i < CACHES_MAX; i++) {
		g_autofree char *level_path = g_strdup_printf(CACHE, i, "level");
		g_autofree char *list_path = g_strdup_printf(CACHE, i, "shared_cpu_list");
		guint64 level = read_number(root, level_path);
		g_autofree char *list = read_text(root, list_path);

		if (level <= last || !list)
			continue;
		last = level;
		n = list_count(list);
	}
	return (guint)MIN(n, 1u << 20);
}

/* ---- Network ---- */

/* Of the devices that are machines' own and up; those that tell no speed count nothing. */
static guint64 network_bps(const char *root)
{
	g_autofree char *path = g_strconcat(root, "/sys/class/net", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	guint64 sum = 0;
	const char *name;

	while (dir && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *device = g_strdup_printf("%s/%s/device", path, name);
		g_autofree char *speed = g_strdup_printf("/sys/class/net/%s/speed", name);
		g_autofree char *state = g_strdup_printf("/sys/class/net/%s/operstate", name);
		g_autofree char *is = read_text(root, state);

		if (g_strcmp0(is, "up") == 0 && g_file_test(device, G_FILE_TEST_EXISTS))
			sum += MIN(read_number(root, speed), 10000000) * 1000000;
	}
	return MIN(sum, LIMIT_NETWORK_BPS_MAX);
}

void topology_inspect(struct host *host, const char *root, const char *state)
{
	g_autofree char *siblings = read_text(root, "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list");
	struct statvfs fs;

	g_strfreev(host->nodes);
	host->nodes = nodes_read(root);
	host->threads_per_core = CLAMP(list_count(siblings), 1, LIMIT_THREADS_PER_CORE);
	g_free(host->cpu_level);
	host->cpu_level = cpu_level(root);
	host->network_bps = network_bps(root);
	host->disk_bytes = 0;
	if (state && statvfs(state, &fs) == 0)
		host->disk_bytes = (guint64)fs.f_bavail * fs.f_frsize / MIB * MIB;
}
