/* A Ganeti cluster's plan, made and told. */
#include <string.h>

#include "lab/error.h"
#include "lab/json.h"
#include "lab/rebalance.h"

/* As hbal's --min-gain-limit and --min-gain. */
#define GAIN_LIMIT 0.1
#define GAIN_LEAST 0.01
#define MOVES_MAX  100000u

struct told {
	const struct lab_ganeti *cluster;
	const struct lab_rebalance_options *options;
	struct rebalance_even_move *moves;
	size_t n_moves;
	double before, after, milliseconds;
	guint64 memory_mib;
};

/* Down to where a move is still worth it: the descent goes on to where none gains, the rest is cut off. */
static void cut(struct told *told)
{
	double score = told->before;

	for (size_t i = 0; i < told->n_moves; i++) {
		if (score < GAIN_LIMIT && score - told->moves[i].score < GAIN_LEAST) {
			told->n_moves = i;
			break;
		}
		score = told->moves[i].score;
	}
	told->after = score;
	for (size_t i = 0; i < told->n_moves; i++)
		told->memory_mib += told->cluster->memory_mib[told->moves[i].item];
}

static const char *name(const GPtrArray *names, guint32 n)
{
	return names->pdata[n];
}

static char *told_as_json(const struct told *told)
{
	struct lab_json json;

	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	lab_json_string(&json, "problem", "ganeti");
	lab_json_string(&json, "strategy", "greedy-descent");
	lab_json_number(&json, "score_before", told->before);
	lab_json_number(&json, "score_after", told->after);
	lab_json_integer(&json, "memory_mib", told->memory_mib);
	if (told->options->timing)
		lab_json_number(&json, "milliseconds", told->milliseconds);
	lab_json_open(&json, "moves", '[');
	for (size_t i = 0; i < told->n_moves; i++) {
		lab_json_open(&json, NULL, '{');
		lab_json_string(&json, "instance", name(told->cluster->instances, told->moves[i].item));
		lab_json_string(&json, "from", name(told->cluster->nodes, told->moves[i].from));
		lab_json_string(&json, "to", name(told->cluster->nodes, told->moves[i].to));
		lab_json_number(&json, "score", told->moves[i].score);
		lab_json_close(&json, '}');
	}
	lab_json_close(&json, ']');
	lab_json_close(&json, '}');
	return lab_json_steal(&json);
}

static char *told_as_text(const struct told *told)
{
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < told->n_moves; i++)
		g_string_append_printf(text, "%5" G_GSIZE_FORMAT ". %s: %s -> %s  %.8f\n", i + 1,
				       name(told->cluster->instances, told->moves[i].item),
				       name(told->cluster->nodes, told->moves[i].from),
				       name(told->cluster->nodes, told->moves[i].to), told->moves[i].score);
	g_string_append_printf(text, "score  %.8f -> %.8f\n", told->before, told->after);
	g_string_append_printf(text,
			       "moves  %" G_GSIZE_FORMAT ", each with room when its turn comes, %" G_GUINT64_FORMAT
			       " MiB of memory in all\n",
			       told->n_moves, told->memory_mib);
	if (told->options->timing)
		g_string_append_printf(text, "took   %.2f ms\n", told->milliseconds);
	return g_string_free(text, FALSE);
}

static gboolean plan(struct told *told, GError **error)
{
	const struct rebalance_even *even = &told->cluster->even;
	size_t most = told->options->max_moves ? told->options->max_moves : 10 * (size_t)even->n_items + 1;
	g_autofree guint32 *node = g_memdup2(told->cluster->node, ((gsize)even->n_items + 1) * sizeof *node);
	gint64 begin = g_get_monotonic_time();

	most = MIN(most, MOVES_MAX);
	told->moves = g_new0(struct rebalance_even_move, most);
	told->before = rebalance_even_score(even, node);
	if (!rebalance_even_descend(even, node, most, 1e-9, told->moves, &told->n_moves)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "balance the cluster: out of memory");
		return FALSE;
	}
	cut(told);
	told->milliseconds = (double)(g_get_monotonic_time() - begin) / 1000;
	memcpy(node, told->cluster->node, even->n_items * sizeof *node);
	for (size_t i = 0; i < told->n_moves; i++)
		node[told->moves[i].item] = told->moves[i].to;
	told->after = rebalance_even_score(even, node);
	return TRUE;
}

char *lab_rebalance_ganeti(const char *path, const struct lab_rebalance_options *options, GError **error)
{
	g_autoptr(lab_ganeti_auto) cluster = NULL;
	struct told told = { .options = options };
	char *text = NULL;

	if (options->strategy && !g_str_equal(options->strategy, "greedy-descent")) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "a Ganeti cluster is balanced by greedy-descent, not by '%s'", options->strategy);
		return NULL;
	}
	cluster = lab_ganeti_load(path, error);
	told.cluster = cluster;
	if (cluster && plan(&told, error))
		text = options->json ? told_as_json(&told) : told_as_text(&told);
	g_free(told.moves);
	return text;
}
