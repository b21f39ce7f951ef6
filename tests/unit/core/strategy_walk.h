/* A random walk of a world: hosts come, go, change and are switched, VMs come and go; every strategy is told of every change
 * and asked at every step. */
#pragma once

#include <glib.h>

#include "core/allocation/family.h"
#include "core/strategy/random.h"

#define WALK_STRATEGIES_MAX 32
#define WALK_CLASSES        48

struct walk_options {
	guint64 seed;
	guint hosts; /* at the start */
	guint steps;
	guint zones;         /* 0: as the hosts are drawn; else all hosts lie in that many */
	guint rebuild;       /* every so many steps state is made anew and must decide the same; 0: never */
	gboolean exact_only; /* leave out strategies without an exact index */
};

struct walk_result {
	guint64 compared;  /* decisions held against the scan */
	guint64 placed;    /* how many of them placed something */
	guint64 penalized; /* and broke a soft constraint */
	guint64 rebuilt;   /* decisions held against those of state made anew */
	guint64 digest;    /* of all decisions */
};

/* Asserts all the way. */
void walk_run(const struct walk_options *options, struct walk_result *result);

/* The seed: POLDER_TEST_SEED, or this default. Printed. */
guint64 walk_seed(guint64 initial);
gboolean walk_is_long(void); /* POLDER_TEST_LONG is set */
