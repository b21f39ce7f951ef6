/* lifetime: The fit that is expected to keep its host on for the least longer, by learned lifetimes.
 *
 * Idea: a host can be switched off when its last VM has gone, so what a VM costs is the time by which it outlives
 * all others there. How long VMs go on is learned from those that ended and those that did not yet
 * (lifetime_model.h): by shape and place in the batch, by age, and by what befell mates of the same batch. A host's
 * survival is that of any of its VMs, mates on one host counting once as they end together; it is worked out again
 * as they age. The expected extension is weighed against what the fit leaves free and breaks up, and VMs of a batch
 * are drawn to hosts that have some of it already.
 *
 * It learns from events. A snapshot says who is placed since when and nothing of those who ended: after a restart or
 * a switch the strategy knows the VMs and their ages and begins to learn afresh.
 *
 * Source: J. Ling et al., "LAVA: Lifetime-Aware VM Allocation with Learned Distributions and Adaptation to
 * Mispredictions", arXiv:2412.09840, 2024 (NILAS: non-invasive lifetime-aware scheduling); E. L. Kaplan, P. Meier,
 * "Nonparametric Estimation from Incomplete Observations", 1958.
 *
 * Complexity: O(hosts that fit × (shapes + 24)); every learn-every-s O(VMs × 24), a change O(VMs of its host × 24).
 *
 * Loses: where lifetimes cannot be told apart at arrival: it is then weighted without its size-mix, at a higher
 * price. Host-hours over the bound: 1.126 on the whole public Azure trace (first-fit 1.149), 1.43 on Huawei's, which
 * names no batches (first-fit 1.40).
 */
#include <stdlib.h>
#include <string.h>

#include "core/allocation/strategies/fragmentation.h"
#include "core/allocation/strategies/lifetime_model.h"
#include "core/allocation/strategies/strategies.h"

enum {
	EXTENSION,
	REST,
	FRAGMENTATION,
	NODE_IMBALANCE,
	SIZE_MIX,
	ORDER,
	MATES,
	LEARN_EVERY_S,
	LARGE,
	MEMORY_PER_CPU_MIB,
	PARAMETERS
};
#define WEIGHT(name_, initial_, doc_)                                                                         \
	{                                                                                                     \
		.name = name_, .type = STRATEGY_NUMBER, .min = 0, .max = 10, .initial = initial_, .doc = doc_ \
	}
static const struct strategy_parameter parameters[] = {
	WEIGHT("extension", 0.5, "Of an hour by which the VM is expected to outlive the others on the host."),
	WEIGHT("rest", 1, "Of the larger share left, CPU or memory, summed over nodes."),
	WEIGHT("fragmentation", 1, "Of eight vCPUs' worth of gaps that can no longer be sold."),
	WEIGHT("node-imbalance", 0, "Of the imbalance between NUMA nodes."),
	WEIGHT("size-mix", 0, "Of small VMs beside large ones on a host, and large beside small."),
	WEIGHT("order", 0, "Of a hundred hosts further down the list."),
	{ .name = "mates-share",
	  .type = STRATEGY_NUMBER,
	  .min = 0,
	  .max = 1,
	  .initial = 0.2,
	  .doc = "Share of the extension that counts where VMs of the same batch are." },
	{ .name = "learn-every-s",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 86400,
	  .initial = 300,
	  .doc = "How often ages are looked at anew, seconds." },
	{ .name = "large-vcpus",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 1024,
	  .initial = 8,
	  .doc = "VMs with so many vCPUs are large." },
	{ .name = "memory-per-cpu-mib",
	  .type = STRATEGY_NUMBER,
	  .min = 64,
	  .max = 1 << 18,
	  .initial = 2304,
	  .logarithmic = true,
	  .doc = "Memory that counts as much as one vCPU, MiB." },
};

struct host {
	double ended[LIFETIME_STEPS]; /* chance that all of its VMs have, by the middle of each step */
	uint64_t batch;               /* number of the batch that last came here */
};

struct lifetime {
	struct scored scored;
	struct lifetime_model model;
	struct host *host;
	uint32_t host_capacity;
	uint32_t batch_id; /* of the VM placed last */
	uint64_t batch;    /* counts batches that follow one another */
	uint64_t mark;
	int64_t now_ms, learned_ms;
};

static bool hosts_reserve(struct lifetime *state, uint32_t n)
{
	uint32_t capacity = state->host_capacity ? state->host_capacity : 16;
	struct host *grown;

	if (n <= state->host_capacity)
		return true;
	while (capacity < n)
		capacity *= 2;
	grown = realloc(state->host, capacity * sizeof *grown);
	if (!grown)
		return false;
	for (uint32_t i = state->host_capacity; i < capacity; i++) {
		grown[i].batch = 0;
		for (unsigned j = 0; j < LIFETIME_STEPS; j++)
			grown[i].ended[j] = 1;
	}
	state->host = grown;
	state->host_capacity = capacity;
	return true;
}

/* Mates on one host count once: they live alike. */
static void host_foresee(struct lifetime *state, const struct allocation_world *world, uint32_t host)
{
	double *ended = state->host[host].ended;
	uint32_t vm = allocation_world_hosts(world)[host].first_vm;

	for (unsigned i = 0; i < LIFETIME_STEPS; i++)
		ended[i] = 1;
	state->mark++;
	for (; vm != ALLOCATION_NONE; vm = allocation_world_placement(world, vm)->next) {
		struct lifetime_batch *batch = lifetime_model_batch(&state->model, vm);
		double survival[LIFETIME_STEPS];

		if (batch && batch->mark == state->mark)
			continue;
		if (batch)
			batch->mark = state->mark;
		lifetime_model_survival(&state->model, vm, state->now_ms, survival);
		for (unsigned i = 0; i < LIFETIME_STEPS; i++)
			ended[i] *= 1 - survival[i];
	}
}

static void learn(struct lifetime *state, const struct allocation_world *world)
{
	uint32_t n = allocation_world_n_hosts(world);

	lifetime_model_learn(&state->model, state->now_ms);
	state->learned_ms = state->now_ms;
	for (uint32_t host = 0; host < n; host++)
		host_foresee(state, world, host);
}

static void free_state(void *data)
{
	struct lifetime *state = data;

	if (!state)
		return;
	scored_clear(&state->scored);
	lifetime_model_clear(&state->model);
	free(state->host);
	free(state);
}

/* The VMs that are there, with their ages as of the latest. */
static bool take_over(struct lifetime *state, const struct allocation_world *world)
{
	uint32_t n = allocation_world_n_placements(world);

	for (uint32_t vm = 0; vm < n; vm++) {
		const struct allocation_placement *placement = allocation_world_placement(world, vm);

		if (placement->class_id == ALLOCATION_NONE)
			continue;
		if (!lifetime_model_place(&state->model, allocation_world_request(world, placement->class_id), vm,
					  placement->placed_ms))
			return false;
		state->now_ms = placement->placed_ms > state->now_ms ? placement->placed_ms : state->now_ms;
	}
	if (!hosts_reserve(state, allocation_world_n_hosts(world)))
		return false;
	learn(state, world);
	return true;
}

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	struct lifetime *state = calloc(1, sizeof *state);
	struct strategy_values defaults;

	(void)seed;
	if (!state)
		return NULL;
	strategy_values_init(&strategy_lifetime.info, &defaults);
	values = values ? values : &defaults;
	if (!scored_init(&state->scored, world, values->value[MEMORY_PER_CPU_MIB],
			 (uint32_t)values->value[LARGE] * 1000)) {
		free(state);
		return NULL;
	}
	memcpy(state->scored.value, values->value, sizeof state->scored.value);
	if (lifetime_model_init(&state->model) && take_over(state, world))
		return state;
	free_state(state);
	return NULL;
}

static bool placed(struct lifetime *state, const struct allocation_world *world, const struct allocation_event *event)
{
	const struct allocation_request *request = allocation_world_request(world, event->class_id);

	if (event->moved)
		return lifetime_model_renumber(&state->model, event->from, event->vm);
	if (!lifetime_model_place(&state->model, request, event->vm,
				  allocation_world_placement(world, event->vm)->placed_ms))
		return false;
	if (request->batch == 0 || request->batch != state->batch_id)
		state->batch++;
	state->batch_id = request->batch;
	state->host[event->host].batch = state->batch;
	return true;
}

static bool update(void *data, const struct allocation_world *world, const struct allocation_event *event)
{
	struct lifetime *state = data;
	bool ok = scored_update(&state->scored, world, event) && hosts_reserve(state, allocation_world_n_hosts(world));

	if (!ok || event->change == ALLOCATION_HOST_CHANGED)
		return ok;
	state->now_ms = event->now_ms > state->now_ms ? event->now_ms : state->now_ms;
	if (event->change == ALLOCATION_PLACED)
		ok = placed(state, world, event);
	else if (event->lived_ms < 0)
		lifetime_model_forget(&state->model, event->vm);
	else
		lifetime_model_end(&state->model, event->vm, event->now_ms);
	if (!ok)
		return false;
	if (state->now_ms - state->learned_ms >= (int64_t)state->scored.value[LEARN_EVERY_S] * 1000)
		learn(state, world);
	else
		host_foresee(state, world, event->host);
	return true;
}

static double cost(const void *data, const struct allocation_world *world, uint32_t class_id,
		   const struct allocation_fit *fit, int64_t now_ms)
{
	const struct lifetime *state = data;
	const struct allocation_request *request = allocation_world_request(world, class_id);
	const double *weight = state->scored.value, *survival = lifetime_model_survival_new(&state->model, request);
	const struct host *host = &state->host[fit->host];
	bool has_mates = request->batch && request->batch == state->batch_id && host->batch == state->batch;
	struct scored_fit view;
	double extension_s = 0, sum;

	(void)now_ms;
	for (unsigned i = 0; i < LIFETIME_STEPS; i++)
		extension_s += host->ended[i] * survival[i] * lifetime_step_s(i);
	scored_fit_init(&view, world, class_id, fit);
	sum = weight[EXTENSION] * extension_s / 3600 * (has_mates ? weight[MATES] : 1);
	sum += weight[REST] * scored_fit_rest(&view);
	if (weight[FRAGMENTATION] != 0)
		sum += weight[FRAGMENTATION] * fragmentation_loss(&state->scored.shapes, &view) / 8;
	if (weight[NODE_IMBALANCE] != 0)
		sum += weight[NODE_IMBALANCE] * scored_fit_node_imbalance(&view);
	if (weight[SIZE_MIX] != 0)
		sum += weight[SIZE_MIX] * scored_size_mix(&state->scored, world, class_id, fit->host);
	return sum + weight[ORDER] * fit->host / 100;
}

static void decide(void *data, const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		   struct allocation_decision *decision)
{
	struct lifetime *state = data;

	scored_decide(&(struct scored_question) { .strategy = &strategy_lifetime,
						  .state = state,
						  .tree = state->scored.tree,
						  .world = world,
						  .class_id = class_id,
						  .now_ms = now_ms },
		      decision);
}

const struct allocation_strategy strategy_lifetime = {
	.info = { .name = "lifetime",
		  .summary = "The fit that is expected to keep its host on for the least longer, by learned lifetimes.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_SCAN,
		  .parameters = parameters,
		  .n_parameters = PARAMETERS },
	.new = new_state,
	.free = free_state,
	.update = update,
	.decide = decide,
	.cost = cost,
};
