/* What the lab works on, from a command's options: a family, a trace, a fleet. */
#pragma once

#include "cli/command.h"
#include "lab/select.h"

/* Options of every command that evaluates; without a comma at the end, for an option table. */
#define WORKLOAD_OPTIONS                                                                                             \
	{ "trace", 't', "FILE", VALUE_FILE, .doc = "What to decide on: a trace; live: what this daemon recorded." }, \
		{ "hosts", 0, "HOSTS", VALUE_FILE,                                                                   \
		  .doc = "The hosts: a shape like 2x40c90G for as many as it takes, 100*2x40c90G, or a CSV file." }, \
		{ "option", 'o', "NAME=VALUE", .repeat = TRUE,                                                       \
		  .doc = "A setting of the replay, like racks=40 or tune-until=1.5d. May be repeated." },            \
		{ "seed", 0, "N", .doc = "The first seed (default 1): the same seed gives the same bytes." },        \
		{ "seeds", 0, "N", .doc = "How many seeds to evaluate with, up to 1000." },                          \
		{ "threads", 0, "N", .doc = "Worker threads (default 2); the outcome does not depend on them." },    \
	{                                                                                                            \
		"timing", 0, NULL, .doc = "Show figures measured with a clock, too."                                 \
	}

struct workload_loaded {
	const struct lab_family *family;
	gpointer data;    /* what the family loaded; NULL: nothing */
	GPtrArray *notes; /* char * */
	char *source;     /* what it is called in reports */
	char *fetched;    /* a temporary file, removed by clear; or NULL */
};

/* workload_load(workload, invocation, family, error): by the options above. Always to be cleared. */
gboolean workload_load(struct workload_loaded *workload, struct invocation *invocation, const struct lab_family *family,
		       GError **error);
void workload_clear(struct workload_loaded *workload);

/* workload_ranking(workload, part): a ranking with its source and notes set. It borrows the workload. */
struct lab_ranking *workload_ranking(const struct workload_loaded *workload, enum lab_part part);

/* workload_run(invocation, seeds, run, error): seeds and threads by the options; `seeds` when not given. Ended by
 * workload_run_end(), which takes the progress bar off. */
gboolean workload_run(struct invocation *invocation, guint seeds, struct lab_run *run, GError **error);
void workload_run_end(struct lab_run *run);

/* workload_fetch(invocation, family, fetched, error): what the daemon recorded, into a temporary file. *fetched is its name,
 * the caller's to remove and free; set also when it failed half-way. */
gboolean workload_fetch(struct invocation *invocation, const struct lab_family *family, char **fetched, GError **error);

/* workload_rank(invocation, ranking, doing, error): the ranking's candidates run and ranked by --seed, --seeds, --weights and
 * --require, as `polder lab` does. `doing`: title of the progress bar. */
gboolean workload_rank(struct invocation *invocation, struct lab_ranking *ranking, const char *doing, GError **error);

/* Drawings, of the option that names their file: whether it can be written, asked before long work; and writing it. */
gboolean workload_drawing_check(struct invocation *invocation, const char *option, GError **error);
gboolean workload_drawing_write(struct invocation *invocation, const char *option, const char *svg, GError **error);
/* --plot: the scores, when it is given. */
gboolean workload_plot(struct invocation *invocation, const struct lab_ranking *ranking, GError **error);

/* The families there are, ended by NULL; their names, for option tables. */
extern const struct lab_family *const families[];
extern const char *const family_names[];
const struct lab_family *family_find(const char *name, GError **error);
