/* First fit without looking at every bin: a tree over the bins in order, each node with the most room below it in each
 * dimension. The leftmost bin that fits is found in O(log bins) steps where one dimension decides, and never in more than
 * a scan would take, times two. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pack_tree {
	uint32_t dimensions, leaves; /* a power of two */
	int64_t *room; /* [2 × leaves][dimensions]; node 1 is the root, a bin not open has less than nothing */
};

bool pack_tree_init(struct pack_tree *tree, uint32_t n_bins, uint32_t dimensions); /* false: out of memory */
void pack_tree_clear(struct pack_tree *tree);
/* pack_tree_open(tree, bin, room), pack_tree_take(tree, bin, size): set a bin's room; put an item into it. */
void pack_tree_open(struct pack_tree *tree, uint32_t bin, const int32_t *room);
void pack_tree_take(struct pack_tree *tree, uint32_t bin, const int32_t *size);
/* pack_tree_first(tree, size): the lowest-numbered open bin where it fits, or UINT32_MAX. */
uint32_t pack_tree_first(const struct pack_tree *tree, const int32_t *size);
