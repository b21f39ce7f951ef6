/* What the files of the field table share: private to this folder. */
#pragma once

#include "daemon/model/field.h"

/* The member of `object` that a row of its table is about. */
#define FIELD_MEMBER(type, object, field) (*(type *)G_STRUCT_MEMBER_P(object, (field)->offset))

/* field_clear(field, object): free what the member owns and zero it. */
void field_clear(const struct field *field, gpointer object);

/* field_equal(field, a, b): the member is the same in both; NULL and empty are the same. */
gboolean field_equal(const struct field *field, gconstpointer a, gconstpointer b);
