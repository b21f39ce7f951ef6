/* Who leaves next, and which ids were seen. */
#include "lab/trace_rows.h"

static gboolean before(struct trace_departure a, struct trace_departure b)
{
	return a.time_us != b.time_us ? a.time_us < b.time_us : a.slot < b.slot;
}

void trace_departures_push(GArray *heap, struct trace_departure departure)
{
	guint at = heap->len;

	g_array_append_val(heap, departure);
	struct trace_departure *entry = (struct trace_departure *)(void *)heap->data;
	while (at > 0 && before(departure, entry[(at - 1) / 2])) {
		entry[at] = entry[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	entry[at] = departure;
}

struct trace_departure trace_departures_pop(GArray *heap)
{
	struct trace_departure *entry = (struct trace_departure *)(void *)heap->data;
	struct trace_departure first = entry[0], last = entry[heap->len - 1];
	guint n = heap->len - 1, at = 0;

	g_array_set_size(heap, n);
	for (;;) {
		guint child = 2 * at + 1;
		if (child >= n)
			break;
		if (child + 1 < n && before(entry[child + 1], entry[child]))
			child++;
		if (!before(entry[child], last))
			break;
		entry[at] = entry[child];
		at = child;
	}
	if (n > 0)
		entry[at] = last;
	return first;
}

#define PAGE_IDS 4096

struct trace_ids {
	GHashTable *pages; /* id ÷ PAGE_IDS → bits */
	guint64 last_page;
	guint64 *last;
};

struct trace_ids *trace_ids_new(void)
{
	struct trace_ids *ids = g_new0(struct trace_ids, 1);

	ids->pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	return ids;
}

void trace_ids_free(struct trace_ids *ids)
{
	if (!ids)
		return;
	g_hash_table_unref(ids->pages);
	g_free(ids);
}

gboolean trace_ids_add(struct trace_ids *ids, guint64 id)
{
	guint64 page = id / PAGE_IDS, bit = id % PAGE_IDS;

	if (!ids->last || ids->last_page != page) {
		ids->last = g_hash_table_lookup(ids->pages, &page);
		ids->last_page = page;
		if (!ids->last) {
			ids->last = g_new0(guint64, PAGE_IDS / 64);
			g_hash_table_insert(ids->pages, g_memdup2(&page, sizeof page), ids->last);
		}
	}
	guint64 mask = G_GUINT64_CONSTANT(1) << (bit % 64);
	if (ids->last[bit / 64] & mask)
		return FALSE;
	ids->last[bit / 64] |= mask;
	return TRUE;
}
