#include "lab/scheduling/reader.h"

#include <string.h>

#define LOOPED_MAX 100000 /* steps of a phase, all rounds */

/* ---- Locks and barriers ---- */

static guint object_index(struct reader *reader, gboolean barrier, const char *text)
{
	GHashTable *names = reader->objects[barrier];
	g_autofree char *name =
		reader->own_objects ? g_strdup_printf("%u %s", reader->workload->vms->len, text) : g_strdup(text);
	guint index = GPOINTER_TO_UINT(g_hash_table_lookup(names, name));
	guint32 none = 0;

	if (index)
		return index - 1;
	if (barrier) {
		g_array_append_val(reader->workload->barriers, none);
		index = reader->workload->barriers->len;
	} else {
		index = ++reader->workload->n_locks;
	}
	g_hash_table_insert(names, g_strdup(name), GUINT_TO_POINTER(index));
	return index - 1;
}

/* A task that comes to a barrier in several places is still one of those who meet there. */
static gboolean meets_there(struct reader *reader, guint barrier)
{
	const struct task *task = workload_task(reader->workload, reader->workload->tasks->len - 1);

	for (guint i = 0; i < task->n_steps; i++) {
		const struct step *step = &g_array_index(reader->workload->steps, struct step, task->first_step + i);

		if (step->kind == STEP_BARRIER && step->object == barrier)
			return TRUE;
	}
	return FALSE;
}

/* ---- Steps ---- */

static gboolean timer_get(struct reader *reader, JsonNode *node, const char *where, gint64 *ns)
{
	JsonObject *timer = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;

	if (!timer || !json_object_has_member(timer, "period"))
		return reader_fail(reader, where, "a timer is {\"ref\": \"name\", \"period\": µs}");
	if (!reader_time(reader, json_object_get_member(timer, "period"), where, US, ns))
		return FALSE;
	return *ns > 0 || reader_fail(reader, where, "its period has to be above 0");
}

gboolean reader_key_is(const char *key, const char *name)
{
	gsize length = strlen(name);

	return strncmp(key, name, length) == 0 && strspn(key + length, "0123456789") == strlen(key + length);
}

/* *is_step says whether the key was one. */
static gboolean step_read(struct reader *reader, const char *where, const char *key, JsonNode *node, gboolean *is_step)
{
	static const struct {
		const char *key;
		enum step_kind kind;
	} kinds[] = { { "run", STEP_RUN },         { "runtime", STEP_RUN }, { "sleep", STEP_SLEEP },
		      { "timer", STEP_TIMER },     { "lock", STEP_LOCK },   { "unlock", STEP_UNLOCK },
		      { "barrier", STEP_BARRIER }, { "dodge", STEP_DODGE } };
	g_autofree char *here = g_strdup_printf("%s: %.60s", where, key);
	gint64 ns = 0;
	guint object = 0;
	gsize i;

	for (i = 0; i < G_N_ELEMENTS(kinds) && !reader_key_is(key, kinds[i].key); i++)
		;
	*is_step = i < G_N_ELEMENTS(kinds);
	if (!*is_step)
		return TRUE;
	if (reader->workload->steps->len >= WORKLOAD_STEPS_MAX)
		return reader_fail(reader, here, "too many steps in all");
	if (kinds[i].kind == STEP_TIMER) {
		if (!timer_get(reader, node, here, &ns))
			return FALSE;
	} else if (kinds[i].kind >= STEP_LOCK && kinds[i].kind <= STEP_BARRIER) {
		if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
			return reader_fail(reader, here, "it takes the name of a lock or barrier");
		object = object_index(reader, kinds[i].kind == STEP_BARRIER, json_node_get_string(node));
		if (kinds[i].kind == STEP_BARRIER && !meets_there(reader, object))
			g_array_index(reader->workload->barriers, guint32, object)++;
	} else if (!reader_time(reader, node, here, US, &ns)) {
		return FALSE;
	}
	workload_add_step(reader->workload, kinds[i].kind, ns, object);
	return TRUE;
}

static gboolean phase_read(struct reader *reader, const char *where, JsonObject *phase)
{
	g_autoptr(GList) keys = json_object_get_members(phase);
	guint first = workload_task(reader->workload, reader->workload->tasks->len - 1)->n_steps, loops = 1, once, end;
	struct task *task;
	double value;

	for (GList *key = keys; key; key = key->next) {
		JsonNode *node = json_object_get_member(phase, key->data);
		gboolean is_step;

		if (strcmp(key->data, "loop") == 0) {
			if (!reader_number(reader, node, where, (double[]) { -1, LOOPED_MAX }, &value))
				return FALSE;
			loops = value < 1 ? 1 : (guint)value;
			continue;
		}
		if (!step_read(reader, where, key->data, node, &is_step))
			return FALSE;
		if (!is_step)
			return reader_fail_key(reader, where, key->data,
					       "loop, run, runtime, sleep, timer, lock, unlock, barrier, dodge");
	}
	task = workload_task(reader->workload, reader->workload->tasks->len - 1);
	once = task->n_steps - first;
	end = task->n_steps;
	if ((guint64)once * loops > LOOPED_MAX)
		return reader_fail(reader, where, "it loops over more than 100000 steps in all");
	for (guint round = 1; round < loops; round++)
		for (guint i = first; i < end; i++) {
			struct step step = g_array_index(reader->workload->steps, struct step, task->first_step + i);

			workload_add_step(reader->workload, step.kind, step.ns, step.object);
		}
	return TRUE;
}

gboolean reader_program(struct reader *reader, const char *where, JsonObject *object)
{
	JsonNode *node = json_object_get_member(object, "phases");
	g_autoptr(GList) keys = json_object_get_members(object);
	gint64 loop = json_object_has_member(object, "loop")
			      ? json_object_get_int_member_with_default(object, "loop", -1)
			      : -1;
	struct task *task;

	if (node && !JSON_NODE_HOLDS_OBJECT(node))
		return reader_fail(reader, where, "phases is an object of phases");
	if (node) {
		g_autoptr(GList) names = json_object_get_members(json_node_get_object(node));

		for (GList *name = names; name; name = name->next) {
			JsonNode *phase = json_object_get_member(json_node_get_object(node), name->data);

			if (!JSON_NODE_HOLDS_OBJECT(phase))
				return reader_fail(reader, where, "a phase is an object");
			if (!phase_read(reader, where, json_node_get_object(phase)))
				return FALSE;
		}
	}
	for (GList *key = keys; key && !node; key = key->next) {
		gboolean is_step;

		if (!step_read(reader, where, key->data, json_object_get_member(object, key->data), &is_step))
			return FALSE;
	}
	task = workload_task(reader->workload, reader->workload->tasks->len - 1);
	if (!task->n_steps)
		return reader_fail(reader, where, "it does nothing: give it run, sleep or a timer");
	for (guint i = 0; i < task->n_steps; i++) {
		const struct step *step = &g_array_index(reader->workload->steps, struct step, task->first_step + i);

		if (step->kind == STEP_TIMER)
			task->deadline_ns = step->ns;
	}
	if (loop != 1)
		workload_add_step(reader->workload, STEP_LOOP, 0, 0);
	return TRUE;
}
