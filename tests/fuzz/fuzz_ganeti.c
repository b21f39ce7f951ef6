/* Ganeti clusters: what is accepted can be balanced, and its score falls with every move. */
#include <assert.h>
#include <stdint.h>

#include "lab/ganeti.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_text file = { "cluster", (const char *)data, size };
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_ganeti_auto) cluster = lab_ganeti_parse(&file, &error);
	struct rebalance_even_move moves[8];
	double score;
	size_t n;

	assert(!cluster == !!error);
	if (!cluster || cluster->even.n_items > 200 || cluster->even.n_nodes > 50)
		return 0;
	score = rebalance_even_score(&cluster->even, cluster->node);
	if (!rebalance_even_descend(&cluster->even, cluster->node, 8, 1e-9, moves, &n))
		return 0;
	for (size_t i = 0; i < n; i++) {
		assert(moves[i].score < score);
		score = moves[i].score;
	}
	return 0;
}
