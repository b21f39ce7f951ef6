/* Placement texts: whatever is accepted is in range, and nodes read back as they were written. */
#include <stdint.h>
#include <string.h>

#include "daemon/model/limits.h"
#include "daemon/model/placement.h"
#include "daemon/model/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_nodes(const char *text)
{
	struct node_text node, again;
	g_autofree char *back = NULL;

	if (!node_parse(text, &node, NULL))
		return;
	back = node_format(&node);
	g_assert_true(node_parse(back, &again, NULL));
	g_assert_true(memcmp(&node, &again, sizeof(node)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	struct extended extended;
	struct spread spread;
	struct amount amount;
	struct term term;
	guint32 level;

	if (term_parse(text, &term, NULL))
		g_assert_true(name_check(term.name, NULL) && term.soft_weight <= 1000 && term.level <= PLACEMENT_ZONE);
	if (spread_parse(text, &spread, NULL))
		g_assert_true(spread.max_skew >= 1 && spread.soft_weight <= 1000);
	if (extended_parse(text, &extended, NULL))
		g_assert_true(extended.count >= 1 && name_check(extended.name, NULL));
	if (cpu_level_parse(text, &level, NULL))
		g_assert_true(level >= 1 && level <= 4);
	if (amount_parse(text, &amount, NULL))
		g_assert_true(amount.kind <= AMOUNT_NETWORK);
	if (label_check(text, NULL))
		g_assert_true(strlen(text) <= LIMIT_LABEL_BYTES);
	parameter_check(text, NULL);
	check_nodes(text);
	return 0;
}
