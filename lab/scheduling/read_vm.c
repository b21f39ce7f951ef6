#include "lab/scheduling/reader.h"

#include <string.h>

#include "core/scheduling/limit.h"

#define INSTANCE_MAX 100000

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
		if (!reader_number(reader, json_array_get_element(cpus, i), where,
				   (double[]) { 0, WORKLOAD_CPUS_MAX - 1 }, &cpu))
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
		if (!reader_number(reader, node, here, (double[]) { 1, INSTANCE_MAX }, &value))
			return FALSE;
		wants->copies = (guint)value;
		return TRUE;
	}
	if (strcmp(key, "vcpus") == 0) {
		if (!reader_number(reader, node, here, (double[]) { 1, SCHEDULING_VM_VCPUS_MAX }, &value))
			return FALSE;
		wants->vcpus = (guint)value;
		return TRUE;
	}
	if (strcmp(key, "weight") == 0)
		return reader_number(reader, node, here, (double[]) { 1, SCHEDULING_WEIGHT_MAX }, &wants->weight);
	if (strcmp(key, "priority") == 0)
		return reader_number(reader, node, here, (double[]) { -20, 99 }, &wants->priority);
	if (strcmp(key, "limit") == 0)
		return reader_share(reader, node, here, &wants->limit);
	if (strcmp(key, "reserve") == 0)
		return reader_share(reader, node, here, &wants->reserve);
	if (strcmp(key, "latency") == 0)
		return reader_duration(reader, node, here, &wants->latency_ns);
	if (strcmp(key, "slice") == 0)
		return reader_duration(reader, node, here, &wants->request_ns);
	if (strcmp(key, "delay") == 0)
		return reader_time(reader, node, here, US, &wants->delay_ns);
	if (strcmp(key, "dl-runtime") == 0)
		return reader_time(reader, node, here, US, &wants->runtime_ns);
	if (strcmp(key, "dl-period") == 0)
		return reader_time(reader, node, here, US, &wants->period_ns);
	if (strcmp(key, "dl-deadline") == 0)
		return reader_time(reader, node, here, US, &wants->deadline_ns);
	if (strcmp(key, "tenant") == 0 && JSON_NODE_HOLDS_VALUE(node) &&
	    json_node_get_value_type(node) == G_TYPE_STRING) {
		wants->tenant = json_node_get_string(node);
		return TRUE;
	}
	if (strcmp(key, "cpus") == 0 && JSON_NODE_HOLDS_ARRAY(node)) {
		wants->cpus = json_node_get_array(node);
		return TRUE;
	}
	return reader_fail_key(
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
			known = known || reader_key_is(key->data, elsewhere[i]);
		if (!known && !want_read(reader, where, key->data, json_object_get_member(object, key->data), wants))
			return FALSE;
	}
	if (wants->period_ns && wants->runtime_ns > wants->period_ns)
		return reader_fail(reader, where, "dl-runtime is longer than dl-period");
	if (wants->runtime_ns && !wants->period_ns)
		wants->period_ns = wants->deadline_ns ? wants->deadline_ns : SCHEDULING_RESERVE_PERIOD_NS;
	if (wants->reserve > wants->vcpus)
		return reader_fail(reader, where, "it reserves more CPUs than it has vCPUs");
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
	if (!reader_program(reader, where, object))
		return FALSE;
	if (wants->deadline_ns && workload_task(reader->workload, index)->deadline_ns)
		workload_task(reader->workload, index)->deadline_ns = wants->deadline_ns;
	return TRUE;
}

/* Does one of the vCPUs from this one on sleep over ticks? */
static gboolean dodges(const struct workload *workload, guint first)
{
	for (guint i = first; i < workload->tasks->len; i++) {
		const struct task *task = workload_task(workload, i);

		for (guint j = 0; j < task->n_steps; j++)
			if (g_array_index(workload->steps, struct step, task->first_step + j).kind == STEP_DODGE)
				return TRUE;
	}
	return FALSE;
}

gboolean reader_vm(struct reader *reader, const char *where, const char *name, JsonObject *object)
{
	struct wants wants;

	if (!wants_read(reader, where, object, &wants))
		return FALSE;
	if (reader->workload->tasks->len + (guint64)wants.copies * wants.vcpus > WORKLOAD_TASKS_MAX)
		return reader_fail(reader, where, "more than a million vCPUs in all");
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
			struct scheduling_entity entity = { 0 };

			scheduling_limit(&entity, (guint64)(wants.limit / wants.vcpus * SCHEDULING_UNIT + 0.5));
			vm->limit_period_ns = entity.limit_period_ns;
			vm->limit_ns = entity.limit_ns;
		}
		for (guint i = 0; i < wants.vcpus; i++)
			if (!vcpu_add(reader, where, object, &wants))
				return FALSE;
		vm = workload_vm(reader->workload, index);
		vm->attacks = dodges(reader->workload, vm->first_task);
	}
	return TRUE;
}
