/* Vector bin packing instances (.vbp): whole numbers separated by white space:
 *
 *   dimensions
 *   capacity …                 one a dimension
 *   n
 *   size … demand              n lines: one size a dimension, and how many such items there are
 *
 * Lines are for people: any white space separates. Sizes may be below 0, as a few published instances have them (Brandão
 * and Pedroso, VPSolver; Nagel, Popov, Süß and Wang, Analysis of heuristics for vector scheduling and vector bin packing,
 * 2023). */
#pragma once

#include <glib.h>

#include "core/allocation/pack.h"

#define LAB_VBP_BYTES_MAX ((gsize)256 << 20)

struct lab_vbp {
	guint32 dimensions, n_items; /* n_items: each demand counted */
	gint32 capacity[PACK_DIMENSIONS_MAX];
	gint32 *size;       /* [n_items][dimensions], in the order of the file */
	guint32 n_negative; /* items with a size below 0 */
	guint32 n_oversize; /* items that fit no bin */
};

/* lab_vbp_parse(text, bytes, name, error): NULL with LAB_ERROR_INVALID, which names line and column. `name` is what the
 * error calls it. */
struct lab_vbp *lab_vbp_parse(const char *text, gsize bytes, const char *name, GError **error);
/* lab_vbp_load(path, error): plain or gzip. LAB_ERROR_NOT_FOUND when there is no such file. */
struct lab_vbp *lab_vbp_load(const char *path, GError **error);
void lab_vbp_free(struct lab_vbp *vbp); /* NULL is fine */

typedef struct lab_vbp lab_vbp_auto; /* for g_autoptr() */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lab_vbp_auto, lab_vbp_free)

/* lab_vbp_shuffled(vbp, seed): the sizes with items in random order (published triplets list them in the order of an
 * optimal packing). Caller frees with g_free(). */
gint32 *lab_vbp_shuffled(const struct lab_vbp *vbp, guint64 seed);
