/* What the strategies that weigh up features of a fit share: an account of the shapes placed, and a choice among the
 * hosts that may take a request, each fit scored. Every host that fits is looked at; the tree leaves out those that
 * cannot. */
#pragma once

#include "core/allocation/index/tree.h"
#include "core/allocation/strategies/shapes.h"

/* What a fit leaves, in shares of the host's largest node. */
struct scored_fit {
	uint32_t n_nodes;
	double cpu_capacity, memory_capacity;                           /* of the largest node; at least 1 */
	double cpu[ALLOCATION_NODES_MAX], memory[ALLOCATION_NODES_MAX]; /* free now, in amounts */
	double cpu_after[ALLOCATION_NODES_MAX], memory_after[ALLOCATION_NODES_MAX]; /* … and after */
	double cpu_share[ALLOCATION_NODES_MAX], memory_share[ALLOCATION_NODES_MAX]; /* after */
	uint8_t nodes;
};
void scored_fit_init(struct scored_fit *view, const struct allocation_world *world, uint32_t class_id,
		     const struct allocation_fit *fit);

/* Sum over nodes of the larger share left free, of CPU or memory: what is left as far as any one dimension sells it. */
double scored_fit_rest(const struct scored_fit *view);
/* Sum over nodes of how far the CPU share left lies from the mean over nodes. */
double scored_fit_node_imbalance(const struct scored_fit *view);
/* Sum over nodes of the difference of the shares of CPU and memory left. */
double scored_fit_shape_imbalance(const struct scored_fit *view);

struct scored {
	struct allocation_tree *tree;
	struct shapes shapes;
	uint64_t *large_cpu; /* by host: of its VMs of at least large_cpu_least */
	uint32_t large_capacity;
	uint32_t large_cpu_least;
	double value[STRATEGY_PARAMETERS_MAX];
};

/* scored_init(scored, world, memory_per_cpu_mib, large_cpu_least): false: out of memory, nothing is held. */
bool scored_init(struct scored *scored, const struct allocation_world *world, double memory_per_cpu_mib,
		 uint32_t large_cpu_least);
void scored_clear(struct scored *scored);
bool scored_update(struct scored *scored, const struct allocation_world *world, const struct allocation_event *event);

/* What the strategies' states have as new and free when they are no more than this. */
struct scored *scored_new(const struct allocation_world *world, const struct strategy_info *info,
			  const struct strategy_values *values, double memory_per_cpu_mib, uint32_t large_cpu_least);
void scored_free(void *state);

/* The CPU of large VMs on the host as a share of all it has in use, against the request: 0 alike, 1 the opposite. */
double scored_size_mix(const struct scored *scored, const struct allocation_world *world, uint32_t class_id,
		       uint32_t host);

/* scored_decide(strategy, state, tree, …): what allocation_scan decides. */
struct scored_question {
	const struct allocation_strategy *strategy;
	const void *state;
	struct allocation_tree *tree;
	const struct allocation_world *world;
	uint32_t class_id;
	int64_t now_ms;
};
void scored_decide(const struct scored_question *question, struct allocation_decision *decision);

/* The update and decide of a strategy whose state is a struct scored. */
#define SCORED_OPERATIONS(strategy_)                                                                                \
	static bool update(void *state, const struct allocation_world *world, const struct allocation_event *event) \
	{                                                                                                           \
		return scored_update(state, world, event);                                                          \
	}                                                                                                           \
	static void decide(void *state, const struct allocation_world *world, uint32_t class_id, int64_t now_ms,    \
			   struct allocation_decision *decision)                                                    \
	{                                                                                                           \
		struct scored_question question = { .strategy = &strategy_,                                         \
						    .state = state,                                                 \
						    .tree = ((struct scored *)state)->tree,                         \
						    .world = world,                                                 \
						    .class_id = class_id,                                           \
						    .now_ms = now_ms };                                             \
		scored_decide(&question, decision);                                                                 \
	}
