#include "strategy_walk.h"

#include <string.h>

#include "world_model.h"

#define SEED 7

struct walk {
	const struct walk_options *options;
	struct walk_result *result;
	struct allocation_world *world;
	struct strategy_random random;
	const struct allocation_strategy *strategy[WALK_STRATEGIES_MAX];
	struct strategy_values values[WALK_STRATEGIES_MAX];
	void *state[WALK_STRATEGIES_MAX];
	guint n;
	guint32 class_id[WALK_CLASSES];
	GArray *vms; /* guint32 */
	gint64 now_ms;
};

guint64 walk_seed(guint64 initial)
{
	const char *given = g_getenv("POLDER_TEST_SEED");
	guint64 seed = given ? g_ascii_strtoull(given, NULL, 10) : initial;

	g_test_message("seed %" G_GUINT64_FORMAT " (POLDER_TEST_SEED)", seed);
	return seed;
}

gboolean walk_is_long(void)
{
	return g_getenv("POLDER_TEST_LONG") != NULL;
}

static guint below(struct walk *walk, guint n)
{
	return (guint)strategy_random_below(&walk->random, n);
}

static void tell(struct walk *walk, const struct allocation_event *event)
{
	for (guint i = 0; i < walk->n; i++)
		g_assert_true(walk->strategy[i]->update(walk->state[i], walk->world, event));
}

static void tell_host(struct walk *walk, guint32 host)
{
	tell(walk, &(struct allocation_event) { .change = ALLOCATION_HOST_CHANGED,
						.vm = ALLOCATION_NONE,
						.class_id = ALLOCATION_NONE,
						.host = host,
						.now_ms = walk->now_ms });
}

static struct allocation_host a_host(struct walk *walk)
{
	struct allocation_host host = model_random_host(&walk->random);

	if (walk->options->zones) {
		host.zone = 1 + below(walk, walk->options->zones);
		host.rack = 1 + below(walk, walk->options->hosts / 8 + 1);
	}
	return host;
}

static gboolean is_valid(const struct allocation_world *world, guint32 class_id, const struct allocation_fit *fit)
{
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	unsigned n = allocation_world_fits(world, allocation_world_request(world, class_id), fit->host, fits);

	for (unsigned i = 0; i < n; i++)
		if (fits[i].nodes == fit->nodes)
			return TRUE;
	return FALSE;
}

static void assert_same(const struct walk *walk, guint i, guint32 class_id, const struct allocation_decision *one,
			const struct allocation_decision *other)
{
	const struct allocation_request *request = allocation_world_request(walk->world, class_id);

	if (one->fit.host == other->fit.host &&
	    (one->fit.host == ALLOCATION_NONE || (one->fit.nodes == other->fit.nodes)))
		return;
	g_error("%s, seed %" G_GUINT64_FORMAT ", after %" G_GUINT64_FORMAT
		" comparisons: host %u nodes %x penalty %u cost %g, "
		"but host %u nodes %x penalty %u cost %g; numa %u of %u, class %u",
		walk->strategy[i]->info.name, walk->options->seed, walk->result->compared, one->fit.host,
		one->fit.nodes, one->penalty, one->cost, other->fit.host, other->fit.nodes, other->penalty, other->cost,
		request->numa, request->numa_nodes, class_id);
}

/* One strategy on one request: by its index, by the scan, twice. */
static struct allocation_decision ask(struct walk *walk, guint i, guint32 class_id, guint32 least_penalty)
{
	const struct allocation_strategy *strategy = walk->strategy[i];
	struct allocation_decision decision, again;
	gboolean is_chance = strategy->info.index == STRATEGY_INDEX_BOUNDED;

	strategy->decide(walk->state[i], walk->world, class_id, walk->now_ms, &decision);
	strategy->decide(walk->state[i], walk->world, class_id, walk->now_ms, &again);
	assert_same(walk, i, class_id, &decision, &again);
	if (decision.fit.host == ALLOCATION_NONE) {
		g_assert_cmpuint(least_penalty, ==, G_MAXUINT32);
	} else {
		g_assert_true(is_valid(walk->world, class_id, &decision.fit));
		g_assert_cmpuint(decision.penalty, ==,
				 allocation_world_penalty(walk->world, allocation_world_request(walk->world, class_id),
							  decision.fit.host));
		g_assert_cmpuint(decision.penalty, ==, least_penalty);
		walk->result->penalized += decision.penalty > 0;
	}
	if (!is_chance) {
		allocation_scan(strategy, walk->state[i], walk->world, class_id, walk->now_ms, &again);
		assert_same(walk, i, class_id, &decision, &again);
		if (decision.fit.host != ALLOCATION_NONE)
			g_assert_true(decision.cost == again.cost);
	}
	walk->result->compared++;
	walk->result->placed += decision.fit.host != ALLOCATION_NONE;
	walk->result->digest = walk->result->digest * 31 + decision.fit.host * 256 + decision.fit.nodes;
	return decision;
}

/* The least penalty of any host that takes it; G_MAXUINT32: none does. */
static guint32 least_penalty(const struct walk *walk, guint32 class_id)
{
	const struct allocation_request *request = allocation_world_request(walk->world, class_id);
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	guint32 least = G_MAXUINT32;

	for (guint32 host = 0; host < allocation_world_n_hosts(walk->world); host++)
		if (allocation_world_fits(walk->world, request, host, fits))
			least = MIN(least, allocation_world_penalty(walk->world, request, host));
	return least;
}

static void place(struct walk *walk)
{
	guint which = below(walk, walk->n);
	guint32 class_id = walk->class_id[below(walk, WALK_CLASSES)];
	guint32 least = least_penalty(walk, class_id);
	struct allocation_fit fit = { .host = ALLOCATION_NONE };

	for (guint i = 0; i < walk->n; i++) {
		struct allocation_decision decision = ask(walk, i, class_id, least);

		if (i == which)
			fit = decision.fit;
	}
	if (fit.host == ALLOCATION_NONE)
		return;
	guint32 vm = allocation_world_place(walk->world, class_id, &fit, walk->now_ms);
	g_array_append_val(walk->vms, vm);
	tell(walk, &(struct allocation_event) { .change = ALLOCATION_PLACED,
						.vm = vm,
						.class_id = class_id,
						.host = fit.host,
						.nodes = fit.nodes,
						.now_ms = walk->now_ms });
}

static void end(struct walk *walk)
{
	if (walk->vms->len == 0)
		return;
	guint at = below(walk, walk->vms->len);
	guint32 vm = g_array_index(walk->vms, guint32, at);
	const struct allocation_placement *placement = allocation_world_placement(walk->world, vm);
	struct allocation_event event = { .change = ALLOCATION_REMOVED,
					  .vm = vm,
					  .class_id = placement->class_id,
					  .host = placement->host,
					  .nodes = placement->nodes,
					  .now_ms = walk->now_ms,
					  .lived_ms = walk->now_ms - placement->placed_ms };

	allocation_world_remove(walk->world, vm);
	g_array_remove_index_fast(walk->vms, at);
	tell(walk, &event);
}

static void change_host(struct walk *walk)
{
	guint32 n = allocation_world_n_hosts(walk->world);
	guint32 host = below(walk, n);
	const struct allocation_host_state *state = &allocation_world_hosts(walk->world)[host];
	guint what = below(walk, 5);

	if (what == 0 || !state->present) {
		struct allocation_host other = a_host(walk);

		host = allocation_world_host_add(walk->world, &other);
		g_assert_cmpuint(host, !=, ALLOCATION_NONE);
	} else if (what == 1) {
		if (state->n_vms > 0)
			return;
		allocation_world_host_remove(walk->world, host);
	} else if (what == 2) {
		allocation_world_host_power(walk->world, host, !state->powered);
	} else {
		struct allocation_host other = a_host(walk);

		if (what == 3) { /* the same machine, described otherwise */
			struct allocation_host now = *allocation_world_type(walk->world, state->type);

			now.labels = other.labels;
			now.taints = other.taints;
			now.rack = other.rack;
			now.zone = other.zone;
			now.cordoned = !state->cordoned;
			now.powered = TRUE;
			other = now;
		}
		g_assert_true(allocation_world_host_change(walk->world, host, &other));
	}
	tell_host(walk, host);
}

static void rebuild(struct walk *walk)
{
	for (guint i = 0; i < walk->n; i++) {
		const struct allocation_strategy *strategy = walk->strategy[i];
		void *anew;

		/* What it has learned of the past is in no snapshot: test_lifetime.c says what else must be the same. */
		if (g_str_equal(strategy->info.name, "lifetime"))
			continue;
		anew = strategy->new (walk->world, &walk->values[i], SEED);
		g_assert_nonnull(anew);
		for (guint j = 0; j < 8; j++) {
			guint32 class_id = walk->class_id[below(walk, WALK_CLASSES)];
			struct allocation_decision updated, made;

			strategy->decide(walk->state[i], walk->world, class_id, walk->now_ms, &updated);
			strategy->decide(anew, walk->world, class_id, walk->now_ms, &made);
			assert_same(walk, i, class_id, &updated, &made);
			walk->result->rebuilt++;
		}
		strategy->free(anew);
	}
}

static void prepare(struct walk *walk)
{
	for (guint i = 0; i < walk->options->hosts; i++) {
		struct allocation_host host = a_host(walk);

		g_assert_cmpuint(allocation_world_host_add(walk->world, &host), !=, ALLOCATION_NONE);
	}
	for (guint i = 0; i < WALK_CLASSES; i++) {
		struct allocation_request request = model_random_request(&walk->random);

		walk->class_id[i] = allocation_world_class(walk->world, &request);
		g_assert_cmpuint(walk->class_id[i], !=, ALLOCATION_NONE);
	}
	for (size_t i = 0; i < allocation_n_strategies; i++) {
		const struct allocation_strategy *strategy = allocation_strategies[i];

		if (strategy->info.kind != STRATEGY_ONLINE ||
		    (walk->options->exact_only && strategy->info.index != STRATEGY_INDEX_EXACT))
			continue;
		g_assert_cmpuint(walk->n, <, WALK_STRATEGIES_MAX);
		strategy_values_init(&strategy->info, &walk->values[walk->n]);
		walk->strategy[walk->n] = strategy;
		walk->state[walk->n] = strategy->new (walk->world, &walk->values[walk->n], SEED);
		g_assert_nonnull(walk->state[walk->n++]);
	}
}

void walk_run(const struct walk_options *options, struct walk_result *result)
{
	struct walk walk = { .options = options, .result = result, .world = allocation_world_new() };

	walk.vms = g_array_new(FALSE, FALSE, sizeof(guint32));
	strategy_random_init(&walk.random, options->seed);
	prepare(&walk);
	for (guint step = 0; step < options->steps; step++) {
		guint what = below(&walk, 100);

		walk.now_ms += below(&walk, 3); /* ties plenty */
		if (what < 60)
			place(&walk);
		else if (what < 95)
			end(&walk);
		else
			change_host(&walk);
		if (options->rebuild && step % options->rebuild == 0)
			rebuild(&walk);
	}
	for (guint i = 0; i < walk.n; i++)
		walk.strategy[i]->free(walk.state[i]);
	g_array_unref(walk.vms);
	allocation_world_free(walk.world);
}
