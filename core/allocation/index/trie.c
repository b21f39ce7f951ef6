/* The tries: cells as leaves, a heap of slots in each. */
#include <stdlib.h>
#include <string.h>

#include "core/allocation/index/cells_private.h"

/* The digit of `code` on a level of a trie with so many. */
static unsigned digit_of(cells_code code, unsigned level, unsigned levels)
{
	if (levels == CELLS_LEVELS_PLAIN) {
		code >>= 6 - 2 * level;
		return (code & 3) | (code >> 6 & 12);
	}
	code >>= 7 - level;
	return (code & 1) | (code >> 7 & 2) | (code >> 14 & 4) | (code >> 21 & 8);
}

bool cells_array_grow(void *array, uint32_t *capacity, size_t bytes)
{
	uint32_t more = *capacity ? *capacity * 2 : 64;
	void **at = array;
	void *grown = aligned_alloc(64, (more * bytes + 63) / 64 * 64); /* a cell is one line */

	if (!grown)
		return false;
	if (*capacity)
		memcpy(grown, *at, *capacity * bytes);
	free(*at);
	*at = grown;
	*capacity = more;
	return true;
}

/* ---- trie ---- */

uint32_t cells_node_new(struct allocation_cells *cells, uint32_t parent, unsigned digit)
{
	uint32_t number = cells->free_node;

	if (number != ALLOCATION_NONE) {
		cells->free_node = cells->nodes[number].parent;
	} else {
		if (cells->n_nodes == cells->nodes_capacity &&
		    !cells_array_grow(&cells->nodes, &cells->nodes_capacity, sizeof(*cells->nodes)))
			return ALLOCATION_NONE;
		number = cells->n_nodes++;
	}
	cells->nodes[number].present = 0;
	cells->nodes[number].digit = (uint8_t)digit;
	cells->nodes[number].parent = parent;
	return number;
}

static uint32_t cell_new(struct allocation_cells *cells, uint32_t parent, cells_code code, unsigned levels)
{
	uint32_t number = cells->free_cell;

	if (number != ALLOCATION_NONE) {
		cells->free_cell = cells->cells[number].parent;
	} else {
		if (cells->n_cells == cells->cells_capacity &&
		    !cells_array_grow(&cells->cells, &cells->cells_capacity, sizeof(*cells->cells)))
			return ALLOCATION_NONE;
		number = cells->n_cells++;
		cells->cells[number].many = NULL;
		cells->cells[number].capacity = CELLS_FEW;
	}
	cells->cells[number].n = 0;
	cells->cells[number].code = code;
	cells->cells[number].levels = levels;
	cells->cells[number].parent = parent;
	return number;
}

/* The cell of `code`, made when it is not there. */
static uint32_t cell_at(struct allocation_cells *cells, const struct trie *trie, cells_code code)
{
	uint32_t number = trie->root;

	for (unsigned level = 0; level < trie->levels; level++) {
		unsigned digit = digit_of(code, level, trie->levels);
		uint32_t child;

		if (cells->nodes[number].present >> digit & 1) {
			number = cells->nodes[number].child[digit];
			continue;
		}
		child = level + 1 < trie->levels ? cells_node_new(cells, number, digit)
						 : cell_new(cells, number, code, trie->levels);
		if (child == ALLOCATION_NONE)
			return ALLOCATION_NONE;
		cells->nodes[number].child[digit] = child;
		cells->nodes[number].present |= (uint16_t)(1u << digit);
		number = child;
	}
	return number;
}

/* Take an empty cell out, and the nodes that are left without children; the root stays. */
static void cell_drop(struct allocation_cells *cells, uint32_t number, unsigned levels)
{
	struct cell *cell = &cells->cells[number];
	unsigned digit = digit_of(cell->code, levels - 1, levels);
	uint32_t parent = cell->parent;

	cell->parent = cells->free_cell;
	cells->free_cell = number;
	for (;;) {
		struct trie_node *node = &cells->nodes[parent];
		uint32_t gone = parent;

		node->present &= (uint16_t) ~(1u << digit);
		if (node->present || node->parent == ALLOCATION_NONE)
			return;
		digit = node->digit;
		parent = node->parent;
		node->parent = cells->free_node;
		cells->free_node = gone;
	}
}

/* ---- heap ---- */

static void heap_set(struct allocation_cells *cells, uint32_t *heap, uint32_t at, uint32_t slot)
{
	heap[at] = slot;
	cells->slots[slot].at = at;
}

static void heap_up(struct allocation_cells *cells, uint32_t *heap, uint32_t at, uint32_t slot)
{
	while (at > 0 && heap[(at - 1) / CELLS_FAN] > slot) {
		heap_set(cells, heap, at, heap[(at - 1) / CELLS_FAN]);
		at = (at - 1) / CELLS_FAN;
	}
	heap_set(cells, heap, at, slot);
}

/* Flat, as each slot that moves is told so at a place of its own in memory. */
static void heap_down(struct allocation_cells *cells, uint32_t *heap, uint32_t n, uint32_t at)
{
	uint32_t slot = heap[at];

	for (uint32_t first = CELLS_FAN * at + 1; first < n; first = CELLS_FAN * at + 1) {
		uint32_t end = n - first < CELLS_FAN ? n : first + CELLS_FAN, least = first;

		for (uint32_t child = first + 1; child < end; child++)
			least = heap[child] < heap[least] ? child : least;
		if (heap[least] > slot)
			break;
		heap_set(cells, heap, at, heap[least]);
		at = least;
	}
	heap_set(cells, heap, at, slot);
}

static bool cell_put(struct allocation_cells *cells, uint32_t number, uint32_t slot)
{
	struct cell *cell = &cells->cells[number];

	if (cell->n == cell->capacity) {
		uint32_t *many = realloc(cell->many, 2 * sizeof(*many) * cell->capacity);

		if (!many)
			return false;
		if (!cell->many)
			memcpy(many, cell->few, sizeof(cell->few));
		else
			cells->heap_bytes -= sizeof(*many) * cell->capacity;
		cell->many = many;
		cell->capacity *= 2;
		cells->heap_bytes += sizeof(*many) * cell->capacity;
	}
	cells->slots[slot].cell = number;
	heap_up(cells, cell->many ? cell->many : cell->few, cell->n++, slot);
	return true;
}

static void cell_take(struct allocation_cells *cells, uint32_t slot)
{
	uint32_t number = cells->slots[slot].cell;
	uint32_t at = cells->slots[slot].at;
	struct cell *cell = &cells->cells[number];
	uint32_t *heap = cell->many ? cell->many : cell->few;
	uint32_t last = heap[--cell->n];

	cells->slots[slot].cell = ALLOCATION_NONE;
	if (cell->n == 0) {
		cell_drop(cells, number, cell->levels);
		return;
	}
	if (at == cell->n)
		return;
	if (last < slot) {
		heap_up(cells, heap, at, last);
	} else {
		heap_set(cells, heap, at, last);
		heap_down(cells, heap, cell->n, at);
	}
}

bool cells_slot_move(struct allocation_cells *cells, const struct trie *trie, cells_code code, uint32_t slot)
{
	uint32_t was = cells->slots[slot].cell;

	if (was != ALLOCATION_NONE) {
		if (trie && cells->cells[was].code == code)
			return true;
		cell_take(cells, slot);
	}
	if (!trie)
		return true;
	uint32_t cell = cell_at(cells, trie, code);
	return cell != ALLOCATION_NONE && cell_put(cells, cell, slot);
}
