/* allocation_speed HOSTS VMS_PER_HOST plain|relational PAIRS SCANS SEED: fill a fleet to 85 % with best-fit, then delete and
 * create in pairs, and the same with the linear scan; one JSON object on stdout. Rates are of one
 * thread's CPU time, so that neighbours on the machine do not count; the time of each placement is by the wall clock. What
 * the benchmark itself takes to draw a class and a victim is measured alone, and told beside it; placing and removing are
 * also timed apart, many at a time.
 *
 * The fleet: two NUMA nodes a host, racks of 40 hosts, every third in one of three zones when relational. Two hosts in twenty keep most of their
 * memory as 2M pages, one half of it as 1G pages, all tainted, so that only who asks for huge pages goes there; one more has
 * one of two other taints. The requests: 1,024 sizes with Zipf popularity (exponent 1). When relational, VMs come in groups
 * of 16 that keep apart by host, spread over hosts, racks and zones, keep apart softly by rack, or stay in one zone. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/allocation/family.h"
#include "core/strategy/random.h"

#define CLASSES      1024
#define GROUP_SIZE   16
#define FULL_PERCENT 85
#define RACK_HOSTS   40
#define ENGINE       1u
#define BATCH        256 /* removed, then placed, when each is timed apart */

struct fleet {
	struct allocation_world *world;
	void *state; /* the strategy's */
	const struct allocation_strategy *strategy;
	struct strategy_random random;
	bool relational;
	struct allocation_request request[CLASSES];
	uint32_t class_id[CLASSES];
	uint32_t joined[CLASSES]; /* members of the class's latest group so far */
	uint32_t n_groups;
	double popularity[CLASSES]; /* summed up */
	uint32_t *vms;
	uint32_t n_vms;
	uint32_t victim; /* in vms: the next to go, drawn ahead so that its entry is near by then */
	uint64_t refused;
	int64_t now_ms;
};

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint32_t below(struct fleet *fleet, uint32_t n)
{
	return (uint32_t)strategy_random_below(&fleet->random, n);
}

static void die(const char *what)
{
	fprintf(stderr, "allocation_speed: %s\n", what);
	exit(1);
}

/* 96 vCPUs and 384 GiB for 34 VMs. */
static void add_hosts(struct fleet *fleet, uint32_t n, uint32_t vms_per_host)
{
	for (uint32_t i = 0; i < n; i++) {
		struct allocation_host host = {
			.n_nodes = 2, .threads_per_core = 2, .engines = ENGINE, .powered = true
		};
		uint32_t kind = below(fleet, 20), memory = vms_per_host * 192 * 1024 / 34;

		for (unsigned node = 0; node < 2; node++) {
			uint32_t *capacity = host.node_capacity[node];

			capacity[ALLOCATION_CPU] = vms_per_host * 48000 / 34;
			capacity[ALLOCATION_MEMORY] = memory;
			if (kind == 3 || kind == 4) {
				capacity[ALLOCATION_HUGE_2M] = memory / 4 * 3;
				capacity[ALLOCATION_MEMORY] -= memory / 4 * 3;
			}
			if (kind == 5) {
				capacity[ALLOCATION_HUGE_1G] = memory / 2 / 1024 * 1024;
				capacity[ALLOCATION_MEMORY] -= capacity[ALLOCATION_HUGE_1G];
			}
		}
		host.capacity[0] = host.capacity[1] = 1u << 30;
		host.taints = kind == 19 ? 1ull << (i & 1) : kind == 5 ? 4 : kind == 3 || kind == 4 ? 8 : 0;
		host.cpu_level = 3;
		host.rack = 1 + i / RACK_HOSTS;
		host.zone = fleet->relational ? 1 + i / RACK_HOSTS % 3 : 1;
		if (allocation_world_host_add(fleet->world, &host) == ALLOCATION_NONE)
			die("out of memory");
	}
}

/* Amounts as sold: vCPUs in powers of two, memory of 1 to 5 GiB a vCPU in quarters. */
static void draw_request(struct fleet *fleet, uint32_t which)
{
	static const uint32_t cpus[] = { 1, 1, 1, 1, 2, 2, 2, 2, 4, 8 };
	struct allocation_request *request = &fleet->request[which];
	uint32_t n = cpus[below(fleet, 10)], kind = which % 128 == 100 ? 1 : which % 16 == 9 ? 0 : 2;
	uint32_t memory = n * (4 + below(fleet, 17)) * 256;

	memset(request, 0, sizeof(*request));
	request->engine = ENGINE;
	request->amount[ALLOCATION_CPU] = n * 1000;
	request->amount[ALLOCATION_DISK] = 1 + below(fleet, 16);
	request->tenant = 1 + which / 4;
	request->cpu_level = 1 + below(fleet, 3);
	request->numa = below(fleet, 4) ? ALLOCATION_NUMA_ONE : ALLOCATION_NUMA_ANY;
	request->tolerates = below(fleet, 10) == 0 ? 3 : 0;
	if (kind == 0)
		request->amount[ALLOCATION_HUGE_2M] = memory, request->tolerates |= 8;
	else if (kind == 1)
		request->amount[ALLOCATION_HUGE_1G] = (memory + 1023) / 1024 * 1024, request->tolerates |= 4;
	else
		request->amount[ALLOCATION_MEMORY] = memory;
}

static void draw_requests(struct fleet *fleet)
{
	double sum = 0;

	for (uint32_t i = 0; i < CLASSES; i++) {
		draw_request(fleet, i);
		sum += 1.0 / (i + 1);
		fleet->popularity[i] = sum;
		fleet->class_id[i] = allocation_world_class(fleet->world, &fleet->request[i]);
		if (fleet->class_id[i] == ALLOCATION_NONE)
			die("out of memory");
	}
}

static uint32_t draw_class(struct fleet *fleet)
{
	double at = strategy_random_unit(&fleet->random) * fleet->popularity[CLASSES - 1];
	uint32_t low = 0, high = CLASSES - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (fleet->popularity[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The next group of a class: the same size, another group. */
static void regroup(struct fleet *fleet, uint32_t which)
{
	struct allocation_request request = fleet->request[which];
	uint32_t group = ++fleet->n_groups;

	request.member_of[0] = group;
	switch (which % 5) {
	case 0:
	case 1:
		request.term[0] = (struct allocation_term) { .group = group, .level = ALLOCATION_HOST, .anti = true };
		break;
	case 2:
		for (unsigned level = 0; level < ALLOCATION_LEVELS; level++)
			request.spread[level] =
				(struct allocation_spread) { .group = group, .level = (uint8_t)level, .max_skew = 1 };
		break;
	case 3:
		request.term[0] = (struct allocation_term) {
			.group = group, .level = ALLOCATION_RACK, .anti = true, .soft_weight = 10
		};
		break;
	default:
		request.term[0] = (struct allocation_term) { .group = group, .level = ALLOCATION_ZONE };
		request.term[1] = (struct allocation_term) { .group = group, .level = ALLOCATION_HOST, .anti = true };
	}
	allocation_world_class_unref(fleet->world, fleet->class_id[which]);
	fleet->class_id[which] = allocation_world_class(fleet->world, &request);
	if (fleet->class_id[which] == ALLOCATION_NONE)
		die("out of memory");
	fleet->joined[which] = 0;
}

static uint32_t next_class(struct fleet *fleet)
{
	uint32_t which = draw_class(fleet);

	if (fleet->relational && fleet->joined[which]++ % GROUP_SIZE == 0)
		regroup(fleet, which), fleet->joined[which] = 1;
	return fleet->class_id[which];
}

static void tell(struct fleet *fleet, const struct allocation_event *event)
{
	if (!fleet->strategy->update(fleet->state, fleet->world, event))
		die("out of memory");
}

static bool create(struct fleet *fleet, bool scan)
{
	uint32_t class_id = next_class(fleet), vm;
	struct allocation_decision decision;

	fleet->now_ms++;
	if (scan)
		allocation_scan(fleet->strategy, fleet->state, fleet->world, class_id, fleet->now_ms, &decision);
	else
		fleet->strategy->decide(fleet->state, fleet->world, class_id, fleet->now_ms, &decision);
	if (decision.fit.host == ALLOCATION_NONE) {
		fleet->refused++;
		return false;
	}
	vm = allocation_world_place(fleet->world, class_id, &decision.fit, fleet->now_ms);
	if (vm == ALLOCATION_NONE)
		die("out of memory");
	tell(fleet, &(struct allocation_event) { .change = ALLOCATION_PLACED,
						 .vm = vm,
						 .class_id = class_id,
						 .host = decision.fit.host,
						 .nodes = decision.fit.nodes,
						 .now_ms = fleet->now_ms });
	fleet->vms[fleet->n_vms++] = vm;
	return true;
}

static void draw_victim(struct fleet *fleet)
{
	fleet->victim = below(fleet, fleet->n_vms);
	__builtin_prefetch(&fleet->vms[fleet->victim], 1);
}

static void delete (struct fleet *fleet)
{
	if (fleet->victim >= fleet->n_vms)
		draw_victim(fleet);
	uint32_t at = fleet->victim, vm = fleet->vms[at];

	fleet->vms[at] = fleet->vms[--fleet->n_vms];
	const struct allocation_placement *placement = allocation_world_placement(fleet->world, vm);
	struct allocation_event event = { .change = ALLOCATION_REMOVED,
					  .vm = vm,
					  .class_id = placement->class_id,
					  .host = placement->host,
					  .nodes = placement->nodes,
					  .now_ms = fleet->now_ms,
					  .lived_ms = fleet->now_ms - placement->placed_ms };

	allocation_world_remove(fleet->world, vm);
	tell(fleet, &event);
	draw_victim(fleet);
}

/* Delete one, create one: seconds for n of them. */
static double pairs(struct fleet *fleet, uint32_t n, bool scan)
{
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);

	for (uint32_t i = 0; i < n; i++) {
		delete (fleet);
		create(fleet, scan);
	}
	return seconds(CLOCK_THREAD_CPUTIME_ID) - start;
}

/* Seconds for removing and for placing n, as many at a time as change nothing about how full the fleet is. */
static void batches(struct fleet *fleet, uint32_t n, double *removing, double *placing)
{
	*removing = *placing = 0;
	for (uint32_t done = 0; done < n; done += BATCH) {
		double start = seconds(CLOCK_THREAD_CPUTIME_ID), middle;

		for (uint32_t i = 0; i < BATCH; i++)
			delete (fleet);
		middle = seconds(CLOCK_THREAD_CPUTIME_ID);
		for (uint32_t i = 0; i < BATCH; i++)
			create(fleet, false);
		*removing += middle - start;
		*placing += seconds(CLOCK_THREAD_CPUTIME_ID) - middle;
	}
}

/* What the benchmark takes of n pairs: the draws, and the tables they are looked up in. */
static double own(struct fleet *fleet, uint32_t n)
{
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);
	volatile uint32_t drawn;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = fleet->victim, vm = fleet->vms[at];

		fleet->vms[at] = fleet->vms[fleet->n_vms - 1];
		fleet->vms[fleet->n_vms - 1] = vm;
		draw_victim(fleet);
		drawn = draw_class(fleet);
	}
	(void)drawn;
	return seconds(CLOCK_THREAD_CPUTIME_ID) - start;
}

/* Microseconds of a decision on requests that single nodes do not answer: over two nodes; on the host of another VM; softly
 * near a group that is nowhere; softly apart by zone from a group that is in all of them. */
enum { CASE_SPLIT, CASE_NEAR, CASE_NOWHERE, CASE_EVERYWHERE, CASES };

static void place_case(struct fleet *fleet, const struct allocation_request *request, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct allocation_decision decision;
		uint32_t class_id = allocation_world_class(fleet->world, request), vm = ALLOCATION_NONE;

		fleet->strategy->decide(fleet->state, fleet->world, class_id, fleet->now_ms, &decision);
		if (decision.fit.host != ALLOCATION_NONE)
			vm = allocation_world_place(fleet->world, class_id, &decision.fit, fleet->now_ms);
		allocation_world_class_unref(fleet->world, class_id);
		if (vm == ALLOCATION_NONE)
			continue;
		tell(fleet, &(struct allocation_event) { .change = ALLOCATION_PLACED,
							 .vm = vm,
							 .class_id = class_id,
							 .host = decision.fit.host,
							 .nodes = decision.fit.nodes,
							 .now_ms = fleet->now_ms });
		fleet->vms[fleet->n_vms++] = vm;
	}
}

static double decide_case(struct fleet *fleet, const struct allocation_request *request)
{
	struct allocation_decision decision;
	uint32_t class_id = allocation_world_class(fleet->world, request), n = 0;
	double start = seconds(CLOCK_THREAD_CPUTIME_ID), end;

	do {
		fleet->strategy->decide(fleet->state, fleet->world, class_id, fleet->now_ms, &decision);
		n++;
		end = seconds(CLOCK_THREAD_CPUTIME_ID);
	} while (end - start < 0.05);
	allocation_world_class_unref(fleet->world, class_id);
	return (end - start) / n * 1e6;
}

static void cases(struct fleet *fleet, double micros[CASES])
{
	struct allocation_request plain = { .amount = { 2000, 4096 }, .engine = ENGINE, .cpu_level = 1 };
	struct allocation_request member = plain, request = plain;
	uint32_t group = fleet->n_groups + 1;

	request.numa = ALLOCATION_NUMA_SPLIT;
	request.numa_nodes = 2;
	place_case(fleet, &request, 2); /* from the second on they are filed for it */
	micros[CASE_SPLIT] = decide_case(fleet, &request);
	request = plain;
	member.member_of[0] = group;
	place_case(fleet, &member, 1);
	request.term[0] = (struct allocation_term) { .group = group, .level = ALLOCATION_HOST };
	micros[CASE_NEAR] = decide_case(fleet, &request);
	request.term[0] = (struct allocation_term) { .group = group + 1, .level = ALLOCATION_HOST, .soft_weight = 10 };
	micros[CASE_NOWHERE] = decide_case(fleet, &request);
	member.member_of[0] = group + 2;
	member.spread[0] = (struct allocation_spread) { .group = group + 2, .level = ALLOCATION_ZONE, .max_skew = 1 };
	place_case(fleet, &member, 3);
	request.term[0] = (struct allocation_term) {
		.group = group + 2, .level = ALLOCATION_ZONE, .anti = true, .soft_weight = 10
	};
	micros[CASE_EVERYWHERE] = decide_case(fleet, &request);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The time of each placement, decided and booked, sorted. */
static void latencies(struct fleet *fleet, uint32_t n, double *samples)
{
	for (uint32_t i = 0; i < n; i++) {
		delete (fleet);
		double start = seconds(CLOCK_MONOTONIC);

		create(fleet, false);
		samples[i] = seconds(CLOCK_MONOTONIC) - start;
	}
	qsort(samples, n, sizeof(*samples), compare);
}

static uint64_t cpu_placed(const struct fleet *fleet, uint32_t n_hosts, uint64_t *capacity)
{
	const struct allocation_host_state *hosts = allocation_world_hosts(fleet->world);
	uint64_t left = 0;

	*capacity = 0;
	for (uint32_t i = 0; i < n_hosts; i++) {
		const struct allocation_host *type = allocation_world_type(fleet->world, hosts[i].type);

		for (unsigned node = 0; node < 2; node++) {
			*capacity += type->node_capacity[node][ALLOCATION_CPU];
			left += hosts[i].node[node].free[ALLOCATION_CPU];
		}
	}
	return *capacity - left;
}

static double fill(struct fleet *fleet, uint32_t n_hosts, uint32_t vms_max)
{
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);
	uint64_t capacity, placed = cpu_placed(fleet, n_hosts, &capacity), wanted = capacity / 100 * FULL_PERCENT;

	while (placed < wanted && fleet->n_vms < vms_max) {
		if (create(fleet, false)) {
			uint32_t class_id =
				allocation_world_placement(fleet->world, fleet->vms[fleet->n_vms - 1])->class_id;

			placed += allocation_world_request(fleet->world, class_id)->amount[ALLOCATION_CPU];
		} else if (fleet->refused > fleet->n_vms / 4 + 1000) {
			break;
		}
	}
	return seconds(CLOCK_THREAD_CPUTIME_ID) - start;
}

static size_t held(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

int main(int argc, char **argv)
{
	static struct fleet fleet;

	if (argc != 7)
		die("usage: allocation_speed HOSTS VMS_PER_HOST plain|relational PAIRS SCANS SEED");
	uint32_t n_hosts = (uint32_t)atol(argv[1]), per_host = (uint32_t)atol(argv[2]);
	uint32_t n_pairs = (uint32_t)atol(argv[4]), n_scans = (uint32_t)atol(argv[5]);
	uint32_t vms_max = n_hosts * per_host * 2;
	double *samples = malloc(n_pairs * sizeof(*samples));

	fleet.relational = strcmp(argv[3], "relational") == 0;
	fleet.vms = malloc((vms_max + 1) * sizeof(*fleet.vms));
	fleet.world = allocation_world_new();
	fleet.strategy = allocation_strategy_find("best-fit");
	if (!samples || !fleet.vms || !fleet.world || n_pairs == 0 || n_hosts == 0 || per_host == 0)
		die("nothing to do, or out of memory");
	strategy_random_init(&fleet.random, strtoull(argv[6], NULL, 10));
	size_t before = held();
	draw_requests(&fleet); /* first: the same for every number of hosts */
	add_hosts(&fleet, n_hosts, per_host);
	struct strategy_values values;
	strategy_values_init(&fleet.strategy->info, &values);
	fleet.state = fleet.strategy->new (fleet.world, &values, 1);
	if (!fleet.state)
		die("out of memory");
	size_t with_hosts = held();
	double filling = fill(&fleet, n_hosts, vms_max);
	size_t with_vms = held();
	uint64_t capacity, placed = cpu_placed(&fleet, n_hosts, &capacity);
	uint32_t n_vms = fleet.n_vms;
	uint64_t refused_before = fleet.refused;

	pairs(&fleet, n_pairs / 4, false); /* warm */
	double index_seconds = pairs(&fleet, n_pairs, false);
	double scan_seconds = n_scans ? pairs(&fleet, n_scans, true) : 0;
	double again_seconds = pairs(&fleet, n_pairs, false);
	double own_seconds = own(&fleet, n_pairs), removing, placing;
	batches(&fleet, n_pairs, &removing, &placing);
	latencies(&fleet, n_pairs, samples);
	double rate = 2.0 * n_pairs / (index_seconds + again_seconds), scan_rate = n_scans ? n_scans / scan_seconds : 0;
	double micros[CASES];
	cases(&fleet, micros);
	double placements = 1 / (1 / rate - own_seconds / n_pairs);
	double in_batches = (double)((n_pairs + BATCH - 1) / BATCH * BATCH);
	printf("{\"hosts\": %" PRIu32 ", \"vms\": %" PRIu32 ", \"classes\": %" PRIu32 ", \"cpu_full\": %.4f, "
	       "\"fill_per_s\": %.0f, \"pairs_per_s\": %.0f, \"placements_per_s\": %.0f, \"own_ns\": %.0f, "
	       "\"place_ns\": %.0f, \"remove_ns\": %.0f, \"scan_per_s\": %.2f, \"ratio\": %.1f, \"p50_us\": %.3f, "
	       "\"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.1f, \"bytes_per_host\": %.0f, \"bytes_per_vm\": "
	       "%.1f, "
	       "\"refused_filling\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"split_us\": %.3f, \"near_us\": %.3f, "
	       "\"nowhere_us\": %.3f, \"everywhere_us\": %.3f}\n",
	       n_hosts, n_vms, fleet.relational ? fleet.n_groups : CLASSES, (double)placed / (double)capacity,
	       n_vms / filling, rate, placements, own_seconds / n_pairs * 1e9, placing / in_batches * 1e9,
	       removing / in_batches * 1e9, scan_rate, n_scans ? rate / scan_rate : 0, samples[n_pairs / 2] * 1e6,
	       samples[(uint64_t)n_pairs * 99 / 100] * 1e6, samples[(uint64_t)n_pairs * 999 / 1000] * 1e6,
	       samples[n_pairs - 1] * 1e6, (double)(with_hosts - before) / n_hosts,
	       (double)(with_vms - with_hosts) / n_vms, refused_before, fleet.refused - refused_before,
	       micros[CASE_SPLIT], micros[CASE_NEAR], micros[CASE_NOWHERE], micros[CASE_EVERYWHERE]);
	fleet.strategy->free(fleet.state);
	allocation_world_free(fleet.world);
	free(fleet.vms);
	free(samples);
	return 0;
}
