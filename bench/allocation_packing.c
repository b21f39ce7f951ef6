/* allocation_packing DIRECTORY SET EVERY SEED STRATEGY=BUDGET…: sums of bins over every EVERY-th instance of a published
 * set (DIRECTORY/SET.csv and DIRECTORY/SET/NAME.vbp), each strategy with its budget ("1s", "2ms", a count of steps); one
 * JSON object on stdout. Items are shuffled, packings checked from scratch. Times are of the wall clock, one thread. */
#include <stdio.h>
#include <string.h>

#include "core/allocation/family.h"
#include "lab/packing.h"

#define ENTRIES_MAX 8

struct entry {
	const char *text;
	const struct allocation_strategy *strategy;
	struct strategy_values values;
	struct lab_packing_limit limit;
	guint64 bins;
	gint64 elapsed_us, longest_us;
};

struct sums {
	guint64 instances, items, bound, published_bound, published_best;
};

static void die(const char *what, GError *error)
{
	fprintf(stderr, "allocation_packing: %s%s%s\n", what, error ? ": " : "", error ? error->message : "");
	exit(1);
}

static void entry_init(struct entry *entry, const char *text)
{
	const char *equals = strchr(text, '=');
	g_autofree char *name = equals ? g_strndup(text, (gsize)(equals - text)) : NULL;
	g_autoptr(GError) error = NULL;

	*entry = (struct entry) { .text = text, .strategy = name ? allocation_strategy_find(name) : NULL };
	if (!entry->strategy || !entry->strategy->pack)
		die("each strategy is NAME=BUDGET, and packs", NULL);
	if (!lab_packing_limit_parse(equals + 1, &entry->limit, &error))
		die("budget", error);
	strategy_values_init(&entry->strategy->info, &entry->values);
}

static void run_instance(const char *path, guint64 seed, struct entry *entries, int n_entries, struct sums *sums)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_vbp_auto) vbp = lab_vbp_load(path, &error);
	struct pack_problem problem;
	guint64 bound;

	if (!vbp)
		die("load", error);
	problem = (struct pack_problem) {
		.dimensions = vbp->dimensions, .n_items = vbp->n_items, .size = vbp->size, .capacity = vbp->capacity
	};
	if (!pack_bound_dual_feasible(&problem, &bound))
		die("out of memory", NULL);
	sums->instances++;
	sums->items += vbp->n_items;
	sums->bound += bound;
	for (int i = 0; i < n_entries; i++) {
		struct lab_packing_job job = { vbp, entries[i].strategy, &entries[i].values, seed, entries[i].limit };
		struct lab_packing_run run;

		if (!lab_packing_pack(&job, &run, &error))
			die(path, error);
		if (run.unplaced)
			die("items left out", NULL);
		entries[i].bins += run.bins;
		entries[i].elapsed_us += run.elapsed_us;
		entries[i].longest_us = MAX(entries[i].longest_us, run.elapsed_us);
	}
}

int main(int argc, char **argv)
{
	struct entry entries[ENTRIES_MAX];
	struct sums sums = { 0 };
	g_autofree char *file = NULL, *text = NULL;
	g_auto(GStrv) lines = NULL;
	g_autoptr(GError) error = NULL;
	guint64 every, seed;
	int n_entries = argc - 5;

	if (n_entries < 1 || n_entries > ENTRIES_MAX)
		die("DIRECTORY SET EVERY SEED STRATEGY=BUDGET…, at most 8 of these", NULL);
	every = g_ascii_strtoull(argv[3], NULL, 10);
	seed = g_ascii_strtoull(argv[4], NULL, 10);
	for (int i = 0; i < n_entries; i++)
		entry_init(&entries[i], argv[5 + i]);
	file = g_strdup_printf("%s/%s.csv", argv[1], argv[2]);
	if (!g_file_get_contents(file, &text, NULL, &error))
		die("read set", error);
	lines = g_strsplit(text, "\n", -1);
	/* Columns: name, lower bound, optimum or nothing, best of the published heuristics, … */
	for (guint64 i = 1; i < g_strv_length(lines); i += MAX(every, 1)) {
		g_auto(GStrv) cells = g_strsplit(g_strstrip(lines[i]), ",", -1);
		g_autofree char *path = NULL;

		if (g_strv_length(cells) < 4)
			continue;
		path = g_strdup_printf("%s/%s/%s.vbp", argv[1], argv[2], cells[0]);
		sums.published_bound += g_ascii_strtoull(cells[1], NULL, 10);
		sums.published_best += g_ascii_strtoull(cells[3], NULL, 10);
		run_instance(path, seed, entries, n_entries, &sums);
	}
	printf("{\"set\": \"%s\", \"instances\": %" G_GUINT64_FORMAT ", \"items\": %" G_GUINT64_FORMAT
	       ", \"bound\": %" G_GUINT64_FORMAT ", \"published_bound\": %" G_GUINT64_FORMAT
	       ", \"published_best\": %" G_GUINT64_FORMAT ", \"runs\": [",
	       argv[2], sums.instances, sums.items, sums.bound, sums.published_bound, sums.published_best);
	for (int i = 0; i < n_entries; i++)
		printf("%s{\"strategy\": \"%s\", \"budget\": \"%s\", \"bins\": %" G_GUINT64_FORMAT
		       ", \"mean_ms\": %.3f, \"longest_ms\": %.3f}",
		       i ? ", " : "", entries[i].strategy->info.name, strchr(entries[i].text, '=') + 1, entries[i].bins,
		       (double)entries[i].elapsed_us / 1000 / (double)MAX(sums.instances, 1),
		       (double)entries[i].longest_us / 1000);
	printf("]}\n");
	return 0;
}
