#include "daemon/control/planner.h"

#include <string.h>

#include "daemon/control/planner_private.h"
#include "daemon/model/limits.h"

/* Those who wait, of one priority and pool. */
struct round_queue {
	guint priority;
	guint32 pool;
	GQueue entries;
};

static void round_queue_free(gpointer data)
{
	struct round_queue *queue = data;

	g_queue_clear(&queue->entries);
	g_free(queue);
}

static void entry_free(gpointer data)
{
	struct entry *entry = data;

	g_clear_pointer(&entry->written, g_bytes_unref);
	g_clear_pointer(&entry->victims, g_ptr_array_unref);
	g_free(entry->grant);
	g_free(entry->evicted_for);
	g_free(entry->pool_missing);
	g_free(entry->name);
	g_free(entry);
}

static void gang_free(gpointer data)
{
	struct gang *gang = data;

	g_hash_table_unref(gang->waiting);
	g_free(gang->reason);
	g_free(gang->name);
	g_free(gang);
}

struct planner *planner_new(planner_lookup_func lookup, gpointer user_data)
{
	struct planner *planner = g_new0(struct planner, 1);

	planner->lookup = lookup;
	planner->user_data = user_data;
	planner->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, entry_free);
	planner->waiting = g_hash_table_new(NULL, NULL);
	planner->gangs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, gang_free);
	planner->adrift = g_hash_table_new(NULL, NULL);
	planner->evicting = g_hash_table_new(NULL, NULL);
	planner->round = g_ptr_array_new_with_free_func(round_queue_free);
	g_queue_init(&planner->dirty);
	accounts_init(&planner->accounts);
	return planner;
}

void planner_free(struct planner *planner)
{
	GHashTableIter iter;
	gpointer value;

	if (!planner)
		return;
	g_hash_table_iter_init(&iter, planner->entries);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		accounts_release(&planner->accounts, ((struct entry *)value)->charge.held);
	g_queue_clear(&planner->dirty);
	g_ptr_array_unref(planner->round);
	g_hash_table_unref(planner->waiting);
	g_hash_table_unref(planner->adrift);
	g_hash_table_unref(planner->evicting);
	g_hash_table_unref(planner->gangs);
	g_hash_table_unref(planner->entries);
	accounts_clear(&planner->accounts);
	g_free(planner);
}

void planner_write_clear(struct planner_write *write)
{
	g_clear_pointer(&write->name, g_free);
	g_clear_pointer(&write->value, g_bytes_unref);
}

struct accounts *planner_accounts(struct planner *planner)
{
	return &planner->accounts;
}

gint64 planner_revision(const struct planner *planner)
{
	return planner->revision;
}

const char *planner_name(struct planner *planner, guint32 vm)
{
	const struct entry *entry =
		vm < planner->accounts.owners->len ? g_ptr_array_index(planner->accounts.owners, vm) : NULL;

	return entry ? entry->name : NULL;
}

gboolean planner_number(struct planner *planner, const char *name, guint32 *vm)
{
	const struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry || !entry->charge.host)
		return FALSE;
	*vm = entry->charge.vm;
	return TRUE;
}

/* ---- What is to be decided ---- */

void planner_queue(struct planner *planner, struct entry *entry, gboolean first)
{
	entry->settled = FALSE;
	if (entry->in_flight) {
		entry->redo = TRUE;
	} else if (!entry->queued) {
		entry->queued = TRUE;
		if (first)
			g_queue_push_head(&planner->dirty, entry);
		else
			g_queue_push_tail(&planner->dirty, entry);
	}
}

void planner_landed(struct planner *planner, struct entry *entry)
{
	entry->in_flight = FALSE;
	entry->removes_vm = FALSE;
	g_clear_pointer(&entry->written, g_bytes_unref);
	if (entry->redo) {
		entry->redo = FALSE;
		planner_queue(planner, entry, FALSE);
	}
}

void planner_waits(struct planner *planner, struct entry *entry, gboolean waits)
{
	if (entry->waiting == waits)
		return;
	if (entry->counted)
		planner->following--;
	entry->waiting = waits;
	entry->counted = waits && entry->follows;
	if (entry->counted)
		planner->following++;
	if (waits) {
		entry->waiting_since = ++planner->counter;
		g_hash_table_add(planner->waiting, entry);
	} else {
		g_hash_table_remove(planner->waiting, entry);
		planner_gang_leave(planner, entry);
		planner_preempt_end(planner, entry);
	}
}

struct entry *planner_entry(struct planner *planner, const char *name)
{
	struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry) {
		entry = g_new0(struct entry, 1);
		entry->name = g_strdup(name);
		g_hash_table_insert(planner->entries, entry->name, entry);
	}
	return entry;
}

/* ---- Whose turn it is ---- */

GPtrArray *planner_sorted(GHashTable *set, GCompareFunc compare)
{
	GPtrArray *keys = g_ptr_array_sized_new(g_hash_table_size(set));
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, set);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		g_ptr_array_add(keys, key);
	g_ptr_array_sort(keys, compare);
	return keys;
}

static gint compare_waiting(gconstpointer a, gconstpointer b)
{
	const struct entry *left = *(struct entry *const *)a, *right = *(struct entry *const *)b;

	if (left->priority != right->priority)
		return left->priority > right->priority ? -1 : 1;
	if (left->pool != right->pool)
		return left->pool < right->pool ? -1 : 1;
	return left->waiting_since < right->waiting_since ? -1 : 1;
}

/* Look again at those that wait, once per freed capacity and not once per freed VM. */
static void round_begin(struct planner *planner)
{
	g_autoptr(GPtrArray) waiting = planner_sorted(planner->waiting, compare_waiting);
	struct round_queue *queue = NULL;

	planner->accounts.freed = FALSE;
	for (guint i = 0; i < waiting->len; i++) {
		struct entry *entry = g_ptr_array_index(waiting, i);

		if (entry->in_flight || entry->queued) {
			planner_queue(planner, entry, FALSE);
			continue;
		}
		if (!queue || queue->priority != entry->priority || queue->pool != entry->pool) {
			queue = g_new0(struct round_queue, 1);
			queue->priority = entry->priority;
			queue->pool = entry->pool;
			g_queue_init(&queue->entries);
			g_ptr_array_add(planner->round, queue);
		}
		entry->queued = TRUE;
		entry->settled = FALSE;
		g_queue_push_tail(&queue->entries, entry);
	}
}

/* The highest priority first; among its pools the one whose turn it is; in a pool who has waited longest. */
static struct entry *round_next(struct planner *planner)
{
	guint32 pools[64];
	struct round_queue *queue;
	struct entry *entry;
	gsize n = 0, chosen = 0;

	if (!planner->round->len)
		return NULL;
	while (n < planner->round->len && n < G_N_ELEMENTS(pools)) {
		queue = g_ptr_array_index(planner->round, n);
		if (queue->priority != ((struct round_queue *)g_ptr_array_index(planner->round, 0))->priority)
			break;
		pools[n++] = queue->pool;
	}
	if (n > 1)
		chosen = allocation_pools_next(planner->accounts.pools, pools, n);
	queue = g_ptr_array_index(planner->round, chosen);
	entry = g_queue_pop_head(&queue->entries);
	if (g_queue_is_empty(&queue->entries))
		g_ptr_array_remove_index(planner->round, (guint)chosen);
	return entry;
}

static struct entry *next_entry(struct planner *planner)
{
	struct entry *entry = g_queue_pop_head(&planner->dirty);

	if (entry)
		return entry;
	if (!planner->round->len && planner->accounts.freed)
		round_begin(planner);
	entry = round_next(planner);
	return entry ? entry : g_queue_pop_head(&planner->dirty);
}

/* Others began to refer to these VMs: they are groups of their own now. */
void planner_regroup(struct planner *planner)
{
	gboolean freed = planner->accounts.freed;
	guint64 epoch = planner->accounts.epoch;

	while (planner->accounts.regroup->len) {
		g_autofree char *name =
			g_ptr_array_steal_index(planner->accounts.regroup, planner->accounts.regroup->len - 1);
		struct entry *entry = g_hash_table_lookup(planner->entries, name);

		if (!entry || !entry->charge.host)
			continue;
		if (entry->in_flight)
			g_clear_pointer(&entry->written, g_bytes_unref); /* counted anew when it lands */
		else
			planner_account(planner, entry);
	}
	/* Nothing is freer than before. */
	planner->accounts.freed = freed;
	planner->accounts.epoch = epoch;
}

static void entry_forget(struct planner *planner, struct entry *entry)
{
	planner_waits(planner, entry, FALSE);
	accounts_discharge(&planner->accounts, &entry->charge);
	g_hash_table_remove(planner->adrift, entry);
	g_hash_table_remove(planner->entries, entry->name);
}

gboolean planner_next(struct planner *planner, struct planner_write *write)
{
	memset(write, 0, sizeof(*write));
	for (;;) {
		struct entry *entry = next_entry(planner);
		struct records records = { 0 };
		gboolean wrote;

		if (!entry)
			return FALSE;
		entry->queued = FALSE;
		planner_records_load(planner, entry->name, &records);
		wrote = planner_decide(planner, entry, &records, write);
		if (wrote) {
			entry->in_flight = TRUE;
			entry->removes_vm = write->action == PLANNER_DELETE_VM;
			write->name = g_strdup(entry->name);
		} else if (!records.vm_kv && !records.plan_kv && !records.status_kv) {
			entry_forget(planner, entry);
		}
		planner_records_clear(&records);
		planner_regroup(planner);
		if (wrote)
			return TRUE;
	}
}

void planner_failed(struct planner *planner, const char *name)
{
	struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry || !entry->in_flight)
		return;
	planner_account(planner, entry);
	entry->redo = TRUE;
	planner_landed(planner, entry);
}

guint planner_waiting(const struct planner *planner)
{
	return g_hash_table_size(planner->waiting);
}

guint64 planner_memory_placed(const struct planner *planner, const char *host)
{
	return accounts_placed_bytes(&planner->accounts, host);
}
