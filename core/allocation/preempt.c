/* Which VMs of lower priority to end so that a request fits. Tried out on a copy, host by host: for the lowest priority up to
 * which ending VMs helps, the fewest of them, then those that together hold least of the host's most held dimension. All
 * sets of a size are tried, up to a number of tries a host; beyond it, the VMs are ended lowest priority and smallest
 * first, and those that need not end after all are kept. */
#include "core/allocation/explain.h"

#include <stdlib.h>
#include <string.h>

#include "core/allocation/world_private.h"

#define TRIES_MAX 4096

struct victim {
	uint32_t vm;
	int32_t priority;
	double share; /* dominant, of the host */
};

struct preemption {
	struct allocation_world *world;
	const struct allocation_request *request;
	uint32_t host;
	size_t n_max;
	struct victim *victims; /* lowest priority first, then smallest, then lowest number */
	uint32_t victims_capacity;
	size_t n_victims;
	size_t *chosen; /* [n_max] positions in victims, rising */
	/* The best so far, over all hosts. */
	uint32_t *best; /* [n_max] */
	size_t n_best;  /* 0: none */
	int32_t best_priority;
	double best_share;
	struct allocation_fit best_fit;
};

static uint64_t capacity_of(const struct allocation_world *world, uint32_t host, unsigned d)
{
	return world_headroom_free(&world->hosts[host], d) + world_headroom_used(world, host, d);
}

static uint64_t takes(const struct preemption *preemption, const struct allocation_request *request, unsigned d)
{
	const struct allocation_world *world = preemption->world;
	uint32_t total[ALLOCATION_NODE_DIMENSIONS];

	if (d >= ALLOCATION_NODE_DIMENSIONS)
		return request->amount[d]; /* cppcheck-suppress arrayIndexOutOfBoundsCond */
	world_total(request, &world->types[world->hosts[preemption->host].type].host, total);
	return total[d];
}

static const struct allocation_request *request_of(const struct preemption *preemption, size_t victim)
{
	uint32_t vm = preemption->victims[victim].vm;

	return allocation_world_request(preemption->world, preemption->world->vms[vm].class_id);
}

/* Of the host, what the first n of `chosen` hold together in the dimension they hold most of. */
static double share_of(const struct preemption *preemption, const size_t *chosen, size_t n)
{
	double most = 0;

	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		uint64_t capacity = capacity_of(preemption->world, preemption->host, d);
		uint64_t sum = 0;

		for (size_t i = 0; i < n; i++)
			sum += takes(preemption, request_of(preemption, chosen[i]), d);
		if (capacity > 0 && (double)sum / (double)capacity > most)
			most = (double)sum / (double)capacity;
	}
	return most;
}

static int compare(const struct victim *a, const struct victim *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->share != b->share)
		return a->share < b->share ? -1 : 1;
	return a->vm < b->vm ? -1 : 1;
}

static int compare_victims(const void *a, const void *b)
{
	return compare(a, b);
}

/* false: out of memory. */
static bool gather(struct preemption *preemption)
{
	const struct allocation_world *world = preemption->world;
	size_t n = 0;

	if (!world_array_reserve(&preemption->victims, &preemption->victims_capacity,
				 world->hosts[preemption->host].n_vms, sizeof(*preemption->victims)))
		return false;
	for (uint32_t vm = world->hosts[preemption->host].first_vm; vm != ALLOCATION_NONE; vm = world->vms[vm].next) {
		int32_t priority = allocation_world_request(world, world->vms[vm].class_id)->priority;

		if (priority >= preemption->request->priority)
			continue;
		preemption->victims[n] = (struct victim) { .vm = vm, .priority = priority };
		preemption->victims[n].share = share_of(preemption, &n, 1);
		n++;
	}
	preemption->n_victims = n;
	if (n > 0)
		qsort(preemption->victims, n, sizeof(*preemption->victims), compare_victims);
	return true;
}

/* Whether the request fits with these gone; the world is as before, down to the VMs' numbers. */
static bool fits_without(struct preemption *preemption, const size_t *chosen, size_t n, struct allocation_fit *fit)
{
	struct allocation_world *world = preemption->world;
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	struct allocation_placement gone;
	bool ok;

	if (n == 0) {
		ok = allocation_world_fits(world, preemption->request, preemption->host, fits) > 0;
		if (ok)
			*fit = fits[0];
		return ok;
	}
	gone = world->vms[preemption->victims[chosen[0]].vm];
	world_class_at(world, gone.class_id)->refs++;
	allocation_world_remove(world, preemption->victims[chosen[0]].vm);
	ok = fits_without(preemption, chosen + 1, n - 1, fit);
	/* What was just removed has its place in memory still. */
	allocation_world_place(world, gone.class_id,
			       &(struct allocation_fit) { .host = gone.host, .nodes = gone.nodes }, gone.placed_ms);
	allocation_world_class_unref(world, gone.class_id);
	return ok;
}

static void keep_if_better(struct preemption *preemption, size_t n, const struct allocation_fit *fit)
{
	int32_t priority = preemption->victims[preemption->chosen[n - 1]].priority;
	double share = share_of(preemption, preemption->chosen, n);

	if (preemption->n_best > 0) {
		if (priority != preemption->best_priority ? priority > preemption->best_priority
		    : n != preemption->n_best             ? n > preemption->n_best
							  : share >= preemption->best_share)
			return;
	}
	preemption->n_best = n;
	preemption->best_priority = priority;
	preemption->best_share = share;
	preemption->best_fit = *fit;
	for (size_t i = 0; i < n; i++)
		preemption->best[i] = preemption->victims[preemption->chosen[i]].vm;
}

static bool next_set(size_t *chosen, size_t k, size_t n)
{
	size_t i = k;

	while (i > 0 && chosen[i - 1] == n - k + i - 1)
		i--;
	if (i == 0)
		return false;
	chosen[i - 1]++;
	for (; i < k; i++)
		chosen[i] = chosen[i - 1] + 1;
	return true;
}

/* Whether any k of the first n could free enough, going by sums alone. */
static bool could_suffice(const struct preemption *preemption, size_t k, size_t n)
{
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		uint64_t needed = takes(preemption, preemption->request, d);
		uint64_t free = world_headroom_free(&preemption->world->hosts[preemption->host], d);
		uint64_t largest = 0;

		if (preemption->world->hosts[preemption->host].overdrawn || needed <= free)
			continue;
		for (size_t i = 0; i < n; i++) {
			uint64_t each = takes(preemption, request_of(preemption, i), d);

			if (each > largest)
				largest = each;
		}
		if (needed - free > largest * k)
			return false;
	}
	return true;
}

/* Sets of k of the first n; true when some helped. */
static bool try_sets(struct preemption *preemption, size_t k, size_t n, unsigned *tries)
{
	struct allocation_fit fit;
	bool helped = false;

	for (size_t i = 0; i < k; i++)
		preemption->chosen[i] = i;
	do {
		if (*tries == 0)
			return helped;
		--*tries;
		if (!fits_without(preemption, preemption->chosen, k, &fit))
			continue;
		keep_if_better(preemption, k, &fit);
		helped = true;
	} while (next_set(preemption->chosen, k, n));
	return helped;
}

/* End from the lowest on until it fits, then keep those, highest first, without which it fits as well. */
static bool try_in_order(struct preemption *preemption, size_t n)
{
	struct allocation_fit fit;
	size_t k = 0;

	while (k < n && k < preemption->n_max) {
		preemption->chosen[k] = k;
		k++;
		if (fits_without(preemption, preemption->chosen, k, &fit))
			break;
	}
	if (k == 0 || !fits_without(preemption, preemption->chosen, k, &fit))
		return false;
	for (size_t i = k; i-- > 0;) {
		size_t spared = preemption->chosen[i];

		memmove(&preemption->chosen[i], &preemption->chosen[i + 1], (k - i - 1) * sizeof(size_t));
		if (k > 1 && fits_without(preemption, preemption->chosen, k - 1, &fit)) {
			k--;
			continue;
		}
		memmove(&preemption->chosen[i + 1], &preemption->chosen[i], (k - i - 1) * sizeof(size_t));
		preemption->chosen[i] = spared;
	}
	fits_without(preemption, preemption->chosen, k, &fit);
	keep_if_better(preemption, k, &fit);
	return true;
}

/* With the victims of the lowest priorities only, then with more. */
static void try_host(struct preemption *preemption)
{
	unsigned tries = TRIES_MAX;

	for (size_t n = 1; n <= preemption->n_victims; n++) {
		int32_t priority = preemption->victims[n - 1].priority;
		size_t k_max = n < preemption->n_max ? n : preemption->n_max;
		bool helped = false;

		if (n < preemption->n_victims && preemption->victims[n].priority == priority)
			continue;
		if (preemption->n_best > 0 && priority > preemption->best_priority)
			return;
		if (preemption->n_best > 0 && priority == preemption->best_priority && preemption->n_best < k_max)
			k_max = preemption->n_best;
		for (size_t k = 1; k <= k_max && !helped && tries > 0; k++)
			if (could_suffice(preemption, k, n))
				helped = try_sets(preemption, k, n, &tries);
		if (!helped && tries == 0)
			helped = try_in_order(preemption, n);
		if (helped)
			return;
	}
}

/* Ending VMs changes what the host has and who is near, not what it is. */
static bool may_help(enum allocation_constraint violated)
{
	return violated >= ALLOCATION_IS_EXCLUSIVE && violated != ALLOCATION_BREAKS_AFFINITY;
}

static void try_all(struct preemption *preemption)
{
	for (uint32_t host = 0; host < preemption->world->n_hosts; host++) {
		preemption->host = host;
		if (may_help(allocation_world_violates(preemption->world, preemption->request, host)) &&
		    gather(preemption))
			try_host(preemption);
	}
}

static bool fits_anyway(const struct allocation_world *world, uint32_t class_id, struct allocation_fit *fit)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct allocation_fit fits[ALLOCATION_NODES_MAX];

	for (uint32_t host = 0; host < world->n_hosts; host++) {
		if (allocation_world_fits(world, request, host, fits) == 0)
			continue;
		*fit = fits[0];
		return true;
	}
	return false;
}

size_t allocation_preempt(const struct allocation_world *world, uint32_t class_id, uint32_t *vms, size_t n_max,
			  struct allocation_fit *fit)
{
	struct preemption preemption = { .best = vms, .n_max = n_max };

	*fit = (struct allocation_fit) { .host = ALLOCATION_NONE };
	if (n_max == 0 || fits_anyway(world, class_id, fit))
		return 0;
	preemption.world = allocation_world_copy(world);
	preemption.chosen = calloc(n_max, sizeof(size_t));
	if (preemption.world != NULL && preemption.chosen != NULL) {
		preemption.request = allocation_world_request(preemption.world, class_id);
		try_all(&preemption);
	}
	if (preemption.n_best > 0)
		*fit = preemption.best_fit;
	allocation_world_free(preemption.world);
	free(preemption.victims);
	free(preemption.chosen);
	return preemption.n_best;
}
