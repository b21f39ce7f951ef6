/* The smallest single change that would let in a request that fits nowhere. Asking for less of one dimension comes first,
 * as long as at least half of it remains, or it is a reservation; then giving up one constraint, the one most hosts would
 * then take it without; spanning NUMA nodes; taking a host back into service; and last, asking for much less. */
#include "core/allocation/explain_private.h"

#include <string.h>

#include "core/allocation/world_private.h"

static bool fits(const struct allocation_world *world, const struct allocation_request *request, uint32_t host)
{
	struct allocation_fit unused[ALLOCATION_NODES_MAX];

	return allocation_world_fits(world, request, host, unused) > 0;
}

/* ---- shrink ---- */

/* What is asked for in whole vCPUs, pages or percents of a CPU stays whole. */
static uint32_t unit_of(const struct allocation_request *request, unsigned d)
{
	static const uint32_t units[ALLOCATION_DIMENSIONS] = { [ALLOCATION_CPU] = 1000,
							       [ALLOCATION_HUGE_2M] = 2,
							       [ALLOCATION_HUGE_1G] = 1024,
							       [ALLOCATION_CPU_RESERVE] = 10 };

	return units[d] > 0 && request->amount[d] % units[d] == 0 ? units[d] : 1;
}

static bool fits_with(const struct allocation_world *world, const struct allocation_request *request, uint32_t host,
		      unsigned d, uint32_t amount)
{
	struct allocation_request less;

	memcpy(&less, request, sizeof(less));
	less.amount[d] = amount;
	return fits(world, &less, host);
}

/* The most of d that fits there, if it is more than `at_least`; else `at_least`. */
static uint32_t most(const struct allocation_world *world, const struct allocation_request *request, uint32_t host,
		     unsigned d, uint32_t at_least)
{
	uint32_t unit = unit_of(request, d);
	uint32_t low = at_least / unit + 1;
	uint32_t high = request->amount[d] / unit;

	if (low >= high || !fits_with(world, request, host, d, low * unit))
		return at_least;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (fits_with(world, request, host, d, middle * unit))
			low = middle;
		else
			high = middle;
	}
	return low * unit;
}

static bool is_of_amount(enum allocation_constraint violated)
{
	return (violated >= ALLOCATION_LACKS_CPU && violated <= ALLOCATION_LACKS_NUMA) ||
	       violated == ALLOCATION_BREAKS_HEADROOM;
}

static struct allocation_relief shrink(const struct allocation_world *world, const struct allocation_request *request)
{
	struct allocation_relief relief = { .kind = ALLOCATION_RELIEF_NONE, .host = ALLOCATION_NONE };
	uint32_t best[ALLOCATION_DIMENSIONS] = { 0 };
	double share = 0;

	for (uint32_t host = 0; host < world->n_hosts; host++) {
		if (!is_of_amount(allocation_world_violates(world, request, host)))
			continue;
		for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
			uint32_t amount = most(world, request, host, d, best[d]);

			if (amount == best[d])
				continue;
			best[d] = amount;
			if ((double)amount / request->amount[d] <= share)
				continue;
			share = (double)amount / request->amount[d];
			relief = (struct allocation_relief) {
				.kind = ALLOCATION_RELIEF_SHRINK, .dimension = d, .host = host, .amount = amount
			};
		}
	}
	return relief;
}

/* ---- drop ---- */

static void drop_terms(struct allocation_request *request, bool anti)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX; i++)
		if (request->term[i].group != 0 && (request->term[i].anti != anti || request->term[i].soft_weight > 0))
			request->term[kept++] = request->term[i];
	memset(&request->term[kept], 0, (ALLOCATION_TERMS_MAX - kept) * sizeof(request->term[0]));
}

static void drop_spreads(struct allocation_request *request)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX; i++)
		if (request->spread[i].group != 0 && request->spread[i].soft_weight > 0)
			request->spread[kept++] = request->spread[i];
	memset(&request->spread[kept], 0, (ALLOCATION_SPREADS_MAX - kept) * sizeof(request->spread[0]));
}

/* false: it is not the request's to give up. */
static bool drop(struct allocation_request *request, enum allocation_constraint constraint)
{
	switch (constraint) {
	case ALLOCATION_LACKS_CPU_MODEL:
		request->cpu_level = 0;
		return true;
	case ALLOCATION_LACKS_LABEL:
		request->labels_required = request->labels_forbidden = 0;
		return true;
	case ALLOCATION_IS_TAINTED:
		request->tolerates = UINT64_MAX;
		return true;
	case ALLOCATION_IS_EXCLUSIVE:
		request->exclusive_host = 0;
		return true;
	case ALLOCATION_LACKS_CPU_RESERVE: /* it can run without, and as well as others do */
		request->amount[ALLOCATION_CPU_RESERVE] = 0;
		return true;
	case ALLOCATION_BREAKS_AFFINITY:
		drop_terms(request, false);
		return true;
	case ALLOCATION_BREAKS_ANTI_AFFINITY:
		drop_terms(request, true);
		return true;
	case ALLOCATION_BREAKS_SPREAD:
		drop_spreads(request);
		return true;
	default:
		return false;
	}
}

static struct allocation_relief give_up(const struct allocation_world *world, const struct allocation_request *request)
{
	struct allocation_relief relief = { .kind = ALLOCATION_RELIEF_NONE, .host = ALLOCATION_NONE };
	uint32_t n_hosts[ALLOCATION_CONSTRAINTS] = { 0 };
	uint32_t first[ALLOCATION_CONSTRAINTS];
	uint32_t most_hosts = 0;

	for (uint32_t host = 0; host < world->n_hosts; host++) {
		enum allocation_constraint violated = allocation_world_violates(world, request, host);
		struct allocation_request without;

		memcpy(&without, request, sizeof(without));
		if (violated == ALLOCATION_CONSTRAINTS || !drop(&without, violated) || !fits(world, &without, host))
			continue;
		if (n_hosts[violated]++ == 0)
			first[violated] = host;
	}
	for (unsigned c = 0; c < ALLOCATION_CONSTRAINTS; c++) {
		if (n_hosts[c] <= most_hosts)
			continue;
		most_hosts = n_hosts[c];
		relief = (struct allocation_relief) { .kind = ALLOCATION_RELIEF_DROP,
						      .constraint = c,
						      .host = first[c] };
	}
	return relief;
}

/* ---- split, uncordon ---- */

static struct allocation_relief split(const struct allocation_world *world, const struct allocation_request *request)
{
	struct allocation_relief relief = { .kind = ALLOCATION_RELIEF_NONE, .host = ALLOCATION_NONE };
	struct allocation_request any;

	if (request->numa == ALLOCATION_NUMA_ANY)
		return relief;
	memcpy(&any, request, sizeof(any));
	any.numa = ALLOCATION_NUMA_ANY;
	any.numa_nodes = 0;
	for (uint32_t host = 0; host < world->n_hosts; host++) {
		struct allocation_fit at[ALLOCATION_NODES_MAX];
		uint32_t n_nodes;

		if (allocation_world_violates(world, request, host) != ALLOCATION_LACKS_NUMA ||
		    allocation_world_fits(world, &any, host, at) == 0)
			continue;
		n_nodes = (uint32_t)__builtin_popcount(at[0].nodes);
		if (relief.kind == ALLOCATION_RELIEF_NONE || n_nodes < relief.amount)
			relief = (struct allocation_relief) { .kind = ALLOCATION_RELIEF_SPLIT,
							      .host = host,
							      .amount = n_nodes };
	}
	return relief;
}

static struct allocation_relief uncordon(struct allocation_world *world, const struct allocation_request *request)
{
	struct allocation_relief relief = { .kind = ALLOCATION_RELIEF_NONE, .host = ALLOCATION_NONE };
	unsigned tries = world->headroom != NULL ? 16 : UINT32_MAX; /* each looks at all hosts then */

	for (uint32_t host = 0; host < world->n_hosts && relief.kind == ALLOCATION_RELIEF_NONE && tries > 0; host++) {
		if (!world->hosts[host].present || !world->hosts[host].cordoned)
			continue;
		tries--;
		world->hosts[host].cordoned = false;
		if (world->headroom != NULL)
			world->headroom->known = false;
		if (fits(world, request, host))
			relief = (struct allocation_relief) { .kind = ALLOCATION_RELIEF_UNCORDON, .host = host };
		world->hosts[host].cordoned = true;
		if (world->headroom != NULL)
			world->headroom->known = false;
	}
	return relief;
}

struct allocation_relief explain_relief(struct allocation_world *world, const struct allocation_request *request)
{
	struct allocation_relief less = shrink(world, request);
	struct allocation_relief other;

	/* Keeping less for it is less of a change than keeping nothing. */
	if (less.kind != ALLOCATION_RELIEF_NONE &&
	    (less.dimension == ALLOCATION_CPU_RESERVE || less.amount >= request->amount[less.dimension] / 2))
		return less;
	other = give_up(world, request);
	if (other.kind == ALLOCATION_RELIEF_NONE)
		other = split(world, request);
	if (other.kind == ALLOCATION_RELIEF_NONE)
		other = uncordon(world, request);
	return other.kind != ALLOCATION_RELIEF_NONE ? other : less;
}
