/* What the noun tables share: private to this folder. */
#pragma once

#include <stddef.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"
#include "daemon/model/placement.h"
#include "daemon/model/units.h"

/* A `struct noun` initializer for struct `type` whose rows are the array `rows`. */
#define NOUN(noun_name, type, rows, text)                                                                           \
	{                                                                                                           \
		.name = (noun_name), .size = sizeof(struct type), .fields = (rows), .n_fields = G_N_ELEMENTS(rows), \
		.doc = (text)                                                                                       \
	}

/* Shared between a VM and the plan made from it. */
extern const char *const vm_desired_names[];
extern const char *const vm_restart_names[];
extern const char *const vm_network_names[];
extern const char *const vm_exclusive_names[];
extern const char *const vm_numa_names[];
extern const char *const vm_hugepages_names[];

/* An engine this version knows. */
gboolean engine_check(const char *text, GError **error);

/* An absolute path without "..". */
gboolean path_check(const char *text, GError **error);
