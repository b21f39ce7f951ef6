#include "daemon/agent/cpu_round.h"

#include <json-glib/json-glib.h>
#include <string.h>
#include <unistd.h>

#include "core/scheduling/limit.h"
#include "core/scheduling/share.h"
#include "daemon/agent/cpu_shares.h"
#include "daemon/agent/lifecycle.h"

#define STRETCH_NS 1000000000

static void round_vm_free(gpointer data)
{
	struct cpu_round_vm *vm = data;

	g_free(vm->name);
	g_free(vm->tenant);
	g_free(vm->vcpus);
	g_free(vm->knobs);
	g_free(vm->usage);
	g_strfreev(vm->notes);
	g_free(vm);
}

struct cpu_round *cpu_round_new(void)
{
	struct cpu_round *round = g_new0(struct cpu_round, 1);

	round->vms = g_ptr_array_new_with_free_func(round_vm_free);
	round->clear = g_ptr_array_new_with_free_func(g_free);
	round->cleared = g_ptr_array_new();
	round->copy = -1;
	return round;
}

void cpu_round_free(struct cpu_round *round)
{
	if (round->copy >= 0)
		close(round->copy);
	g_clear_error(&round->copy_error);
	g_ptr_array_unref(round->cleared);
	g_ptr_array_unref(round->clear);
	g_ptr_array_unref(round->vms);
	g_free(round);
}

struct cpu_round_vm *cpu_round_add(struct cpu_round *round, const char *name, const pid_t *vcpus, guint n_vcpus)
{
	struct cpu_round_vm *vm = g_new0(struct cpu_round_vm, 1);

	vm->name = g_strdup(name);
	vm->vcpus = g_memdup2(vcpus, n_vcpus * sizeof(*vcpus));
	vm->n_vcpus = n_vcpus;
	g_ptr_array_add(round->vms, vm);
	return vm;
}

/* ---- From wishes to knobs ---- */

/* The vCPUs of a VM share its percents evenly. */
static struct scheduling_entity entity_of(const struct cpu_round_vm *vm)
{
	guint64 most = (guint64)vm->n_vcpus * 100;
	struct scheduling_entity entity = { .weight = vm->weight, .latency_ns = (gint64)vm->latency_us * 1000 };

	if (vm->limit_percent < most)
		scheduling_limit(&entity, (guint64)vm->limit_percent * SCHEDULING_UNIT / most);
	if (vm->reserve_percent)
		scheduling_reserve(&entity, MIN(vm->reserve_percent, most) * SCHEDULING_UNIT / most);
	return entity;
}

gint64 cpu_round_reserved_ns(const struct cpu_round_vm *vm, gint64 stretch_ns)
{
	guint64 most = (guint64)vm->n_vcpus * 100;

	return stretch_ns / (gint64)most * (gint64)MIN(vm->reserve_percent, most);
}

static guint count_vcpus(const struct cpu_round *round)
{
	guint n = 0;

	for (guint i = 0; i < round->vms->len; i++)
		n += ((const struct cpu_round_vm *)round->vms->pdata[i])->n_vcpus;
	return n;
}

static void system_init(struct scheduling_system *system, const struct cpu_round *round, guint n)
{
	*system = (struct scheduling_system) { .n_entities = n,
					       .n_vms = round->vms->len,
					       .n_cpus = round->n_cpus,
					       .n_queues = round->n_cpus,
					       .n_cores = round->n_cpus,
					       .entities = g_new0(struct scheduling_entity, n),
					       .vms = g_new0(struct scheduling_vm, round->vms->len),
					       .cpus = g_new0(struct scheduling_cpu, round->n_cpus),
					       .queues = g_new0(struct scheduling_queue, round->n_cpus),
					       .changed = g_new0(guint32, n),
					       .values = round->values,
					       .random = 1 };
	for (guint i = 0; i < round->n_cpus; i++)
		system->cpus[i] =
			(struct scheduling_cpu) { .id = i, .core = i, .running = SCHEDULING_NO_ENTITY, .queue = i };
	for (size_t i = 0; i < round->strategy->info.n_parameters; i++)
		system->parameter[i] = (int64_t)round->values->value[i];
}

static void system_clear(struct scheduling_system *system)
{
	g_free(system->entities);
	g_free(system->vms);
	g_free(system->cpus);
	g_free(system->queues);
	g_free(system->changed);
}

static void add_note(struct cpu_round_vm *vm, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add_note(struct cpu_round_vm *vm, const char *format, ...)
{
	guint n = vm->notes ? g_strv_length(vm->notes) : 0;
	g_autofree char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	vm->notes = g_renew(char *, vm->notes, n + 2);
	vm->notes[n] = g_strconcat(LIFE_CPU_NOTE, text, NULL);
	vm->notes[n + 1] = NULL;
}

/* Who may share a core is a label: for vm the tenant's, for vcpu one that no other thread has, its own id. */
static uint32_t cookie_of(const struct cpu_round *round, const struct cpu_round_vm *vm, guint vcpu,
			  const struct scheduling_knobs *knobs)
{
	switch (round->sharing) {
	case SCHEDULING_SHARE_ANY:
		break;
	case SCHEDULING_SHARE_VM:
		return vm->tenant_number;
	case SCHEDULING_SHARE_NONE:
		return (uint32_t)vm->vcpus[vcpu];
	}
	return knobs->cookie; /* what the strategy itself asks for */
}

static void project(const struct cpu_round *round, const struct scheduling_system *system, struct cpu_round_vm *vm,
		    guint first)
{
	const struct scheduling_strategy *strategy = round->strategy;
	gboolean asks = round->chosen || vm->reserve_percent;

	vm->knobs = g_new0(struct scheduling_knobs, vm->n_vcpus);
	for (guint i = 0; i < vm->n_vcpus; i++) {
		const struct scheduling_entity *entity = &system->entities[first + i];
		struct scheduling_knobs *knobs = &vm->knobs[i];

		if (entity->flags & SCHEDULING_ADMITTED)
			strategy->project(system, entity, knobs);
		if (!(entity->flags & SCHEDULING_ADMITTED) || knobs->exactness == SCHEDULING_NOT_ENFORCEABLE) {
			*knobs = (struct scheduling_knobs) { .weight = entity->weight,
							     .quota_ns = entity->limit_ns,
							     .period_ns = entity->limit_period_ns };
			if (!i)
				add_note(vm, "strategy %s does not take it: weight and limit alone hold",
					 strategy->info.name);
		} else if (knobs->lost && asks && !i) {
			add_note(vm, "strategy %s does not keep %s", strategy->info.name, knobs->lost);
		}
		knobs->cookie = cookie_of(round, vm, i, knobs);
		/* The kernel's own way has the kernel's own slice. */
		if (!round->chosen && !vm->latency_us)
			knobs->slice_ns = 0;
	}
}

static void project_all(struct cpu_round *round)
{
	const struct scheduling_strategy *strategy = round->strategy;
	struct scheduling_system system;
	guint at = 0;

	system_init(&system, round, count_vcpus(round));
	if (strategy->start)
		strategy->start(&system);
	for (guint i = 0; i < round->vms->len; i++) {
		const struct cpu_round_vm *vm = round->vms->pdata[i];
		struct scheduling_entity entity = entity_of(vm);

		system.vms[i] = (struct scheduling_vm) { .first = at, .n_vcpus = vm->n_vcpus };
		entity.vm = i;
		entity.cookie = vm->tenant_number;
		for (guint k = 0; k < vm->n_vcpus; k++, at++) {
			system.entities[at] = entity;
			system.entities[at].id = at;
		}
	}
	for (guint i = 0; i < at; i++) {
		struct scheduling_entity *entity = &system.entities[i];

		if (strategy->admit(&system, entity) == SCHEDULING_ACCEPTED)
			entity->flags |= SCHEDULING_ADMITTED;
		else
			entity->flags &= ~(uint32_t)SCHEDULING_ADMITTED;
	}
	for (guint i = 0; i < round->vms->len; i++)
		project(round, &system, round->vms->pdata[i], system.vms[i].first);
	system_clear(&system);
}

/* ---- On the host ---- */

/* What was not asked for, and is only there so that weights of all compare, is no loss to anybody. */
static gboolean is_asked(const struct cpu_round *round, const struct cpu_round_vm *vm, enum cpu_mechanism mechanism)
{
	switch (mechanism) {
	case CPU_WEIGHT:
		return round->chosen || vm->weight != SCHEDULING_WEIGHT_NORMAL;
	case CPU_SLICE:
		return round->chosen || vm->latency_us;
	default:
		return TRUE;
	}
}

static void note_report(const struct cpu_round *round, struct cpu_round_vm *vm, const struct cpu_report *report)
{
	for (guint i = 0; i < CPU_N_MECHANISMS; i++) {
		const struct cpu_result *result = &report->of[i];
		const char *name = i == CPU_COOKIE ? "core scheduling" : cpu_mechanism_name(i);

		if (!is_asked(round, vm, i))
			continue;
		if (result->enforced < result->wanted)
			add_note(vm, "%s is not enforced here%s%s", name, result->why[0] ? ": " : "", result->why);
		else if (result->why[0])
			add_note(vm, "%s: %s", name, result->why);
	}
}

static struct cpu_target target_of(const struct cpu_round_vm *vm)
{
	return (struct cpu_target) { .vm = vm->name, .pid = vm->pid, .vcpus = vm->vcpus, .n_vcpus = vm->n_vcpus };
}

static void read_usage(struct cpu_round *round)
{
	for (guint i = 0; i < round->vms->len; i++) {
		struct cpu_round_vm *vm = round->vms->pdata[i];
		const struct cpu_target target = target_of(vm);

		vm->usage = g_new0(struct cpu_usage, vm->n_vcpus);
		if (round->read)
			cpu_read(*round->cpu, &target, vm->usage);
		else
			cpu_read_times(*round->cpu, &target, vm->usage);
	}
}

static void apply(struct cpu_round *round, struct cpu_round_vm *vm)
{
	const struct cpu_target target = target_of(vm);
	struct cpu_report report = { 0 };

	if (cpu_apply(*round->cpu, &target, vm->knobs, 0, &report) == CPU_VM_GONE)
		return;
	vm->applied = TRUE;
	note_report(round, vm, &report);
}

void cpu_round_run(struct cpu_round *round)
{
	if (!*round->cpu) {
		*round->cpu = cpu_open(&(struct cpu_places) { .run = round->run });
		cpu_repair(*round->cpu, &round->repaired);
		round->opened = TRUE;
	}
	for (guint i = 0; i < round->clear->len; i++) {
		char *name = round->clear->pdata[i];

		if (cpu_clear(*round->cpu, name, NULL))
			g_ptr_array_add(round->cleared, name);
	}
	if (!round->vms->len || (!round->apply && !round->read))
		return;
	project_all(round);
	if (round->read || round->shares)
		read_usage(round);
	if (!round->apply)
		return;
	if (round->shares)
		cpu_shares_correct(round->shares, round, g_get_monotonic_time() * 1000);
	for (guint i = 0; i < round->vms->len; i++)
		apply(round, round->vms->pdata[i]);
}

/* ---- Figures ---- */

/* What each is due of the host's CPUs if all wanted to run at once, in round->vms' order, of a stretch of STRETCH_NS. */
static struct scheduling_claim *entitle(const struct cpu_round *round)
{
	struct scheduling_claim *claims = g_new0(struct scheduling_claim, MAX(count_vcpus(round), 1));
	guint n = 0;

	for (guint v = 0; v < round->vms->len; v++) {
		const struct cpu_round_vm *vm = round->vms->pdata[v];

		for (guint i = 0; i < vm->n_vcpus; i++, n++) {
			const struct scheduling_knobs *knobs = &vm->knobs[i];

			claims[n].weight = vm->weight;
			claims[n].least_ns = cpu_round_reserved_ns(vm, STRETCH_NS);
			claims[n].most_ns = STRETCH_NS;
			if (knobs->quota_ns)
				claims[n].most_ns = MIN(STRETCH_NS, STRETCH_NS / 1000 * (knobs->quota_ns / 1000) /
									    (knobs->period_ns / 1000) * 1000);
		}
	}
	scheduling_entitle(claims, n, (gint64)STRETCH_NS * round->n_cpus);
	return claims;
}

static void print_vcpu(JsonBuilder *builder, const struct cpu_round_vm *vm, guint i,
		       const struct scheduling_claim *claim)
{
	const struct {
		const char *name;
		guint64 value;
	} numbers[] = {
		{ "vcpu", i },
		{ "thread", (guint64)vm->vcpus[i] },
		{ "weight", vm->weight },
		{ "corrected_weight", vm->knobs[i].weight },
		{ "run_ns", vm->usage[i].run_ns },
		{ "ready_ns", vm->usage[i].ready_ns },
		{ "slices", vm->usage[i].slices },
		{ "throttled_ns", vm->usage[i].throttled_ns },
		{ "throttled", vm->usage[i].n_throttled },
	};

	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "vm");
	json_builder_add_string_value(builder, vm->name);
	for (guint k = 0; k < G_N_ELEMENTS(numbers); k++) {
		json_builder_set_member_name(builder, numbers[k].name);
		json_builder_add_int_value(builder, (gint64)numbers[k].value);
	}
	json_builder_set_member_name(builder, "entitlement_percent");
	json_builder_add_double_value(builder, 100.0 * (double)claim->due_ns / STRETCH_NS);
	json_builder_end_object(builder);
}

static void print_mechanisms(JsonBuilder *builder, struct cpu *cpu)
{
	json_builder_set_member_name(builder, "mechanisms");
	json_builder_begin_array(builder);
	for (guint i = 0; i < CPU_N_MECHANISMS; i++) {
		const struct cpu_capability *capability = cpu_describe(cpu, i);

		json_builder_begin_object(builder);
		json_builder_set_member_name(builder, "name");
		json_builder_add_string_value(builder, cpu_mechanism_name(i));
		json_builder_set_member_name(builder, "works");
		json_builder_add_boolean_value(builder, capability->works);
		json_builder_set_member_name(builder, "why");
		json_builder_add_string_value(builder, capability->why);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

char *cpu_round_print(const struct cpu_round *round, gint64 now_us)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(JsonNode) root = NULL;
	g_autofree struct scheduling_claim *claims = entitle(round);
	guint n = 0;

	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "time_us");
	json_builder_add_int_value(builder, now_us);
	json_builder_set_member_name(builder, "cpus");
	json_builder_add_int_value(builder, round->n_cpus);
	json_builder_set_member_name(builder, "strategy");
	json_builder_add_string_value(builder, round->strategy->info.name);
	json_builder_set_member_name(builder, "vcpus");
	json_builder_begin_array(builder);
	for (guint i = 0; i < round->vms->len; i++) {
		const struct cpu_round_vm *vm = round->vms->pdata[i];

		for (guint k = 0; k < vm->n_vcpus; k++)
			print_vcpu(builder, vm, k, &claims[n++]);
	}
	json_builder_end_array(builder);
	print_mechanisms(builder, *round->cpu);
	json_builder_end_object(builder);
	root = json_builder_get_root(builder);
	return json_to_string(root, FALSE);
}
