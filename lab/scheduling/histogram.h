/* Durations by size: 32 classes for each doubling, so that a percentile is within 3 % of the true one. */
#pragma once

#include <glib.h>

#define HISTOGRAM_BITS    5
#define HISTOGRAM_CLASSES ((64 - HISTOGRAM_BITS) << HISTOGRAM_BITS)

struct histogram {
	guint64 count[HISTOGRAM_CLASSES];
	guint64 n;
	gint64 max;
};

static inline void histogram_add(struct histogram *histogram, gint64 value)
{
	guint64 v = value > 0 ? (guint64)value : 0;
	guint shift = v >> (HISTOGRAM_BITS + 1) ? 63 - (guint)__builtin_clzll(v) - HISTOGRAM_BITS : 0;

	histogram->count[((guint64)shift << HISTOGRAM_BITS) + (v >> shift)]++;
	histogram->n++;
	if (value > histogram->max)
		histogram->max = value;
}

/* histogram_end(histogram, i): the largest that class i holds, at most the largest seen. */
static inline gint64 histogram_end(const struct histogram *histogram, guint i)
{
	guint shift = i >> HISTOGRAM_BITS ? (i >> HISTOGRAM_BITS) - 1 : 0;

	return MIN(histogram->max, (gint64)((((guint64)i - ((guint64)shift << HISTOGRAM_BITS) + 1) << shift) - 1));
}

/* histogram_percentile(histogram, per_mille): the value that so many of 1000 do not exceed: the end of its class. 0 when it
 * is empty. */
static inline gint64 histogram_percentile(const struct histogram *histogram, guint per_mille)
{
	guint64 want = (histogram->n * per_mille + 999) / 1000, seen = 0;

	for (guint i = 0; i < HISTOGRAM_CLASSES; i++) {
		seen += histogram->count[i];
		if (seen >= want && seen > 0)
			return histogram_end(histogram, i);
	}
	return 0;
}
