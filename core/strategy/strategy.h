/* What every strategy of every family has: a name, what it is, and declared parameters, so that CLI, API, console and
 * optimizer know it without knowing its family. A family (core/allocation/family.h, …) embeds `struct strategy_info` as the
 * first member of its own ops table and lists its tables in one array.
 *
 * A strategy is a deterministic state machine: init from a snapshot, update with each event, decide on a request; seeded,
 * bounded, never allocating in `decide`. Its state can always be made again from a snapshot. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRATEGY_PARAMETERS_MAX 16
#define STRATEGY_NAME_MAX       32

enum strategy_kind {
	STRATEGY_ONLINE,     /* decides each request as it comes; can run live */
	STRATEGY_BATCH,      /* decides many requests at once */
	STRATEGY_CONTINUOUS, /* improves what is there, move by move */
	STRATEGY_YARDSTICK,  /* knows what no live system can know, or takes too long: to measure others by */
	STRATEGY_KINDS,
};
enum strategy_index {
	STRATEGY_INDEX_EXACT,   /* decides without looking at every candidate, and always as a scan would */
	STRATEGY_INDEX_BOUNDED, /* looks at a bounded number of candidates by design (random, power-of-d) */
	STRATEGY_INDEX_SCAN,    /* looks at every candidate */
	STRATEGY_INDEXES,
};
enum strategy_parameter_type { STRATEGY_NUMBER, STRATEGY_INTEGER, STRATEGY_CHOICE };

struct strategy_parameter {
	const char *name; /* lower-case-with-hyphens, unit last */
	enum strategy_parameter_type type;
	double min, max, initial;   /* CHOICE: initial is the index of the default; min and max are unused */
	const char *const *choices; /* CHOICE: NULL-terminated */
	bool logarithmic;           /* NUMBER, min > 0: the optimizer searches its logarithm */
	const char *doc;            /* one sentence */
};

struct strategy_info {
	const char *name;
	const char *summary; /* one line */
	enum strategy_kind kind;
	enum strategy_index index;
	const struct strategy_parameter *parameters;
	size_t n_parameters;
};

/* One value a declared parameter, in order of declaration. INTEGER and CHOICE hold whole numbers. */
struct strategy_values {
	double value[STRATEGY_PARAMETERS_MAX];
};

/* strategy_check(info): NULL, or what is wrong with the declaration (static text): name missing or malformed, too many
 * parameters, a default out of its range, a name twice. Run on every entry when a family is registered. */
const char *strategy_check(const struct strategy_info *info);

void strategy_values_init(const struct strategy_info *info, struct strategy_values *values); /* the defaults */

enum strategy_set_result {
	STRATEGY_SET_OK,
	STRATEGY_SET_UNKNOWN,   /* no such parameter */
	STRATEGY_SET_MALFORMED, /* not a number, not a choice */
	STRATEGY_SET_RANGE,
};
/* strategy_values_set(info, values, name, name_bytes, text): set one parameter from text; `values` changes only on OK.
 * Numbers in the C locale's syntax; nan and inf are malformed. */
enum strategy_set_result strategy_values_set(const struct strategy_info *info, struct strategy_values *values,
					     const char *name, size_t name_bytes, const char *text);

/* strategy_values_print(info, values, text, bytes): "a=1 b=best" of what differs from the defaults, parsable by
 * strategy_values_set pair by pair; numbers with the fewest digits that read back the same. Returns the length it would
 * have, as snprintf. */
size_t strategy_values_print(const struct strategy_info *info, const struct strategy_values *values, char *text,
			     size_t bytes);

extern const char *const strategy_kind_names[];  /* STRATEGY_KINDS, then NULL */
extern const char *const strategy_index_names[]; /* STRATEGY_INDEXES, then NULL */

/* One array per family. `entries` are borrowed and in the order shown to people. */
struct strategy_registry {
	const char *family; /* "allocation" */
	const struct strategy_info *const *entries;
	size_t n_entries;
};

/* strategy_registry_check(registry): NULL, or the first complaint of strategy_check, or a name given twice. `*bad` is set to
 * the entry's index. */
const char *strategy_registry_check(const struct strategy_registry *registry, size_t *bad);
const struct strategy_info *strategy_registry_find(const struct strategy_registry *registry, const char *name);
