/* Parts of the JSON reader. Each returns FALSE with reader->error set, which names the document, where in it, and the rule.
 * `where`: for people, like "VM web: limit". */
#pragma once

#include <json-glib/json-glib.h>

#include "lab/scheduling/workload.h"

#define US G_GINT64_CONSTANT(1000)

struct reader {
	struct workload *workload;
	const char *name;
	GHashTable *objects[2]; /* names of locks and of barriers, to 1 + their index */
	gboolean own_objects;   /* each VM has its own, whatever their names; rt-app's tasks share them */
	GError **error;
};

/* ---- read_value.c: what a value may be ---- */

gboolean reader_fail(struct reader *reader, const char *where, const char *what);
gboolean reader_fail_key(struct reader *reader, const char *where, const char *key, const char *known);

gboolean reader_number(struct reader *reader, JsonNode *node, const char *where, const double range[2], double *value);
/* A number of `unit_ns`, as nanoseconds. */
gboolean reader_time(struct reader *reader, JsonNode *node, const char *where, gint64 unit_ns, gint64 *ns);
/* "2ms", "150us", "1.5s"; a bare number is µs. */
gboolean reader_duration(struct reader *reader, JsonNode *node, const char *where, gint64 *ns);
/* "150%" or 1.5: of a CPU. */
gboolean reader_share(struct reader *reader, JsonNode *node, const char *where, double *share);

/* ---- read_program.c: what a vCPU does ---- */

/* rt-app numbers steps that occur twice: run0, run1 are both run. */
gboolean reader_key_is(const char *key, const char *name);
/* The program of the vCPU added last: phases, or steps directly. */
gboolean reader_program(struct reader *reader, const char *where, JsonObject *object);

/* ---- read_vm.c: tasks and VMs, and what they want ---- */

/* One task or VM, as many copies as it says. */
gboolean reader_vm(struct reader *reader, const char *where, const char *name, JsonObject *object);
