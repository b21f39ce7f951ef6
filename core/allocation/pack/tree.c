#include "core/allocation/pack/tree.h"

#include <stdlib.h>

#define NOT_OPEN INT64_MIN

bool pack_tree_init(struct pack_tree *tree, uint32_t n_bins, uint32_t dimensions)
{
	*tree = (struct pack_tree) { .dimensions = dimensions, .leaves = 1 };
	while (tree->leaves < n_bins)
		tree->leaves *= 2;
	tree->room = malloc(2 * (size_t)tree->leaves * dimensions * sizeof(*tree->room));
	for (size_t i = 0; tree->room && i < 2 * (size_t)tree->leaves * dimensions; i++)
		tree->room[i] = NOT_OPEN;
	return tree->room;
}

void pack_tree_clear(struct pack_tree *tree)
{
	free(tree->room);
	tree->room = NULL;
}

static void climb(struct pack_tree *tree, uint32_t node)
{
	uint32_t dimensions = tree->dimensions;

	for (node /= 2; node; node /= 2) {
		int64_t *room = tree->room + (size_t)node * dimensions;
		const int64_t *left = tree->room + 2 * (size_t)node * dimensions, *right = left + dimensions;

		for (uint32_t d = 0; d < dimensions; d++)
			room[d] = left[d] > right[d] ? left[d] : right[d];
	}
}

void pack_tree_open(struct pack_tree *tree, uint32_t bin, const int32_t *room)
{
	uint32_t node = tree->leaves + bin;

	for (uint32_t d = 0; d < tree->dimensions; d++)
		tree->room[(size_t)node * tree->dimensions + d] = room[d];
	climb(tree, node);
}

void pack_tree_take(struct pack_tree *tree, uint32_t bin, const int32_t *size)
{
	uint32_t node = tree->leaves + bin;

	for (uint32_t d = 0; d < tree->dimensions; d++)
		tree->room[(size_t)node * tree->dimensions + d] -= size[d];
	climb(tree, node);
}

static bool may_fit(const struct pack_tree *tree, uint32_t node, const int32_t *size)
{
	const int64_t *room = tree->room + (size_t)node * tree->dimensions;

	for (uint32_t d = 0; d < tree->dimensions; d++)
		if (size[d] > room[d])
			return false;
	return true;
}

/* Depth first, left before right. The next node after a subtree is its parent's right neighbour, the parent being the
 * first on the way up that is a left child. */
uint32_t pack_tree_first(const struct pack_tree *tree, const int32_t *size)
{
	uint32_t node = 1;

	for (;;) {
		if (may_fit(tree, node, size)) {
			if (node >= tree->leaves)
				return node - tree->leaves;
			node *= 2;
			continue;
		}
		while (node & 1)
			node /= 2;
		if (!node)
			return UINT32_MAX;
		node++;
	}
}
