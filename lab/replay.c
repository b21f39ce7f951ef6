#include "lab/replay.h"

#include <math.h>
#include <string.h>

#include "lab/availability.h"
#include "lab/derive.h"
#include "lab/error.h"
#include "lab/replay_meters.h"
#include "lab/trace_rows.h"

#define HOUR_US       3600000000.0
#define DOMINANT_UNIT 1099511627776.0 /* 2^40: shares are summed as whole numbers, so that nothing drifts */
#define ENGINE        1u              /* every host offers it, every VM needs it */

enum slot_state { SLOT_OUTSIDE, SLOT_PLACED, SLOT_REFUSED };

/* A VM of the trace that is alive. */
struct slot {
	enum slot_state state;
	guint32 vm; /* in the world */
	guint32 group, tenant;
	guint32 cpus_milli, memory_mib;
	guint64 dominant;
};

struct run {
	const struct replay *replay;
	struct replay_outcome *outcome;
	struct allocation_world *world;
	struct allocation_placer *placer;
	GArray *slots;   /* struct slot, by the trace's slot */
	GArray *slot_of; /* guint32, by the world's VM */
	GArray *off;     /* elastic: heap of hosts that are off */
	struct availability *availability;
	struct sharing *sharing;
	struct derive derive;
	guint32 n_nodes; /* most nodes of a host */

	gint64 begin_us, end_us, now_us, sample_us;
	guint sample;
	guint32 n_used; /* hosts with VMs */
	guint32 n_vms;
	guint64 cpus, memory;           /* of what is placed */
	guint64 host_cpus, host_memory; /* of an elastic host; of the whole fixed fleet */
	guint64 asked, accepted;        /* dominant shares */
	double group_us, kept_us, own_us, vm_us, replaceable;
	guint n_replaceable;
	struct durations durations;
};

const char *replay_can(const struct allocation_strategy *strategy)
{
	if (strategy->decide && strategy->new)
		return NULL;
	switch (strategy->info.kind) {
	case STRATEGY_BATCH:
		return "packs all VMs at once; a trace of creates and deletes asks one by one (give it a .vbp "
		       "instance)";
	case STRATEGY_CONTINUOUS:
		return "moves what is already placed; it does not place new VMs (see polder lab rebalance)";
	default:
		return "does not decide request by request";
	}
}

/* ---- Time passes ---- */

static guint64 divide_up(guint64 a, guint64 b)
{
	return b ? (a + b - 1) / b : 0;
}

static void sample_take(struct run *run)
{
	double share;
	gint64 span = run->end_us - run->begin_us;

	if (availability_replaceable(run->world, &share)) {
		run->replaceable += share;
		run->n_replaceable++;
	}
	run->sample++;
	/* In the middles of equal stretches. */
	run->sample_us = run->sample >= run->replay->options.samples
				 ? TRACE_NEVER
				 : run->begin_us + (gint64)((double)span * (2 * run->sample + 1) /
							    (2 * run->replay->options.samples));
}

static void advance(struct run *run, gint64 to_us)
{
	struct replay_outcome *outcome = run->outcome;
	double us = (double)(to_us - run->now_us);
	guint32 kept, groups;

	while (run->sample_us <= to_us)
		sample_take(run);
	if (us <= 0)
		return;
	outcome->host_hours += us * run->n_used;
	outcome->bound_host_hours +=
		us * (double)MAX(divide_up(run->cpus, run->host_cpus), divide_up(run->memory, run->host_memory));
	outcome->asked_hours += us * ((double)run->asked / DOMINANT_UNIT);
	outcome->accepted_hours += us * ((double)run->accepted / DOMINANT_UNIT);
	groups = availability_groups(run->availability, &kept);
	if (groups) {
		run->group_us += us;
		run->kept_us += us * ((double)kept / groups);
	}
	run->own_us += us * sharing_sum(run->sharing);
	run->vm_us += us * run->n_vms;
	run->now_us = to_us;
}

/* ---- Accounts ---- */

static struct slot *slot_get(struct run *run, guint32 number)
{
	if (number >= run->slots->len)
		g_array_set_size(run->slots, number + 1); /* zeroed: outside */
	return &g_array_index(run->slots, struct slot, number);
}

static void account_add(struct run *run, guint32 number, guint32 vm)
{
	struct slot *slot = slot_get(run, number);
	guint32 host = allocation_world_placement(run->world, vm)->host;
	const struct allocation_host_state *state = &allocation_world_hosts(run->world)[host];

	slot->vm = vm;
	slot->state = SLOT_PLACED;
	if (vm >= run->slot_of->len)
		g_array_set_size(run->slot_of, vm + 1);
	g_array_index(run->slot_of, guint32, vm) = number;
	run->n_vms++;
	run->cpus += slot->cpus_milli;
	run->memory += slot->memory_mib;
	run->n_used += state->n_vms == 1;
	if (slot->group)
		availability_add(run->availability, slot->group, state->rack);
	sharing_place(run->sharing, host, slot->tenant, slot->cpus_milli);
	run->outcome->peak_hosts = MAX(run->outcome->peak_hosts, run->n_used);
	run->outcome->peak_vms = MAX(run->outcome->peak_vms, run->n_vms);
}

/* The VM has left the host in the world: now in the accounts, too. */
static void account_leave(struct run *run, struct slot *slot, guint32 host)
{
	const struct allocation_host_state *state = &allocation_world_hosts(run->world)[host];

	if (slot->group)
		availability_remove(run->availability, slot->group, state->rack);
	sharing_remove(run->sharing, host, slot->tenant, slot->cpus_milli);
	run->n_vms--;
	run->cpus -= slot->cpus_milli;
	run->memory -= slot->memory_mib;
	run->n_used -= state->n_vms == 0;
}

/* Takes the VM off its host, in the world and in the accounts. Returns the host. */
static guint32 account_remove(struct run *run, struct slot *slot)
{
	guint32 host = allocation_world_placement(run->world, slot->vm)->host;

	allocation_placer_remove(run->placer, slot->vm, run->now_us / 1000);
	account_leave(run, slot, host);
	return host;
}

/* ---- Hosts on and off ---- */

/* A host that is off, switched on: the lowest-numbered, or a new one. */
static guint32 host_open(struct run *run)
{
	const struct fleet *fleet = run->replay->fleet;
	guint32 host;

	if (run->off->len) {
		host = trace_departures_pop(run->off).slot;
		allocation_placer_host_power(run->placer, host, true);
		return host;
	}
	struct allocation_host shape = fleet->shape;
	host = allocation_world_n_hosts(run->world);
	if (host == FLEET_HOSTS_MAX)
		return ALLOCATION_NONE;
	shape.rack = fleet_rack(fleet, host);
	shape.engines = ENGINE;
	shape.powered = true;
	return allocation_placer_host_add(run->placer, &shape);
}

static void host_close(struct run *run, guint32 host)
{
	const struct allocation_host_state *state = &allocation_world_hosts(run->world)[host];

	if (!run->replay->fleet->elastic || state->n_vms > 0 || !state->powered)
		return;
	allocation_placer_host_power(run->placer, host, false);
	trace_departures_push(run->off, (struct trace_departure) { host, host }); /* ordered by number */
}

/* ---- Events ---- */

static void decide(struct run *run, guint32 class_id, struct allocation_decision *decision)
{
	guint64 before = meter_now_ns();

	allocation_placer_decide(run->placer, class_id, run->now_us / 1000, decision);
	durations_add(&run->durations, meter_now_ns() - before);
	run->outcome->decisions++;
}

/* Where the class goes; on an elastic fleet a host is opened for it when need be. fit->host ALLOCATION_NONE: nowhere. */
static void fit_find(struct run *run, guint32 class_id, struct allocation_fit *fit)
{
	struct allocation_decision decision = { .fit.host = ALLOCATION_NONE };
	struct allocation_fit fits[ALLOCATION_NODES_MAX];

	decide(run, class_id, &decision);
	*fit = decision.fit;
	if (fit->host != ALLOCATION_NONE || !run->replay->fleet->elastic)
		return;
	guint32 host = host_open(run);
	if (host == ALLOCATION_NONE)
		return;
	if (allocation_world_fits(run->world, allocation_world_request(run->world, class_id), host, fits) > 0)
		*fit = fits[0];
	else
		host_close(run, host);
}

static gboolean out_of_memory(GError **error)
{
	g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED,
		    "out of memory during the replay: try a smaller part of the trace");
	return FALSE;
}

static guint64 dominant(const struct run *run, const struct trace_event *event)
{
	double cpus = (double)event->cpus_milli / (double)MAX(run->host_cpus, 1);
	double memory = (double)event->memory_mib / (double)MAX(run->host_memory, 1);

	return (guint64)(MAX(cpus, memory) * DOMINANT_UNIT);
}

static gboolean create(struct run *run, const struct trace_event *event, GError **error)
{
	const struct trace *trace = run->replay->trace;
	struct slot *slot = slot_get(run, event->slot);
	struct trace_event named = *event; /* with what is derived */
	struct allocation_request request;
	struct allocation_fit fit;
	guint32 class_id, vm;

	named.group = trace->has_groups ? event->group : event->batch;
	named.tenant = trace->has_tenants ? event->tenant : derive_tenant(&run->derive, event->batch);
	slot->group = named.group;
	slot->tenant = named.tenant;
	slot->cpus_milli = event->cpus_milli;
	slot->memory_mib = event->memory_mib;
	slot->dominant = dominant(run, event);
	slot->state = SLOT_REFUSED;
	run->asked += slot->dominant;
	run->outcome->requests++;
	replay_request_make(&run->replay->options, run->n_nodes, &named, &request);
	request.engine = ENGINE;
	class_id = allocation_world_class(run->world, &request);
	if (class_id == ALLOCATION_NONE)
		return out_of_memory(error);
	fit_find(run, class_id, &fit);
	if (fit.host == ALLOCATION_NONE) {
		run->outcome->refused++;
		allocation_world_class_unref(run->world, class_id);
		return TRUE;
	}
	vm = allocation_placer_place(run->placer, class_id, &fit, run->now_us / 1000);
	allocation_world_class_unref(run->world, class_id);
	if (vm == ALLOCATION_NONE)
		return out_of_memory(error);
	run->accepted += slot->dominant;
	account_add(run, event->slot, vm);
	return TRUE;
}

/* One move, if it still fits. */
static gboolean move(struct run *run, const struct allocation_move *move, GError **error)
{
	struct allocation_placement placement = *allocation_world_placement(run->world, move->vm);
	const struct allocation_request *request = allocation_world_request(run->world, placement.class_id);
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	unsigned n = allocation_world_fits(run->world, request, move->to.host, fits), i = 0;
	guint32 number = g_array_index(run->slot_of, guint32, move->vm), vm;

	while (i < n && fits[i].nodes != move->to.nodes)
		i++;
	if (i == n || move->to.host == placement.host)
		return TRUE;
	struct slot *slot = slot_get(run, number);
	vm = allocation_placer_move(run->placer, move->vm, &move->to, run->now_us / 1000);
	if (vm == ALLOCATION_NONE)
		return out_of_memory(error);
	account_leave(run, slot, placement.host);
	host_close(run, placement.host);
	account_add(run, number, vm);
	run->outcome->migrations++;
	return TRUE;
}

static gboolean migrate(struct run *run, void *state, guint32 host, GError **error)
{
	const struct replay_options *options = &run->replay->options;
	struct allocation_move moves[ALLOCATION_MOVES_MAX];
	double budget =
		floor(options->max_moves_per_vm * (double)run->outcome->requests) - (double)run->outcome->migrations;
	size_t n;

	if (budget < 1)
		return TRUE;
	n = options->migration->plan(state, run->world, host, run->now_us / 1000, moves,
				     (size_t)MIN(budget, (double)ALLOCATION_MOVES_MAX));
	for (size_t i = 0; i < n; i++)
		if (!move(run, &moves[i], error))
			return FALSE;
	return TRUE;
}

static gboolean delete (struct run *run, const struct trace_event *event, void *migration, GError **error)
{
	struct slot *slot = slot_get(run, event->slot);
	enum slot_state state = slot->state;

	slot->state = SLOT_OUTSIDE;
	if (state == SLOT_OUTSIDE)
		return TRUE;
	run->asked -= slot->dominant;
	if (state == SLOT_REFUSED)
		return TRUE;
	run->accepted -= slot->dominant;
	guint32 host = account_remove(run, slot);
	if (run->replay->options.migration && !migrate(run, migration, host, error))
		return FALSE;
	host_close(run, host);
	return TRUE;
}

/* ---- A run ---- */

static gboolean in_part(const struct run *run, gint64 time_us)
{
	switch (run->replay->part) {
	case LAB_TUNE:
		return time_us < run->replay->tune_until_us;
	case LAB_HELD_OUT:
		return time_us >= run->replay->tune_until_us;
	default:
		return TRUE;
	}
}

static gboolean left_out(const struct run *run, const struct trace_event *event, guint32 nth)
{
	double share = run->replay->options.leave_out;

	return share > 0 && event->kind == TRACE_CREATE &&
	       derive_leaves_out(&run->derive, event->batch ? event->batch : nth, share);
}

static gboolean follow(struct run *run, struct trace_cursor *cursor, void *migration, GError **error)
{
	struct trace_event event;
	guint32 nth = 0;
	int got;

	while ((got = trace_cursor_next(cursor, &event, error)) > 0) {
		nth++;
		if (event.time_us > run->end_us || (run->replay->part == LAB_TUNE && event.time_us >= run->end_us))
			break;
		if (event.kind == TRACE_REFUSED || !in_part(run, event.time_us) || left_out(run, &event, nth))
			continue;
		advance(run, event.time_us);
		if (!(event.kind == TRACE_CREATE ? create(run, &event, error) : delete (run, &event, migration, error)))
			return FALSE;
	}
	if (got < 0)
		return FALSE;
	advance(run, run->end_us);
	return TRUE;
}

static gboolean fleet_build(struct run *run, GError **error)
{
	const struct fleet *fleet = run->replay->fleet;
	const struct allocation_host *hosts =
		fleet->elastic ? &fleet->shape : &g_array_index(fleet->hosts, struct allocation_host, 0);
	guint n = fleet->elastic ? 1 : fleet->hosts->len;

	for (guint i = 0; i < n; i++) {
		run->n_nodes = MAX(run->n_nodes, hosts[i].n_nodes);
		for (guint j = 0; j < hosts[i].n_nodes; j++) {
			run->host_cpus += hosts[i].node_capacity[j][ALLOCATION_CPU];
			run->host_memory += hosts[i].node_capacity[j][ALLOCATION_MEMORY];
		}
		if (fleet->elastic)
			continue;
		struct allocation_host host = hosts[i];
		host.engines = ENGINE;
		if (allocation_world_host_add(run->world, &host) == ALLOCATION_NONE)
			return out_of_memory(error);
	}
	return TRUE;
}

static void run_begin(struct run *run)
{
	const struct replay *replay = run->replay;

	run->begin_us = replay->part == LAB_HELD_OUT ? replay->tune_until_us
						     : MIN(replay->trace->first_us, replay->trace->end_us);
	run->end_us =
		replay->part == LAB_TUNE ? MIN(replay->tune_until_us, replay->trace->end_us) : replay->trace->end_us;
	run->begin_us = MIN(run->begin_us, run->end_us);
	run->now_us = run->begin_us;
	run->sample_us = TRACE_NEVER;
	if (replay->options.samples)
		run->sample_us =
			run->begin_us + (gint64)((double)(run->end_us - run->begin_us) / (2 * replay->options.samples));
	derive_init(&run->derive, replay->seed);
}

static void outcome_finish(struct run *run)
{
	struct replay_outcome *outcome = run->outcome;

	outcome->hours = (double)(run->end_us - run->begin_us) / HOUR_US;
	outcome->host_hours /= HOUR_US;
	outcome->bound_host_hours /= HOUR_US;
	outcome->asked_hours /= HOUR_US;
	outcome->accepted_hours /= HOUR_US;
	outcome->vm_hours = run->vm_us / HOUR_US;
	outcome->has_majority = run->group_us > 0;
	outcome->majority_share = run->group_us > 0 ? MIN(run->kept_us / run->group_us, 1) : 0;
	outcome->has_replaceable = run->n_replaceable > 0;
	outcome->replaceable_share = run->n_replaceable ? run->replaceable / run->n_replaceable : 0;
	outcome->own_share = run->vm_us > 0 ? MIN(run->own_us / run->vm_us, 1) : 1;
	outcome->decide_p50_ns = durations_quantile(&run->durations, 0.5);
	outcome->decide_p99_ns = durations_quantile(&run->durations, 0.99);
}

static gboolean run_all(struct run *run, GError **error)
{
	const struct replay *replay = run->replay;
	const struct allocation_migration *migration = replay->options.migration;
	struct trace_cursor *cursor;
	void *state = NULL;
	gboolean ok;

	if (!fleet_build(run, error))
		return FALSE;
	run->placer = allocation_placer_new(run->world, replay->strategy, replay->values, replay->seed);
	if (!run->placer)
		return out_of_memory(error);
	cursor = trace_cursor_new(replay->trace, error);
	if (!cursor)
		return FALSE;
	if (migration && migration->new)
		state = migration->new (run->world, replay->seed);
	ok = migration && migration->new && !state ? out_of_memory(error) : follow(run, cursor, state, error);
	if (migration && migration->free)
		migration->free(state);
	trace_cursor_free(cursor);
	return ok;
}

gboolean replay_run(const struct replay *replay, struct replay_outcome *outcome, GError **error)
{
	struct run *run = g_new0(struct run, 1);
	gboolean ok;

	memset(outcome, 0, sizeof *outcome);
	run->replay = replay;
	run->outcome = outcome;
	run->slots = g_array_new(FALSE, TRUE, sizeof(struct slot));
	run->slot_of = g_array_new(FALSE, TRUE, sizeof(guint32));
	run->off = g_array_new(FALSE, FALSE, sizeof(struct trace_departure));
	run->availability = availability_new();
	run->sharing = sharing_new();
	run->world = allocation_world_new();
	run_begin(run);
	ok = run->world ? run_all(run, error) : out_of_memory(error);
	if (ok)
		outcome_finish(run);
	allocation_placer_free(run->placer);
	allocation_world_free(run->world);
	sharing_free(run->sharing);
	availability_free(run->availability);
	g_array_unref(run->off);
	g_array_unref(run->slot_of);
	g_array_unref(run->slots);
	g_free(run);
	return ok;
}
