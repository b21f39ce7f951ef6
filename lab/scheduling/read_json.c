/* rt-app's grammar, the part that README.md names, and our VMs. Every key is looked at: one that isn't known is refused, so that
 * nobody believes in something that has no effect. */
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "core/scheduling/limit.h"
#include "lab/error.h"
#include "lab/scheduling/workload.h"

#define BYTES_MAX    (64 << 20)
#define US           1000
#define SECOND       G_GINT64_CONSTANT(1000000000)
#define INSTANCE_MAX 100000
#define PERIOD_NS    100000000 /* of limits given as shares */

struct reader {
	struct workload *workload;
	const char *name;
	GHashTable *objects[2]; /* names of locks and of barriers, to 1 + their index */
	gboolean own_objects;   /* each VM has its own, whatever their names; rt-app's tasks share them */
	GError **error;
};

static gboolean fail(struct reader *reader, const char *where, const char *what)
{
	g_set_error(reader->error, LAB_ERROR, LAB_ERROR_INVALID, "%s: %s: %s", reader->name, where, what);
	return FALSE;
}

static gboolean fail_key(struct reader *reader, const char *where, const char *key, const char *known)
{
	g_set_error(reader->error, LAB_ERROR, LAB_ERROR_INVALID, "%s: %s: '%.60s' is not known here; known: %s",
		    reader->name, where, key, known);
	return FALSE;
}

static gboolean number_get(struct reader *reader, JsonNode *node, const char *where, const double range[2],
			   double *value)
{
	GType type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;
	g_autofree char *what = NULL;

	*value = type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double(node) : NAN;
	if (*value >= range[0] && *value <= range[1])
		return TRUE;
	what = g_strdup_printf("it has to be a number from %.10g to %.10g", range[0], range[1]);
	return fail(reader, where, what);
}

/* A number in `unit_ns`, as nanoseconds. */
static gboolean time_get(struct reader *reader, JsonNode *node, const char *where, gint64 unit_ns, gint64 *ns)
{
	double value;

	if (!number_get(reader, node, where, (double[]) { 0, (double)WORKLOAD_TIME_MAX / (double)unit_ns }, &value))
		return FALSE;
	*ns = (gint64)(value * (double)unit_ns + 0.5);
	return TRUE;
}

/* "2ms", "150us", "1.5s"; a bare number is µs. */
static gboolean duration_get(struct reader *reader, JsonNode *node, const char *where, gint64 *ns)
{
	const char *text = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
				   ? json_node_get_string(node)
				   : NULL;
	double value, unit;
	char *end = NULL;

	if (!text)
		return time_get(reader, node, where, US, ns);
	value = g_ascii_strtod(text, &end);
	unit = strcmp(end, "us") == 0 ? 1e3 : strcmp(end, "ms") == 0 ? 1e6 : strcmp(end, "s") == 0 ? 1e9 : 0;
	if (end == text || unit == 0 || !(value >= 0 && value * unit <= (double)WORKLOAD_TIME_MAX))
		return fail(reader, where, "it has to be a time like \"2ms\", \"150us\" or \"1.5s\"");
	*ns = (gint64)(value * unit + 0.5);
	return TRUE;
}

/* "150%" or 1.5: of a CPU. */
static gboolean share_get(struct reader *reader, JsonNode *node, const char *where, double *share)
{
	const char *text = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
				   ? json_node_get_string(node)
				   : NULL;
	char *end = NULL;

	if (!text)
		return number_get(reader, node, where, (double[]) { 0, WORKLOAD_CPUS_MAX }, share);
	*share = g_ascii_strtod(text, &end) / 100;
	if (end == text || strcmp(end, "%") != 0 || !(*share >= 0 && *share <= WORKLOAD_CPUS_MAX))
		return fail(reader, where, "it has to be a share of a CPU like \"30%\"");
	return TRUE;
}

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
		return fail(reader, where, "a timer is {\"ref\": \"name\", \"period\": µs}");
	if (!time_get(reader, json_object_get_member(timer, "period"), where, US, ns))
		return FALSE;
	return *ns > 0 || fail(reader, where, "its period has to be above 0");
}

/* rt-app numbers steps that occur twice: run0, run1. */
static gboolean key_is(const char *key, const char *name)
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

	for (i = 0; i < G_N_ELEMENTS(kinds) && !key_is(key, kinds[i].key); i++)
		;
	*is_step = i < G_N_ELEMENTS(kinds);
	if (!*is_step)
		return TRUE;
	if (reader->workload->steps->len >= WORKLOAD_STEPS_MAX)
		return fail(reader, here, "too many steps in all");
	if (kinds[i].kind == STEP_TIMER) {
		if (!timer_get(reader, node, here, &ns))
			return FALSE;
	} else if (kinds[i].kind >= STEP_LOCK && kinds[i].kind <= STEP_BARRIER) {
		if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
			return fail(reader, here, "it takes the name of a lock or barrier");
		object = object_index(reader, kinds[i].kind == STEP_BARRIER, json_node_get_string(node));
		if (kinds[i].kind == STEP_BARRIER && !meets_there(reader, object))
			g_array_index(reader->workload->barriers, guint32, object)++;
	} else if (!time_get(reader, node, here, US, &ns)) {
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
			if (!number_get(reader, node, where, (double[]) { -1, 100000 }, &value))
				return FALSE;
			loops = value < 1 ? 1 : (guint)value;
			continue;
		}
		if (!step_read(reader, where, key->data, node, &is_step))
			return FALSE;
		if (!is_step)
			return fail_key(reader, where, key->data,
					"loop, run, runtime, sleep, timer, lock, unlock, barrier, dodge");
	}
	task = workload_task(reader->workload, reader->workload->tasks->len - 1);
	once = task->n_steps - first;
	end = task->n_steps;
	if ((guint64)once * loops > 100000)
		return fail(reader, where, "it loops over more than 100000 steps in all");
	for (guint round = 1; round < loops; round++)
		for (guint i = first; i < end; i++) {
			struct step step = g_array_index(reader->workload->steps, struct step, task->first_step + i);

			workload_add_step(reader->workload, step.kind, step.ns, step.object);
		}
	return TRUE;
}

/* The program of one vCPU: phases, or steps directly. */
static gboolean program_read(struct reader *reader, const char *where, JsonObject *object)
{
	JsonNode *node = json_object_get_member(object, "phases");
	g_autoptr(GList) keys = json_object_get_members(object);
	gint64 loop = json_object_has_member(object, "loop")
			      ? json_object_get_int_member_with_default(object, "loop", -1)
			      : -1;
	struct task *task;

	if (node && !JSON_NODE_HOLDS_OBJECT(node))
		return fail(reader, where, "phases is an object of phases");
	if (node) {
		g_autoptr(GList) names = json_object_get_members(json_node_get_object(node));

		for (GList *name = names; name; name = name->next) {
			JsonNode *phase = json_object_get_member(json_node_get_object(node), name->data);

			if (!JSON_NODE_HOLDS_OBJECT(phase))
				return fail(reader, where, "a phase is an object");
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
		return fail(reader, where, "it does nothing: give it run, sleep or a timer");
	for (guint i = 0; i < task->n_steps; i++) {
		const struct step *step = &g_array_index(reader->workload->steps, struct step, task->first_step + i);

		if (step->kind == STEP_TIMER)
			task->deadline_ns = step->ns;
	}
	if (loop != 1)
		workload_add_step(reader->workload, STEP_LOOP, 0, 0);
	return TRUE;
}

/* ---- Tasks and VMs ---- */

struct wants {
	guint copies, vcpus;
	double weight, priority, limit, reserve;
	gint64 latency_ns, delay_ns, runtime_ns, period_ns, deadline_ns, request_ns;
	const char *tenant;
	JsonArray *cpus;
};

static gboolean mask_read(struct reader *reader, const char *where, JsonArray *cpus, guint32 *mask)
{
	guint64 *bits = g_new0(guint64, WORKLOAD_CPUS_MAX / 64);
	double cpu;

	g_ptr_array_add(reader->workload->masks, bits);
	*mask = reader->workload->masks->len;
	for (guint i = 0; i < json_array_get_length(cpus); i++) {
		if (!number_get(reader, json_array_get_element(cpus, i), where, (double[]) { 0, WORKLOAD_CPUS_MAX - 1 },
				&cpu))
			return FALSE;
		bits[(guint)cpu / 64] |= G_GUINT64_CONSTANT(1) << (guint)cpu % 64;
	}
	return TRUE;
}

static gboolean want_read(struct reader *reader, const char *where, const char *key, JsonNode *node,
			  struct wants *wants)
{
	g_autofree char *here = g_strdup_printf("%s: %.60s", where, key);
	double value;

	if (strcmp(key, "instance") == 0 || strcmp(key, "count") == 0) {
		if (!number_get(reader, node, here, (double[]) { 1, INSTANCE_MAX }, &value))
			return FALSE;
		wants->copies = (guint)value;
		return TRUE;
	}
	if (strcmp(key, "vcpus") == 0) {
		if (!number_get(reader, node, here, (double[]) { 1, SCHEDULING_VM_VCPUS_MAX }, &value))
			return FALSE;
		wants->vcpus = (guint)value;
		return TRUE;
	}
	if (strcmp(key, "weight") == 0)
		return number_get(reader, node, here, (double[]) { 1, SCHEDULING_WEIGHT_MAX }, &wants->weight);
	if (strcmp(key, "priority") == 0)
		return number_get(reader, node, here, (double[]) { -20, 99 }, &wants->priority);
	if (strcmp(key, "limit") == 0)
		return share_get(reader, node, here, &wants->limit);
	if (strcmp(key, "reserve") == 0)
		return share_get(reader, node, here, &wants->reserve);
	if (strcmp(key, "latency") == 0)
		return duration_get(reader, node, here, &wants->latency_ns);
	if (strcmp(key, "slice") == 0)
		return duration_get(reader, node, here, &wants->request_ns);
	if (strcmp(key, "delay") == 0)
		return time_get(reader, node, here, US, &wants->delay_ns);
	if (strcmp(key, "dl-runtime") == 0)
		return time_get(reader, node, here, US, &wants->runtime_ns);
	if (strcmp(key, "dl-period") == 0)
		return time_get(reader, node, here, US, &wants->period_ns);
	if (strcmp(key, "dl-deadline") == 0)
		return time_get(reader, node, here, US, &wants->deadline_ns);
	if (strcmp(key, "tenant") == 0 && JSON_NODE_HOLDS_VALUE(node) &&
	    json_node_get_value_type(node) == G_TYPE_STRING) {
		wants->tenant = json_node_get_string(node);
		return TRUE;
	}
	if (strcmp(key, "cpus") == 0 && JSON_NODE_HOLDS_ARRAY(node)) {
		wants->cpus = json_node_get_array(node);
		return TRUE;
	}
	return fail_key(
		reader, where, key,
		"the steps (run, runtime, sleep, timer, lock, unlock, barrier, dodge), phases, loop, instance, count, "
		"vcpus, weight, priority, limit, reserve, latency, slice, delay, dl-runtime, dl-period, dl-deadline, "
		"tenant (text), cpus (list), policy, name");
}

static gboolean wants_read(struct reader *reader, const char *where, JsonObject *object, struct wants *wants)
{
	static const char *const elsewhere[] = { "phases", "loop",  "name", "policy", "run",     "runtime",
						 "sleep",  "timer", "lock", "unlock", "barrier", "dodge" };
	g_autoptr(GList) keys = json_object_get_members(object);

	*wants = (struct wants) { .copies = 1, .vcpus = 1, .weight = SCHEDULING_WEIGHT_NORMAL };
	for (GList *key = keys; key; key = key->next) {
		gboolean known = FALSE;

		for (gsize i = 0; i < G_N_ELEMENTS(elsewhere); i++)
			known = known || key_is(key->data, elsewhere[i]);
		if (!known && !want_read(reader, where, key->data, json_object_get_member(object, key->data), wants))
			return FALSE;
	}
	if (wants->period_ns && wants->runtime_ns > wants->period_ns)
		return fail(reader, where, "dl-runtime is longer than dl-period");
	if (wants->runtime_ns && !wants->period_ns)
		wants->period_ns = wants->deadline_ns ? wants->deadline_ns : SCHEDULING_RESERVE_PERIOD_NS;
	if (wants->reserve > wants->vcpus)
		return fail(reader, where, "it reserves more CPUs than it has vCPUs");
	return TRUE;
}

static gboolean vcpu_add(struct reader *reader, const char *where, JsonObject *object, const struct wants *wants)
{
	struct task *task = workload_add_task(reader->workload);
	guint index = reader->workload->tasks->len - 1;

	task->start_ns = wants->delay_ns;
	task->request_ns = wants->request_ns;
	if (wants->period_ns) {
		task->runtime_ns = wants->runtime_ns;
		task->period_ns = wants->period_ns;
	} else if (wants->reserve > 0) {
		struct scheduling_entity entity = { .latency_ns = wants->latency_ns };

		scheduling_reserve(&entity, (guint64)(wants->reserve / wants->vcpus * SCHEDULING_UNIT + 0.5));
		task->period_ns = entity.period_ns;
		task->runtime_ns = entity.runtime_ns;
	}
	if (wants->cpus && !mask_read(reader, where, wants->cpus, &task->mask))
		return FALSE;
	if (!program_read(reader, where, object))
		return FALSE;
	if (wants->deadline_ns && workload_task(reader->workload, index)->deadline_ns)
		workload_task(reader->workload, index)->deadline_ns = wants->deadline_ns;
	return TRUE;
}

static gboolean vm_read(struct reader *reader, const char *where, const char *name, JsonObject *object)
{
	struct wants wants;

	if (!wants_read(reader, where, object, &wants))
		return FALSE;
	if (reader->workload->tasks->len + (guint64)wants.copies * wants.vcpus > WORKLOAD_TASKS_MAX)
		return fail(reader, where, "more than a million vCPUs in all");
	for (guint copy = 0; copy < wants.copies; copy++) {
		g_autofree char *own = wants.copies > 1 ? g_strdup_printf("%s-%u", name, copy) : g_strdup(name);
		struct workload_vm *vm;
		guint index = workload_add_vm(reader->workload, own,
					      workload_add_tenant(reader->workload, wants.tenant ? wants.tenant : own));

		vm = workload_vm(reader->workload, index);
		vm->weight = (guint32)wants.weight;
		vm->priority = (gint32)wants.priority;
		vm->latency_ns = wants.latency_ns;
		if (wants.limit > 0 && wants.limit < wants.vcpus) {
			vm->limit_period_ns = PERIOD_NS;
			vm->limit_ns = (gint64)(wants.limit / wants.vcpus * PERIOD_NS + 0.5);
		}
		for (guint i = 0; i < wants.vcpus; i++)
			if (!vcpu_add(reader, where, object, &wants))
				return FALSE;
		for (guint i = workload_vm(reader->workload, index)->first_task; i < reader->workload->tasks->len;
		     i++) {
			const struct task *task = workload_task(reader->workload, i);

			for (guint j = 0; j < task->n_steps; j++)
				if (g_array_index(reader->workload->steps, struct step, task->first_step + j).kind ==
				    STEP_DODGE)
					workload_vm(reader->workload, index)->attacks = TRUE;
		}
	}
	return TRUE;
}

static gboolean tasks_read(struct reader *reader, JsonNode *node)
{
	g_autoptr(GList) names = NULL;

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return fail(reader, "tasks", "it is an object of tasks by name");
	names = json_object_get_members(json_node_get_object(node));
	for (GList *name = names; name; name = name->next) {
		JsonNode *task = json_object_get_member(json_node_get_object(node), name->data);
		g_autofree char *where = g_strdup_printf("task %.60s", (char *)name->data);

		if (!JSON_NODE_HOLDS_OBJECT(task))
			return fail(reader, where, "it is an object");
		if (!vm_read(reader, where, name->data, json_node_get_object(task)))
			return FALSE;
	}
	return TRUE;
}

static gboolean vms_read(struct reader *reader, JsonNode *node)
{
	if (!JSON_NODE_HOLDS_ARRAY(node))
		return fail(reader, "vms", "it is a list of VMs");
	reader->own_objects = TRUE;
	for (guint i = 0; i < json_array_get_length(json_node_get_array(node)); i++) {
		JsonNode *vm = json_array_get_element(json_node_get_array(node), i);
		g_autofree char *where = NULL, *name = g_strdup_printf("vm%u", i);
		const char *given;

		if (!JSON_NODE_HOLDS_OBJECT(vm))
			return fail(reader, name, "it is an object");
		given = json_object_get_string_member_with_default(json_node_get_object(vm), "name", name);
		where = g_strdup_printf("VM %.60s", given);
		if (!vm_read(reader, where, given, json_node_get_object(vm)))
			return FALSE;
	}
	return TRUE;
}

/* ---- The whole ---- */

static gboolean topology_read(struct reader *reader, JsonNode *node)
{
	struct topology *topology = &reader->workload->topology;
	g_autoptr(GList) keys =
		JSON_NODE_HOLDS_OBJECT(node) ? json_object_get_members(json_node_get_object(node)) : NULL;

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return fail(reader, "topology", "it is an object");
	for (GList *key = keys; key; key = key->next) {
		const struct {
			const char *name;
			guint *count;
			gint64 *ns;
		} fields[] = {
			{ "cpus", &topology->n_cpus, NULL },
			{ "threads", &topology->threads_per_core, NULL },
			{ "cores_per_llc", &topology->cores_per_llc, NULL },
			{ "llcs_per_node", &topology->llcs_per_node, NULL },
			{ "switch_us", NULL, &topology->switch_ns },
			{ "migrate_us", NULL, &topology->migrate_ns },
			{ "migrate_llc_us", NULL, &topology->migrate_llc_ns },
		};
		JsonNode *value = json_object_get_member(json_node_get_object(node), key->data);
		double number;
		gsize i;

		for (i = 0; i < G_N_ELEMENTS(fields) && strcmp(fields[i].name, key->data) != 0; i++)
			;
		if (i == G_N_ELEMENTS(fields))
			return fail_key(
				reader, "topology", key->data,
				"cpus, threads, cores_per_llc, llcs_per_node, switch_us, migrate_us, migrate_llc_us");
		if (!number_get(reader, value, key->data,
				(double[]) { fields[i].count ? 1 : 0, fields[i].count ? WORKLOAD_CPUS_MAX : 100000 },
				&number))
			return FALSE;
		if (fields[i].count)
			*fields[i].count = (guint)number;
		else
			*fields[i].ns = (gint64)(number * US + 0.5);
	}
	return TRUE;
}

static gboolean global_read(struct reader *reader, JsonNode *node)
{
	static const char *const ignored[] = { "calibration", "default_policy", "logdir", "log_basename",
					       "lock_pages",  "gnuplot",        "ftrace", "pi_enabled",
					       "log_size",    "io_device" };
	g_autoptr(GList) keys =
		JSON_NODE_HOLDS_OBJECT(node) ? json_object_get_members(json_node_get_object(node)) : NULL;

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return fail(reader, "global", "it is an object");
	for (GList *key = keys; key; key = key->next) {
		JsonNode *value = json_object_get_member(json_node_get_object(node), key->data);
		gboolean known = FALSE;
		double cpus;

		for (gsize i = 0; i < G_N_ELEMENTS(ignored); i++)
			known = known || strcmp(key->data, ignored[i]) == 0;
		if (strcmp(key->data, "duration") == 0) {
			if (!time_get(reader, value, "duration", SECOND, &reader->workload->horizon_ns))
				return FALSE;
			if (reader->workload->horizon_ns <= 0)
				return fail(reader, "duration", "it has to be above 0 seconds");
		} else if (strcmp(key->data, "cpus") == 0) {
			if (!number_get(reader, value, "cpus", (double[]) { 1, WORKLOAD_CPUS_MAX }, &cpus))
				return FALSE;
			reader->workload->topology.n_cpus = (guint)cpus;
		} else if (!known) {
			return fail_key(reader, "global", key->data,
					"duration (seconds), cpus; calibration, logdir and the like are passed over");
		}
	}
	return TRUE;
}

static gboolean root_read(struct reader *reader, JsonNode *root)
{
	static const struct {
		const char *key;
		gboolean (*read)(struct reader *reader, JsonNode *node);
	} parts[] = {
		{ "global", global_read }, { "topology", topology_read }, { "tasks", tasks_read }, { "vms", vms_read }
	};
	g_autoptr(GList) keys = NULL;

	if (!root || !JSON_NODE_HOLDS_OBJECT(root))
		return fail(reader, "document", "it is an object with global, topology, tasks, vms");
	keys = json_object_get_members(json_node_get_object(root));
	for (GList *key = keys; key; key = key->next) {
		gsize i;

		for (i = 0; i < G_N_ELEMENTS(parts) && strcmp(parts[i].key, key->data) != 0; i++)
			;
		if (i == G_N_ELEMENTS(parts) && strcmp(key->data, "resources") != 0)
			return fail_key(reader, "document", key->data, "global, topology, tasks, vms, resources");
	}
	for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
		JsonNode *node = json_object_get_member(json_node_get_object(root), parts[i].key);

		if (node && !parts[i].read(reader, node))
			return FALSE;
	}
	return TRUE;
}

/* Brackets nested deeper than json-glib's recursion should go. */
static gboolean too_deep(const char *text, gsize bytes)
{
	guint depth = 0;
	gboolean quoted = FALSE;

	for (gsize i = 0; i < bytes; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > 32)
			return TRUE;
		else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
	}
	return FALSE;
}

struct workload *workload_read_json(const char *text, gsize bytes, const char *name, GError **error)
{
	g_autoptr(JsonParser) parser = json_parser_new_immutable();
	g_autoptr(workload_auto) workload = workload_new();
	g_autoptr(GError) inner = NULL;
	struct reader reader = { .workload = workload, .name = name, .error = error };
	gboolean ok;

	if (bytes > BYTES_MAX || too_deep(text, bytes) || !g_utf8_validate(text, (gssize)bytes, NULL)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "%s: not a workload: more than 64 MiB, nested deeper than 32, or not UTF-8", name);
		return NULL;
	}
	if (!json_parser_load_from_data(parser, text, (gssize)bytes, &inner)) {
		const char *said =
			g_str_has_prefix(inner->message, "<data>") ? inner->message + strlen("<data>") : inner->message;

		/* It begins with line and column: "<data>:3:0: …". */
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s%s", name, said);
		return NULL;
	}
	for (guint i = 0; i < G_N_ELEMENTS(reader.objects); i++)
		reader.objects[i] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	workload->topology.switch_ns = 1500;
	workload->topology.migrate_ns = 5000;
	workload->topology.migrate_llc_ns = 20000;
	ok = root_read(&reader, json_parser_get_root(parser));
	if (ok && !workload_check(workload, error)) {
		g_prefix_error(error, "%s: ", name);
		ok = FALSE;
	}
	for (guint i = 0; i < G_N_ELEMENTS(reader.objects); i++)
		g_hash_table_unref(reader.objects[i]);
	return ok ? g_steal_pointer(&workload) : NULL;
}
