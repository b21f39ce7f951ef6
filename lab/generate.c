#include "lab/generate.h"

#include <math.h>
#include <string.h>

#include "core/strategy/random.h"
#include "lab/error.h"

#define HOUR_US 3600000000.0

enum { VMS, SEED, HOURS, CLASSES, TENANTS, GROUP, LIFE, SIGMA, PARAMETERS };
static const struct parameter {
	const char *name;
	double initial, min, max;
	gboolean whole;
} parameters[PARAMETERS] = {
	[VMS] = { "vms", 10000, 1, 1e9, TRUE },       [SEED] = { "seed", 1, 0, 1e15, TRUE },
	[HOURS] = { "hours", 168, 0.01, 1e6, FALSE }, [CLASSES] = { "classes", 64, 1, 10000, TRUE },
	[TENANTS] = { "tenants", 100, 1, 1e6, TRUE }, [GROUP] = { "group", 4, 1, 1000, TRUE },
	[LIFE] = { "life", 6, 0.001, 1e5, FALSE },    [SIGMA] = { "sigma", 1.5, 0, 4, FALSE },
};

struct class
{
	guint32 cpus_milli, memory_mib;
};

struct generator {
	double value[PARAMETERS];
	struct strategy_random random;
	struct class *classes;
	double *class_sums, *tenant_sums; /* of 1/1 … 1/n */
	double time_us;
	guint64 made;
	guint32 group, left; /* of the group being asked for */
	guint32 tenant, class;
	double group_log2_life;
};

static gboolean set(struct generator *generator, const char *pair, GError **error)
{
	const char *equals = strchr(pair, '=');

	for (guint i = 0; equals && i < PARAMETERS; i++) {
		const struct parameter *p = &parameters[i];
		char *end = NULL;
		if (strlen(p->name) != (gsize)(equals - pair) || strncmp(p->name, pair, (gsize)(equals - pair)))
			continue;
		double value = g_ascii_strtod(equals + 1, &end);
		if (end == equals + 1 || *end || !(value >= p->min && value <= p->max) ||
		    (p->whole && value != floor(value))) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "synthetic trace: %s must be %s from %g to %g",
				    pair, p->whole ? "a whole number" : "a number", p->min, p->max);
			return FALSE;
		}
		generator->value[i] = value;
		return TRUE;
	}
	g_autoptr(GString) names = g_string_new(NULL);
	for (guint i = 0; i < PARAMETERS; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", parameters[i].name);
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
		    "synthetic trace: '%.60s' is none of its parameters: %s; write synthetic:vms=10000,seed=1", pair,
		    names->str);
	return FALSE;
}

static double *zipf_sums(guint n)
{
	double *sums = g_new(double, n);
	double sum = 0;

	for (guint i = 0; i < n; i++)
		sums[i] = sum += 1.0 / (i + 1);
	return sums;
}

static guint zipf_draw(struct strategy_random *random, const double *sums, guint n)
{
	double at = strategy_random_unit(random) * sums[n - 1];
	guint low = 0, high = n - 1;

	while (low < high) {
		guint middle = (low + high) / 2;
		if (sums[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct generator *generator_new(const char *text, GError **error)
{
	struct generator *generator = g_new0(struct generator, 1);
	g_auto(GStrv) pairs = g_strsplit(text, ",", 0);
	static const guint8 cpus[] = { 1, 2, 2, 4, 4, 8, 8, 16 };

	for (guint i = 0; i < PARAMETERS; i++)
		generator->value[i] = parameters[i].initial;
	for (char **pair = pairs; *pair; pair++)
		if (*g_strstrip(*pair) && !set(generator, *pair, error)) {
			generator_free(generator);
			return NULL;
		}
	strategy_random_init(&generator->random, (guint64)generator->value[SEED]);
	guint n_classes = (guint)generator->value[CLASSES];
	generator->class_sums = zipf_sums(n_classes);
	generator->tenant_sums = zipf_sums((guint)generator->value[TENANTS]);
	generator->classes = g_new(struct class, n_classes);
	for (guint i = 0; i < n_classes; i++) {
		guint n = cpus[strategy_random_below(&generator->random, G_N_ELEMENTS(cpus))];
		guint quarters = 4 + (guint)strategy_random_below(&generator->random, 29); /* GiB ÷ 4 a vCPU */
		generator->classes[i] = (struct class) { n * 1000, n * quarters * 256 };
	}
	return generator;
}

void generator_free(struct generator *generator)
{
	if (!generator)
		return;
	g_free(generator->classes);
	g_free(generator->class_sums);
	g_free(generator->tenant_sums);
	g_free(generator);
}

/* Exponential with mean 1, by comparisons alone (von Neumann 1951). */
static double exponential(struct strategy_random *random)
{
	for (guint whole = 0;; whole++) {
		double first = strategy_random_unit(random), last = first;
		guint run = 1;
		for (;; run++) {
			double next = strategy_random_unit(random);
			if (next >= last)
				break;
			last = next;
		}
		if (run % 2 == 1)
			return whole + first;
	}
}

/* Nearly normal: twelve uniforms (Irwin 1927, Hall 1927). */
static double normal(struct strategy_random *random)
{
	double sum = -6;

	for (guint i = 0; i < 12; i++)
		sum += strategy_random_unit(random);
	return sum;
}

/* 2^x: Taylor's series of the fraction, within 1e-7; ldexp is exact. */
static double power_of_2(double x)
{
	double whole = floor(x), t = (x - whole) * 0.6931471805599453, term = 1, sum = 1;

	for (int i = 1; i <= 12; i++) {
		term = term * t / i;
		sum += term;
	}
	return ldexp(sum, (int)whole);
}

static void group_begin(struct generator *generator)
{
	struct strategy_random *random = &generator->random;
	double group = generator->value[GROUP];

	/* The gaps are between groups, so that VMs come at the rate asked for. */
	generator->time_us += exponential(random) * group * generator->value[HOURS] * HOUR_US / generator->value[VMS];
	generator->group++;
	generator->left = 1 + (guint32)strategy_random_below(random, (guint64)(2 * group - 1));
	generator->tenant = zipf_draw(random, generator->tenant_sums, (guint)generator->value[TENANTS]) + 1;
	generator->class = zipf_draw(random, generator->class_sums, (guint)generator->value[CLASSES]);
	generator->group_log2_life = generator->value[SIGMA] * 1.4426950408889634 * normal(random);
}

int generator_next(struct generator *generator, struct trace_row *row)
{
	if (generator->made == (guint64)generator->value[VMS])
		return 0;
	if (generator->left == 0)
		group_begin(generator);
	/* Members differ by a tenth or so. */
	double life = generator->value[LIFE] * HOUR_US *
		      power_of_2(generator->group_log2_life + 0.1 * normal(&generator->random));
	const struct class *class = &generator->classes[generator->class];
	memset(row, 0, sizeof *row);
	row->kind = TRACE_ROW_VM;
	row->id = generator->made++;
	row->event.time_us = (gint64)MIN(generator->time_us, (double)TRACE_TIME_US_MAX / 2) / 1000 * 1000;
	row->end_us = row->event.time_us + ((gint64)MIN(life, (double)TRACE_TIME_US_MAX / 2) / 1000 + 1) * 1000;
	row->seen_us = row->end_us;
	row->event.cpus_milli = class->cpus_milli;
	row->event.memory_mib = class->memory_mib;
	row->event.batch = row->event.group = generator->group;
	row->event.tenant = generator->tenant;
	generator->left--;
	return 1;
}
