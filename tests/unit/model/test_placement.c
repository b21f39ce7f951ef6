/* Goal: placement texts mean what they say, and everything else is refused with an example. */
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/placement.h"

static void test_terms(void)
{
	static const char *const bad[] = { "",
					   "db",
					   "group=",
					   "group=DB",
					   "group=db@",
					   "group=db@planet",
					   "group=db:soft=0",
					   "group=db:soft=1001",
					   "group=db:soft=",
					   "group=db:hard",
					   "group=db@rack@zone",
					   "group=db:soft=5x",
					   "vm=-x" };
	struct term term;

	g_assert_true(term_parse("group=db", &term, NULL));
	g_assert_false(term.is_vm);
	g_assert_cmpstr(term.name, ==, "db");
	g_assert_cmpint(term.level, ==, PLACEMENT_HOST);
	g_assert_cmpuint(term.soft_weight, ==, 0);
	g_assert_true(term_parse("vm=web.1@zone:soft=50", &term, NULL));
	g_assert_true(term.is_vm);
	g_assert_cmpstr(term.name, ==, "web.1");
	g_assert_cmpint(term.level, ==, PLACEMENT_ZONE);
	g_assert_cmpuint(term.soft_weight, ==, 50);
	g_assert_true(term_parse("group=a:soft", &term, NULL));
	g_assert_cmpuint(term.soft_weight, ==, 100);
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_false(term_parse(bad[i], &term, &error));
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
	}
}

static void test_spreads(void)
{
	static const char *const bad[] = { "", "racks", "rack:0", "rack:256", "rack:", "rack:1:2", "rack:soft:2" };
	struct spread spread;

	g_assert_true(spread_parse("rack", &spread, NULL));
	g_assert_cmpuint(spread.max_skew, ==, 1);
	g_assert_true(spread_parse("zone:2:soft=7", &spread, NULL));
	g_assert_cmpint(spread.level, ==, PLACEMENT_ZONE);
	g_assert_cmpuint(spread.max_skew, ==, 2);
	g_assert_cmpuint(spread.soft_weight, ==, 7);
	g_assert_true(spread_parse("host:soft", &spread, NULL));
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(spread_parse(bad[i], &spread, NULL));
}

static void test_nodes(void)
{
	static const char *const bad[] = { "",        "40",        "c90G",         "40c",
					   "40c90G+", "40c90G+4G", "40c90G+4G/3M", "40c90G+4G/2M+4G/2M",
					   "4097c1G", "40c90G/2M" };
	struct node_text node;
	g_autofree char *text = NULL;

	g_assert_true(node_parse("40c90G+4G/2M+8G/1G", &node, NULL));
	g_assert_cmpuint(node.cpus, ==, 40);
	g_assert_cmpuint(node.memory_bytes, ==, 90ull << 30);
	g_assert_cmpuint(node.huge_2m_bytes, ==, 4ull << 30);
	g_assert_cmpuint(node.huge_1g_bytes, ==, 8ull << 30);
	text = node_format(&node);
	g_assert_cmpstr(text, ==, "40c90G+4G/2M+8G/1G");
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(node_parse(bad[i], &node, NULL));
}

static void test_amounts(void)
{
	static const struct {
		const char *text;
		enum amount_kind kind;
		guint64 value;
	} good[] = { { "cpu=8", AMOUNT_CPU, 8000 },
		     { "cpu=0.5", AMOUNT_CPU, 500 },
		     { "memory=16G", AMOUNT_MEMORY, 16ull << 30 },
		     { "disk=1T", AMOUNT_DISK, 1ull << 40 },
		     { "network=10G", AMOUNT_NETWORK, 10000000000 },
		     { "huge-1g=4G", AMOUNT_HUGE_1G, 4ull << 30 } };
	static const char *const bad[] = {
		"",          "cpu",           "cpu=",  "cpu=-1",     "cpu=x",
		"cpu=1e999", "memory=1.0001", "gpu=1", "network=1X", "cpu=99999999999999999999"
	};
	struct amount amount;

	for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
		g_assert_true(amount_parse(good[i].text, &amount, NULL));
		g_assert_cmpint(amount.kind, ==, good[i].kind);
		g_assert_cmpuint(amount.value, ==, good[i].value);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(amount_parse(bad[i], &amount, NULL));
}

static void test_words(void)
{
	struct extended extended;
	guint32 level;

	g_assert_true(label_check("disk=ssd", NULL));
	g_assert_true(label_check("example.com/Tier=a_1-b", NULL));
	g_assert_true(label_check("ssd", NULL));
	g_assert_false(label_check("=x", NULL));
	g_assert_false(label_check("a=b=c", NULL));
	g_assert_false(label_check("#cpus>=3", NULL)); /* control's own */
	g_assert_false(label_check("a b", NULL));
	g_assert_true(cpu_level_parse("x86-64-v3", &level, NULL));
	g_assert_cmpuint(level, ==, 3);
	g_assert_false(cpu_level_parse("x86-64-v5", &level, NULL));
	g_assert_false(cpu_level_parse("x86-64-v33", &level, NULL));
	g_assert_true(extended_parse("gpu=2", &extended, NULL));
	g_assert_cmpstr(extended.name, ==, "gpu");
	g_assert_cmpuint(extended.count, ==, 2);
	g_assert_false(extended_parse("gpu=0", &extended, NULL));
	g_assert_false(extended_parse("gpu", &extended, NULL));
	g_assert_true(parameter_check("weight=0.5", NULL));
	g_assert_false(parameter_check("weight", NULL));
	g_assert_false(parameter_check("a=b c", NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/placement/terms", test_terms);
	g_test_add_func("/placement/spreads", test_spreads);
	g_test_add_func("/placement/nodes", test_nodes);
	g_test_add_func("/placement/amounts", test_amounts);
	g_test_add_func("/placement/words", test_words);
	return g_test_run();
}
