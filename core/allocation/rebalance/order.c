/* An order for moves that the challenge makes all at once. Moves that have room now are made, again and again; when none has,
 * what is left goes round in rings, and one process of a ring is parked on a third machine. */
#include <stdlib.h>
#include <string.h>

#include "core/allocation/rebalance.h"

struct order {
	const struct rebalance_problem *problem;
	const uint32_t *goal;
	uint32_t *at;   /* [processes] */
	int64_t *used;  /* [machines][resources] */
	uint8_t *is_on; /* [services][machines] */
	struct rebalance_move *moves;
	size_t n_moves;
};

static bool order_init(struct order *order, const struct rebalance_problem *problem, const uint32_t *goal)
{
	size_t resources = problem->n_resources;

	*order = (struct order) { .problem = problem, .goal = goal };
	order->at = malloc(((size_t)problem->n_processes + 1) * sizeof *order->at);
	order->used = calloc(problem->n_machines * resources, sizeof *order->used);
	order->is_on = calloc(problem->n_services, problem->n_machines);
	if (!order->at || !order->used || !order->is_on)
		return false;
	for (uint32_t p = 0; p < problem->n_processes; p++) {
		order->at[p] = problem->initial[p];
		order->is_on[(size_t)problem->service[p] * problem->n_machines + order->at[p]]++;
		for (size_t r = 0; r < resources; r++)
			order->used[order->at[p] * resources + r] += problem->amount[p * resources + r];
	}
	return true;
}

static void order_clear(struct order *order)
{
	free(order->is_on);
	free(order->used);
	free(order->at);
}

static bool has_room(const struct order *order, uint32_t process, uint32_t to)
{
	const struct rebalance_problem *problem = order->problem;
	size_t resources = problem->n_resources;

	if (order->is_on[(size_t)problem->service[process] * problem->n_machines + to])
		return false;
	for (size_t r = 0; r < resources; r++)
		if (order->used[to * resources + r] + problem->amount[process * resources + r] >
		    problem->capacity[to * resources + r])
			return false;
	return true;
}

static void carry(struct order *order, uint32_t process, uint32_t to, bool together)
{
	const struct rebalance_problem *problem = order->problem;
	size_t resources = problem->n_resources;
	uint32_t from = order->at[process];

	for (size_t r = 0; r < resources; r++) {
		order->used[from * resources + r] -= problem->amount[process * resources + r];
		order->used[to * resources + r] += problem->amount[process * resources + r];
	}
	order->is_on[(size_t)problem->service[process] * problem->n_machines + from]--;
	order->is_on[(size_t)problem->service[process] * problem->n_machines + to]++;
	order->at[process] = to;
	order->moves[order->n_moves++] = (struct rebalance_move) { process, from, to, together };
}

/* All that can be made one after another, until none can. Returns how many are left. */
static uint32_t settle(struct order *order)
{
	uint32_t left, made;

	do {
		left = made = 0;
		for (uint32_t p = 0; p < order->problem->n_processes; p++) {
			if (order->at[p] == order->goal[p])
				continue;
			if (has_room(order, p, order->goal[p])) {
				carry(order, p, order->goal[p], false);
				made++;
			} else {
				left++;
			}
		}
	} while (made);
	return left;
}

/* Of a process that stands in another's way, to a machine that is neither's. Each process is parked at most once, so that
 * there are never more than two moves of it. */
static bool park_one(struct order *order)
{
	const struct rebalance_problem *problem = order->problem;

	for (uint32_t p = 0; p < problem->n_processes; p++) {
		if (order->at[p] == order->goal[p] || order->at[p] != problem->initial[p])
			continue;
		for (uint32_t m = 0; m < problem->n_machines; m++)
			if (m != order->at[p] && m != order->goal[p] && has_room(order, p, m)) {
				carry(order, p, m, false);
				return true;
			}
	}
	return false;
}

bool rebalance_order(const struct rebalance_problem *problem, const uint32_t *machine, struct rebalance_move *moves,
		     size_t *n_moves)
{
	struct order order;
	bool ok = order_init(&order, problem, machine), first = true;

	order.moves = moves;
	while (ok && settle(&order) && park_one(&order))
		;
	for (uint32_t p = 0; p < problem->n_processes && ok; p++)
		if (order.at[p] != machine[p]) {
			carry(&order, p, machine[p], !first);
			first = false;
		}
	*n_moves = order.n_moves;
	order_clear(&order);
	return ok;
}

/* Moves that belong together: all leave before any arrives. Capacity is looked at when all are done. */
static const char *check_group(struct order *order, const struct rebalance_move *moves, size_t n)
{
	const struct rebalance_problem *problem = order->problem;
	size_t resources = problem->n_resources;

	for (size_t i = 0; i < n; i++) {
		if (moves[i].process >= problem->n_processes || moves[i].to >= problem->n_machines)
			return "a move names a process or machine that is not there";
		if (order->at[moves[i].process] != moves[i].from || moves[i].from == moves[i].to)
			return "a move's process is not where it is taken from";
	}
	if (n == 1 && !has_room(order, moves[0].process, moves[0].to))
		return "a move has no room when its turn comes";
	for (size_t i = 0; i < n; i++)
		carry(order, moves[i].process, moves[i].to, false);
	order->n_moves = 0;
	for (size_t i = 0; i < n; i++) {
		size_t to = moves[i].to;

		if (order->is_on[(size_t)problem->service[moves[i].process] * problem->n_machines + to] > 1)
			return "two processes of a service meet";
		for (size_t r = 0; r < resources; r++)
			if (order->used[to * resources + r] > problem->capacity[to * resources + r])
				return "moves made together have no room";
	}
	return NULL;
}

const char *rebalance_order_check(const struct rebalance_problem *problem, const uint32_t *machine,
				  const struct rebalance_move *moves, size_t n_moves)
{
	struct order order;
	struct rebalance_move *scratch = calloc(n_moves + 1, sizeof *scratch);
	const char *wrong = order_init(&order, problem, machine) && scratch ? NULL : "out of memory";

	order.moves = scratch;
	for (size_t i = 0; i < n_moves && !wrong;) {
		size_t n = 1;

		while (i + n < n_moves && moves[i + n].together)
			n++;
		wrong = check_group(&order, &moves[i], n);
		i += n;
	}
	for (uint32_t p = 0; p < problem->n_processes && !wrong; p++)
		if (order.at[p] != machine[p])
			wrong = "the order does not end where it should";
	order_clear(&order);
	free(scratch);
	return wrong;
}
