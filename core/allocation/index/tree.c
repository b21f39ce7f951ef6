#include "core/allocation/index/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FAN        16
#define LEVELS_MAX 8 /* 16^8 hosts */

/* What is compared as "at least": of the node with most, of the host's nodes in sum, of the host, and two that are no amounts. */
enum lane {
	LANE_NODE = 0,
	LANE_SUM = ALLOCATION_NODE_DIMENSIONS,
	LANE_HOST = 2 * ALLOCATION_NODE_DIMENSIONS,
	LANE_CPU_LEVEL = LANE_HOST + ALLOCATION_HOST_DIMENSIONS,
	LANE_TAKES, /* 1: present, powered, not cordoned */
	LANES,
};

/* Sixteen entries side by side; entry i of level n + 1 is the box around block i of level n; level 0 are the hosts. */
struct block {
	uint32_t lane[LANES][FAN];
	uint32_t engines[FAN];
	uint64_t labels[FAN], untainted[FAN];
	int64_t stamp[FAN];
};

struct entry {
	uint32_t lane[LANES];
	uint32_t engines;
	uint64_t labels, untainted;
	int64_t stamp;
};

struct allocation_tree {
	uint32_t n_hosts, capacity;
	unsigned levels;
	struct block *level[LEVELS_MAX]; /* the highest has one block */
	uint32_t n_blocks[LEVELS_MAX];
	int64_t *stamp;  /* by host */
	uint32_t *dirty; /* hosts to bring up to date, each once */
	uint32_t n_dirty;
	uint8_t *is_dirty;
};

/* One lane of a block, compared at once. */
typedef uint32_t lanes __attribute__((vector_size(FAN * sizeof(uint32_t))));

/* What a host must have at least. */
struct need {
	uint32_t lane[LANES];
	unsigned used[LANES], n_used; /* lanes that ask for something */
	uint32_t engine;
	uint64_t labels, tainted;
};

static void need_init(struct need *need, const struct allocation_request *request)
{
	unsigned split = request->numa == ALLOCATION_NUMA_SPLIT && request->numa_nodes > 1 ? request->numa_nodes : 1;

	memset(need, 0, sizeof(*need));
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		need->lane[LANE_SUM + d] = request->amount[d];
		/* However a split is rounded, one node gets the average. */
		if (request->numa != ALLOCATION_NUMA_ANY)
			need->lane[LANE_NODE + d] = request->amount[d] / split;
	}
	for (unsigned d = 0; d < ALLOCATION_HOST_DIMENSIONS; d++)
		need->lane[LANE_HOST + d] = request->amount[ALLOCATION_NODE_DIMENSIONS + d];
	need->lane[LANE_CPU_LEVEL] = request->cpu_level;
	need->lane[LANE_TAKES] = 1;
	for (unsigned lane = 0; lane < LANES; lane++)
		if (need->lane[lane])
			need->used[need->n_used++] = lane;
	need->engine = request->engine;
	need->labels = request->labels_required;
	need->tainted = ~request->tolerates;
}

/* The entries of a block that may do, as bits. A host does when every taint that is not tolerated is absent. */
static unsigned block_may(const struct block *block, const struct need *need)
{
	lanes ok = (lanes) { 0 } - 1;
	unsigned may = 0;

	for (unsigned n = 0; n < need->n_used; n++) {
		lanes most;

		memcpy(&most, block->lane[need->used[n]], sizeof(most));
		ok &= (lanes)(most >= need->lane[need->used[n]]);
	}
	for (unsigned i = 0; i < FAN; i++)
		may |= (ok[i] & 1) << i;
	for (unsigned rest = may; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctz(rest);

		if ((need->engine && !(block->engines[i] & need->engine)) ||
		    (block->labels[i] & need->labels) != need->labels ||
		    (block->untainted[i] & need->tainted) != need->tainted)
			may &= ~(1u << i);
	}
	return may;
}

static uint32_t saturate(uint64_t sum)
{
	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

static void entry_of_host(struct entry *entry, const struct allocation_tree *tree, const struct allocation_world *world,
			  uint32_t number)
{
	const struct allocation_host_state *host = &allocation_world_hosts(world)[number];
	uint64_t sum[ALLOCATION_NODE_DIMENSIONS] = { 0 };

	memset(entry, 0, sizeof(*entry));
	entry->stamp = tree->stamp[number];
	if (!host->present || !host->powered || host->cordoned)
		return;
	const struct allocation_host *type = allocation_world_type(world, host->type);

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		for (unsigned node = 0; node < host->n_nodes; node++) {
			uint32_t left = host->node[node].free[d];

			sum[d] += left;
			if (left > entry->lane[LANE_NODE + d])
				entry->lane[LANE_NODE + d] = left;
		}
		entry->lane[LANE_SUM + d] = saturate(sum[d]);
	}
	memcpy(&entry->lane[LANE_HOST], host->free, sizeof(host->free));
	entry->lane[LANE_CPU_LEVEL] = type->cpu_level;
	entry->lane[LANE_TAKES] = 1;
	entry->engines = type->engines;
	entry->labels = type->labels;
	entry->untainted = ~type->taints;
}

static void entry_of_block(struct entry *entry, const struct block *block)
{
	memset(entry, 0, sizeof(*entry));
	entry->stamp = ALLOCATION_STAMP_NEVER;
	for (unsigned lane = 0; lane < LANES; lane++)
		for (unsigned i = 0; i < FAN; i++)
			if (block->lane[lane][i] > entry->lane[lane])
				entry->lane[lane] = block->lane[lane][i];
	for (unsigned i = 0; i < FAN; i++) {
		entry->engines |= block->engines[i];
		entry->labels |= block->labels[i];
		entry->untainted |= block->untainted[i];
		if (block->stamp[i] > entry->stamp)
			entry->stamp = block->stamp[i];
	}
}

#define LANES_OTHER (1u << LANES) /* labels, engines, taints or stamp */

/* Returns what changed: a bit for each lane, and LANES_OTHER. */
static unsigned entry_store(struct block *block, unsigned at, const struct entry *entry)
{
	unsigned changed = 0;

	for (unsigned lane = 0; lane < LANES; lane++) {
		changed |= (unsigned)(block->lane[lane][at] != entry->lane[lane]) << lane;
		block->lane[lane][at] = entry->lane[lane];
	}
	if (block->engines[at] != entry->engines || block->labels[at] != entry->labels ||
	    block->untainted[at] != entry->untainted || block->stamp[at] != entry->stamp)
		changed |= LANES_OTHER;
	block->engines[at] = entry->engines;
	block->labels[at] = entry->labels;
	block->untainted[at] = entry->untainted;
	block->stamp[at] = entry->stamp;
	return changed;
}

static uint32_t lane_most(const uint32_t lane[FAN])
{
	uint32_t most = 0;

	for (unsigned i = 0; i < FAN; i++)
		most = lane[i] > most ? lane[i] : most;
	return most;
}

/* Lanes of an entry that changed may change the same lanes of its box, and no others. */
static void refresh_host(struct allocation_tree *tree, const struct allocation_world *world, uint32_t host)
{
	struct entry entry;
	uint32_t at = host / FAN;

	entry_of_host(&entry, tree, world, host);
	unsigned changed = entry_store(&tree->level[0][at], host % FAN, &entry);
	for (unsigned level = 1; level < tree->levels && changed; level++) {
		const struct block *below = &tree->level[level - 1][at];
		struct block *block = &tree->level[level][at / FAN];
		unsigned still = 0;

		if (changed & LANES_OTHER) {
			entry_of_block(&entry, below);
			still = entry_store(block, at % FAN, &entry);
		} else {
			for (unsigned rest = changed; rest; rest &= rest - 1) {
				unsigned lane = (unsigned)__builtin_ctz(rest);
				uint32_t most = lane_most(below->lane[lane]);

				still |= (unsigned)(block->lane[lane][at % FAN] != most) << lane;
				block->lane[lane][at % FAN] = most;
			}
		}
		changed = still;
		at /= FAN;
	}
}

static void refresh(struct allocation_tree *tree, const struct allocation_world *world)
{
	for (uint32_t i = 0; i < tree->n_dirty; i++) {
		tree->is_dirty[tree->dirty[i]] = 0;
		refresh_host(tree, world, tree->dirty[i]);
	}
	tree->n_dirty = 0;
}

/* From scratch, level by level; all entries hold nothing until then. */
static void rebuild(struct allocation_tree *tree, const struct allocation_world *world)
{
	struct entry entry;

	for (uint32_t host = 0; host < tree->n_hosts; host++) {
		entry_of_host(&entry, tree, world, host);
		entry_store(&tree->level[0][host / FAN], host % FAN, &entry);
	}
	for (unsigned level = 1; level < tree->levels; level++) {
		for (uint32_t i = 0; i < tree->n_blocks[level - 1]; i++) {
			entry_of_block(&entry, &tree->level[level - 1][i]);
			entry_store(&tree->level[level][i / FAN], i % FAN, &entry);
		}
	}
	tree->n_dirty = 0;
	if (tree->is_dirty)
		memset(tree->is_dirty, 0, tree->capacity);
}

static int64_t stamp_of(const struct allocation_world *world, uint32_t host)
{
	int64_t latest = ALLOCATION_STAMP_NEVER;

	for (uint32_t vm = allocation_world_hosts(world)[host].first_vm; vm != ALLOCATION_NONE;) {
		const struct allocation_placement *placement = allocation_world_placement(world, vm);

		if (placement->placed_ms > latest)
			latest = placement->placed_ms;
		vm = placement->next;
	}
	return latest;
}

static void release(struct allocation_tree *tree)
{
	for (unsigned level = 0; level < LEVELS_MAX; level++)
		free(tree->level[level]);
	free(tree->stamp);
	free(tree->dirty);
	free(tree->is_dirty);
}

static bool build(struct allocation_tree *tree, const struct allocation_world *world)
{
	tree->n_hosts = allocation_world_n_hosts(world);
	tree->capacity = tree->n_hosts + tree->n_hosts / 4 + FAN;
	uint32_t blocks = tree->capacity;
	for (tree->levels = 0; tree->levels == 0 || blocks > 1; tree->levels++) {
		unsigned level = tree->levels;

		blocks = (blocks + FAN - 1) / FAN;
		tree->n_blocks[level] = blocks;
		tree->level[level] = calloc(blocks, sizeof(struct block));
		if (!tree->level[level])
			return false;
		for (uint32_t i = 0; i < blocks; i++)
			for (unsigned j = 0; j < FAN; j++)
				tree->level[level][i].stamp[j] = ALLOCATION_STAMP_NEVER;
	}
	tree->stamp = malloc(tree->capacity * sizeof(*tree->stamp));
	tree->dirty = malloc(tree->capacity * sizeof(*tree->dirty));
	tree->is_dirty = calloc(tree->capacity, 1);
	if (!tree->stamp || !tree->dirty || !tree->is_dirty)
		return false;
	for (uint32_t host = 0; host < tree->capacity; host++)
		tree->stamp[host] = host < tree->n_hosts ? stamp_of(world, host) : ALLOCATION_STAMP_NEVER;
	rebuild(tree, world);
	return true;
}

struct allocation_tree *allocation_tree_new(const struct allocation_world *world)
{
	struct allocation_tree *tree = calloc(1, sizeof(*tree));

	if (tree && !build(tree, world)) {
		allocation_tree_free(tree);
		return NULL;
	}
	return tree;
}

void allocation_tree_free(struct allocation_tree *tree)
{
	if (!tree)
		return;
	release(tree);
	free(tree);
}

bool allocation_tree_touch(struct allocation_tree *tree, const struct allocation_world *world, uint32_t host)
{
	if (host >= tree->capacity) {
		struct allocation_tree grown = { 0 };

		if (!build(&grown, world)) {
			release(&grown);
			return false;
		}
		release(tree);
		*tree = grown;
		return true;
	}
	if (host >= tree->n_hosts)
		tree->n_hosts = host + 1;
	if (!tree->is_dirty[host]) {
		tree->is_dirty[host] = 1;
		tree->dirty[tree->n_dirty++] = host;
	}
	return true;
}

bool allocation_tree_update(struct allocation_tree *tree, const struct allocation_world *world,
			    const struct allocation_event *event)
{
	if (!allocation_tree_touch(tree, world, event->host))
		return false;
	int64_t *stamp = &tree->stamp[event->host], placed_ms = event->now_ms;
	if (event->moved) /* it keeps the time it was placed */
		placed_ms = allocation_world_placement(world, event->vm)->placed_ms;
	if (event->change == ALLOCATION_PLACED && placed_ms > *stamp)
		*stamp = placed_ms;
	else if (event->change == ALLOCATION_REMOVED &&
		 (event->lived_ms == 0 || event->now_ms - event->lived_ms >= *stamp)) /* 0: or time ran backwards */
		*stamp = stamp_of(world, event->host);
	return true;
}

static uint32_t next_under(const struct allocation_tree *tree, const struct need *need, unsigned level,
			   uint32_t block_at, uint32_t from)
{
	const struct block *block = &tree->level[level][block_at];
	unsigned may = block_may(block, need);
	uint32_t first = block_at * FAN; /* number of this block's first entry on its level */
	uint32_t from_entry = from >> (4 * level);

	if (from_entry > first)
		may = from_entry - first >= FAN ? 0 : may & (~0u << (from_entry - first));
	for (; may; may &= may - 1) {
		uint32_t entry = first + (uint32_t)__builtin_ctz(may);

		if (level == 0)
			return entry;
		uint32_t host = next_under(tree, need, level - 1, entry, from);
		if (host != ALLOCATION_NONE)
			return host;
	}
	return ALLOCATION_NONE;
}

uint32_t allocation_tree_next(struct allocation_tree *tree, const struct allocation_world *world,
			      const struct allocation_request *request, uint32_t from)
{
	struct need need;

	refresh(tree, world);
	if (from >= tree->n_hosts)
		return ALLOCATION_NONE;
	need_init(&need, request);
	return next_under(tree, &need, tree->levels - 1, 0, from);
}

struct each {
	const struct allocation_tree *tree;
	struct need need;
	void (*visit)(void *data, uint32_t host);
	void *data;
};

static void each_under(const struct each *each, unsigned level, uint32_t block_at)
{
	for (unsigned may = block_may(&each->tree->level[level][block_at], &each->need); may; may &= may - 1) {
		uint32_t entry = block_at * FAN + (uint32_t)__builtin_ctz(may);

		if (level == 0)
			each->visit(each->data, entry);
		else
			each_under(each, level - 1, entry);
	}
}

void allocation_tree_each(struct allocation_tree *tree, const struct allocation_world *world,
			  const struct allocation_request *request, void (*visit)(void *data, uint32_t host),
			  void *data)
{
	struct each each = { .tree = tree, .visit = visit, .data = data };

	refresh(tree, world);
	need_init(&each.need, request);
	each_under(&each, tree->levels - 1, 0);
}

int64_t allocation_tree_stamp(const struct allocation_tree *tree, uint32_t host)
{
	return tree->stamp[host];
}

uint32_t allocation_tree_latest(struct allocation_tree *tree, const struct allocation_world *world)
{
	uint32_t at = 0;

	refresh(tree, world);
	for (unsigned level = tree->levels; level-- > 0;) {
		const struct block *block = &tree->level[level][at];
		unsigned best = 0;

		for (unsigned i = 1; i < FAN; i++)
			if (block->stamp[i] > block->stamp[best])
				best = i;
		if (block->stamp[best] == ALLOCATION_STAMP_NEVER)
			return ALLOCATION_NONE;
		at = at * FAN + best;
	}
	return at;
}

struct by_stamp {
	const struct allocation_tree *tree;
	struct need need;
	bool (*accept)(void *data, uint32_t host);
	void *data;
	uint32_t best;
	int64_t best_stamp;
};

/* Whether an entry with this stamp, its lowest host being `first`, can still hold a better host. */
static bool by_stamp_open(const struct by_stamp *search, int64_t stamp, uint32_t first)
{
	return search->best == ALLOCATION_NONE || stamp > search->best_stamp ||
	       (stamp == search->best_stamp && first < search->best);
}

static void by_stamp_under(struct by_stamp *search, unsigned level, uint32_t block_at)
{
	const struct block *block = &search->tree->level[level][block_at];
	unsigned may = block_may(block, &search->need);

	while (may) {
		unsigned best = (unsigned)__builtin_ctz(may);

		for (unsigned rest = may & (may - 1); rest; rest &= rest - 1) {
			unsigned i = (unsigned)__builtin_ctz(rest);

			if (block->stamp[i] > block->stamp[best])
				best = i;
		}
		may &= ~(1u << best);
		uint32_t entry = block_at * FAN + best;
		if (!by_stamp_open(search, block->stamp[best], entry << (4 * level)))
			continue;
		if (level > 0) {
			by_stamp_under(search, level - 1, entry);
		} else if (search->accept(search->data, entry)) {
			search->best = entry;
			search->best_stamp = block->stamp[best];
		}
	}
}

uint32_t allocation_tree_by_stamp(struct allocation_tree *tree, const struct allocation_world *world,
				  const struct allocation_request *request, bool (*accept)(void *data, uint32_t host),
				  void *data)
{
	struct by_stamp search = { .tree = tree, .accept = accept, .data = data, .best = ALLOCATION_NONE };

	refresh(tree, world);
	need_init(&search.need, request);
	by_stamp_under(&search, tree->levels - 1, 0);
	return search.best;
}

size_t allocation_tree_bytes(const struct allocation_tree *tree)
{
	size_t bytes = sizeof(*tree) + tree->capacity * (sizeof(*tree->stamp) + sizeof(*tree->dirty) + 1);

	for (unsigned level = 0; level < tree->levels; level++)
		bytes += tree->n_blocks[level] * sizeof(struct block);
	return bytes;
}
