/* Names as small numbers, for as long as somebody uses them: what core/allocation knows of labels, groups, tenants, racks. */
#pragma once

#include <glib.h>

struct numbers {
	GHashTable *by_name; /* name → number */
	GPtrArray *names;    /* number − 1 → name, NULL when free */
	GArray *refs;        /* guint */
	guint first_free;    /* no free number lies before it */
	guint max;           /* how many names at a time; 0: no bound */
};

void numbers_init(struct numbers *numbers, guint max);
void numbers_clear(struct numbers *numbers);

/* numbers_ref(numbers, name, is_new): its number, from 1, the lowest free one when it is new (`is_new` may be NULL); 0: there
 * are too many already. */
guint32 numbers_ref(struct numbers *numbers, const char *name, gboolean *is_new);
/* numbers_find(numbers, name): its number, or 0. Not counted. */
guint32 numbers_find(const struct numbers *numbers, const char *name);
void numbers_unref(struct numbers *numbers, guint32 number);
