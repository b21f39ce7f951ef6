/* Fleets: shapes and files of hosts. */
#include "lab/fleet.h"

#include <string.h>

#include "lab/error.h"

static void test_elastic(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(fleet_auto) fleet = fleet_parse("2x40c90G", 40, &error);

	g_assert_no_error(error);
	g_assert_true(fleet->elastic);
	g_assert_cmpuint(fleet->shape.n_nodes, ==, 2);
	g_assert_cmpuint(fleet->shape.node_capacity[1][ALLOCATION_CPU], ==, 40000);
	g_assert_cmpuint(fleet->shape.node_capacity[1][ALLOCATION_MEMORY], ==, 92160);
	g_assert_cmpuint(fleet_rack(fleet, 39), ==, 1);
	g_assert_cmpuint(fleet_rack(fleet, 40), ==, 2);
}

static void test_fixed(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(fleet_auto) fleet = fleet_parse("3*2x40c90G, 2*1x8c512M", 2, &error);
	const struct allocation_host *hosts;

	g_assert_no_error(error);
	g_assert_false(fleet->elastic);
	g_assert_cmpuint(fleet->hosts->len, ==, 5);
	hosts = &g_array_index(fleet->hosts, struct allocation_host, 0);
	g_assert_cmpuint(hosts[1].rack, ==, 1);
	g_assert_cmpuint(hosts[2].rack, ==, 2);
	g_assert_cmpuint(hosts[4].node_capacity[0][ALLOCATION_MEMORY], ==, 512);
}

static struct fleet *read_text(const char *text, GError **error)
{
	g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_data(text, (gssize)strlen(text), NULL);

	return fleet_read(stream, "H", 40, error);
}

static void test_file(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(fleet_auto) fleet = read_text("name,nodes,cpus,memory_mib,rack,zone,labels\n"
						"h1,2,7,1001,r1,z1,ssd;fast\nh2,1,8,1024,r2,z1,fast\nh3,1,8,1024,,,\n",
						&error);
	const struct allocation_host *hosts;

	g_assert_no_error(error);
	hosts = &g_array_index(fleet->hosts, struct allocation_host, 0);
	g_assert_cmpuint(hosts[0].node_capacity[0][ALLOCATION_CPU], ==, 4000); /* remainders to the first node */
	g_assert_cmpuint(hosts[0].node_capacity[1][ALLOCATION_MEMORY], ==, 500);
	g_assert_cmpuint(hosts[0].labels, ==, 3);
	g_assert_cmpuint(hosts[1].labels, ==, 2);
	g_assert_cmpuint(hosts[1].rack, ==, 2);
	g_assert_cmpuint(hosts[1].zone, ==, 1);
	g_assert_cmpuint(hosts[2].rack, ==, 0); /* a domain of its own */
	g_assert_true(fleet->names_racks);
}

static const char *const specs[][2] = {
	{ "", "no hosts: write NODESxCPUScMEMORY" },
	{ "2x40", "2x40 is neither a shape of hosts nor a file" },
	{ "0x40c90G", "neither" },
	{ "9x40c90G", "neither" },
	{ "2x0c90G", "neither" },
	{ "2x40c90", "neither" },
	{ "2x40c90GB", "neither" },
	{ "2x99999999999999999999c90G", "neither" },
	{ "0*2x40c90G", "an empty fleet can run nothing" },
	{ "-5*2x40c90G", "neither" },
	{ "2000000*2x40c90G", "neither" },
	{ "900000*2x40c90G,900000*2x40c90G", "more than 1000000 hosts" },
	{ "2x40c90G,5*1x1c1G", "says not how many" },
	{ "/nonexistent/hosts.csv", "there is no file" },
};

static const char *const files[][2] = {
	{ "", "H is empty" },
	{ "name,cpus,memory_mib\n", "no hosts: an empty fleet" },
	{ "name,cpus\n", "needs at least the columns" },
	{ "name,cpus,memory_mib,colour\n", "line 1, column 4 (colour): unknown" },
	{ "name,cpus,memory_mib\nh1,8,1024\nh1,8,1024\n", "line 3, column 1 (name): the host h1 is there twice" },
	{ "name,cpus,memory_mib\nh1,-8,1024\n", "line 2, column 2 (cpus): -8 is negative" },
	{ "name,cpus,memory_mib\nh1,8\n",
	  "line 2, column 3 (memory_mib): is missing: 2 fields where the header names 3" },
	{ "name,cpus,memory_mib\n,8,1024\n", "column 1 (name): a host needs a name" },
	{ "name,nodes,cpus,memory_mib\nh1,4,2,1024\n", "line 2: not a host" },
};

static void test_faults(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(specs); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(fleet_parse(specs[i][0], 40, &error));
		g_assert_true(error->domain == LAB_ERROR);
		if (!strstr(error->message, specs[i][1]))
			g_error("%s: expected “%s” in “%s”", specs[i][0], specs[i][1], error->message);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(read_text(files[i][0], &error));
		g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
		if (!strstr(error->message, files[i][1]))
			g_error("%zu: expected “%s” in “%s”", i, files[i][1], error->message);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/fleet/elastic", test_elastic);
	g_test_add_func("/fleet/fixed", test_fixed);
	g_test_add_func("/fleet/file", test_file);
	g_test_add_func("/fleet/faults", test_faults);
	return g_test_run();
}
