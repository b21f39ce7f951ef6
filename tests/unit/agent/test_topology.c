/* Goal: a machine's nodes, cores, huge pages, levels and network are read from sysfs, and nonsense there does no harm. */
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/agent/topology.h"

static void put(const char *root, const char *path, const char *text)
{
	g_autofree char *full = g_strconcat(root, path, NULL);
	g_autofree char *dir = g_path_get_dirname(full);

	g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
	g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

static void remove_tree(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *full = g_build_filename(path, name, NULL);

		if (g_file_test(full, G_FILE_TEST_IS_DIR))
			remove_tree(full);
		else
			g_unlink(full);
	}
	g_rmdir(path);
}

#define NODE "/sys/devices/system/node/node"

static void put_machine(const char *root)
{
	put(root, NODE "0/cpulist", "0-3,8-11\n");
	put(root, NODE "0/meminfo", "Node 0 MemTotal:       33554432 kB\nNode 0 MemFree: 1 kB\n");
	put(root, NODE "0/hugepages/hugepages-2048kB/nr_hugepages", "2048\n");
	put(root, NODE "0/hugepages/hugepages-1048576kB/nr_hugepages", "4\n");
	put(root, NODE "1/cpulist", "4-7,12-15\n");
	put(root, NODE "1/meminfo", "Node 1 MemTotal:       33554432 kB\n");
	put(root, NODE "2/cpulist", "\n"); /* memory only */
	put(root, NODE "2/meminfo", "Node 2 MemTotal:       33554432 kB\n");
	put(root, "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,8\n");
	put(root, "/sys/devices/system/cpu/cpu0/cache/index0/level", "1\n");
	put(root, "/sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_list", "0,8\n");
	put(root, "/sys/devices/system/cpu/cpu0/cache/index1/level", "3\n");
	put(root, "/sys/devices/system/cpu/cpu0/cache/index1/shared_cpu_list", "0-1,8-9\n");
	put(root, "/sys/devices/system/cpu/cpu0/cache/index2/level", "2\n");
	put(root, "/sys/devices/system/cpu/cpu0/cache/index2/shared_cpu_list", "0,8\n");
	put(root, "/proc/cpuinfo",
	    "processor\t: 0\nflags\t\t: fpu lm cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c "
	    "fma abm movbe xsave\nbugs\t\t:\n");
	put(root, "/sys/class/net/eth0/speed", "10000\n");
	put(root, "/sys/class/net/eth0/operstate", "up\n");
	put(root, "/sys/class/net/eth0/device/vendor", "0x8086\n");
	put(root, "/sys/class/net/lo/speed", "1000\n");
	put(root, "/sys/class/net/lo/operstate", "up\n"); /* no device */
	put(root, "/sys/class/net/eth1/speed", "-1\n");
	put(root, "/sys/class/net/eth1/operstate", "up\n");
	put(root, "/sys/class/net/eth1/device/vendor", "0x8086\n");
}

static void test_machine(void)
{
	g_autofree char *root = g_dir_make_tmp("polder-topology-XXXXXX", NULL);
	struct host host;

	put_machine(root);
	noun_init(&host_noun, &host);
	topology_inspect(&host, root, root);
	g_assert_cmpuint(g_strv_length(host.nodes), ==, 2);
	g_assert_cmpstr(host.nodes[0], ==, "8c24G+4G/2M+4G/1G");
	g_assert_cmpstr(host.nodes[1], ==, "8c32G");
	g_assert_cmpuint(host.threads_per_core, ==, 2);
	g_assert_cmpstr(host.cpu_level, ==, "x86-64-v3");
	g_assert_cmpuint(host.network_bps, ==, 10000000000);
	g_assert_cmpuint(host.disk_bytes, >, 0);
	g_assert_cmpuint(topology_llc_cpus(root), ==, 4);
	noun_clear(&host_noun, &host);
	remove_tree(root);
}

/* The one node of a machine has all its memory, also what was plugged in later. */
static void test_plugged(void)
{
	g_autofree char *root = g_dir_make_tmp("polder-topology-XXXXXX", NULL);
	struct host host;

	put(root, NODE "0/cpulist", "0-1\n");
	put(root, NODE "0/meminfo", "Node 0 MemTotal:        8388608 kB\n");
	put(root, "/proc/meminfo", "MemTotal:       25165824 kB\nMemFree:        1 kB\n");
	noun_init(&host_noun, &host);
	topology_inspect(&host, root, root);
	g_assert_cmpuint(g_strv_length(host.nodes), ==, 1);
	g_assert_cmpstr(host.nodes[0], ==, "2c24G");
	g_assert_cmpuint(topology_llc_cpus(root), ==, 0);
	noun_clear(&host_noun, &host);
	remove_tree(root);
}

static void test_nonsense(void)
{
	g_autofree char *root = g_dir_make_tmp("polder-topology-XXXXXX", NULL);
	g_autofree char *json = NULL;
	struct host host, back;

	put(root, NODE "0/cpulist", "9-3,,x,0-99999999999\n");
	put(root, NODE "0/meminfo", "MemTotal");
	put(root, NODE "0/hugepages/hugepages-2048kB/nr_hugepages", "99999999999999999999999\n");
	put(root, NODE "99999999/cpulist", "0\n");
	put(root, "/proc/cpuinfo", "flags");
	put(root, "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "junk\n");
	noun_init(&host_noun, &host);
	topology_inspect(&host, root, "/nonexistent");
	g_assert_cmpuint(host.threads_per_core, ==, 1);
	g_assert_cmpstr(host.cpu_level, ==, "");
	g_assert_cmpuint(host.disk_bytes, ==, 0);
	json = noun_to_json(&host_noun, &host);
	g_assert_true(noun_from_json(&host_noun, &back, json, strlen(json), NOUN_FROM_STORE, NULL));
	noun_clear(&host_noun, &back);
	noun_clear(&host_noun, &host);
	remove_tree(root);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/topology/machine", test_machine);
	g_test_add_func("/topology/plugged", test_plugged);
	g_test_add_func("/topology/nonsense", test_nonsense);
	return g_test_run();
}
