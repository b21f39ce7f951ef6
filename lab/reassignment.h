/* Instances of the machine reassignment problem as the ROADEF/EURO challenge 2012 gives them: a model file and an assignment
 * file, both whole numbers separated by white space. What is read is hostile: counts are limited by what the file can hold,
 * and every complaint names file, line and column. */
#pragma once

#include <gio/gio.h>

#include "core/allocation/rebalance.h"

#define REASSIGNMENT_BYTES_MAX     (256u << 20)
#define REASSIGNMENT_MACHINES_MAX  5000u
#define REASSIGNMENT_PROCESSES_MAX 100000u
#define REASSIGNMENT_CELLS_MAX     (1u << 28) /* services × machines: kept a byte each by who improves it */

struct lab_reassignment {
	struct rebalance_problem problem; /* borrows what is in `parts` */
	GPtrArray *parts;                 /* owned arrays */
};

/* lab_reassignment_load(model_path, assignment_path, error): NULL with LAB_ERROR_NOT_FOUND, INVALID or FAILED. The
 * assignment is checked for validity, too: it is where every plan starts from. */
struct lab_reassignment *lab_reassignment_load(const char *model_path, const char *assignment_path, GError **error);

/* One file's text and what complaints call it. */
struct lab_text {
	const char *name;
	const char *text;
	gsize length;
};
struct lab_reassignment *lab_reassignment_parse(const struct lab_text *model, const struct lab_text *assignment,
						GError **error);
void lab_reassignment_free(struct lab_reassignment *instance);
typedef struct lab_reassignment lab_reassignment_auto; /* for g_autoptr */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lab_reassignment_auto, lab_reassignment_free)

/* lab_text_load(path, bytes_max, length, error): a whole file; caller frees. */
char *lab_text_load(const char *path, gsize bytes_max, gsize *length, GError **error);
