#include "tests/unit/store/workload.h"

#include <string.h>

#include "tests/unit/store/fixture.h"

/* Values of one page, of several, and now and then of many. */
static char *value_of(guint n, gsize large_bytes)
{
	gsize pad = n % 11 == 0 ? 6000 : n * 37 % 400;

	if (large_bytes > 0 && n % 13 == 0)
		pad = large_bytes;
	{
		g_autofree char *fill = g_strnfill(pad, (char)('a' + n % 26));

		return g_strdup_printf("%u %s", n, fill);
	}
}

static gboolean deletes(guint n)
{
	return n % 7 == 0;
}

struct store_txn *workload_txn(guint n, gsize large_bytes)
{
	g_autofree char *number = g_strdup_printf("%u", n);
	g_autofree char *text = value_of(n, large_bytes);
	g_autoptr(GBytes) seq = bytes(number);
	g_autoptr(GBytes) value = bytes(text);
	struct store_txn *txn = store_txn_new();
	guint slot = n % WORKLOAD_SLOTS;

	store_txn_put(txn, STORE_THEN, "/seq", seq, 0);
	if (deletes(n)) {
		g_autofree char *from = g_strdup_printf("/slot/%02u/", slot);
		g_autofree char *end = g_strdup_printf("/slot/%02u0", slot);

		store_txn_delete_range(txn, STORE_THEN, from, end);
		return txn;
	}
	for (char part = 'a'; part <= 'c'; part++) {
		g_autofree char *key = g_strdup_printf("/slot/%02u/%c", slot, part);

		store_txn_put(txn, STORE_THEN, key, value, 0);
	}
	return txn;
}

static guint last_of_slot(guint slot, guint n)
{
	while (n > 0 && n % WORKLOAD_SLOTS != slot)
		n--;
	return n;
}

static char *check_slot(GHashTable *kvs, guint slot, guint n, gsize large_bytes, guint *n_keys)
{
	guint last = last_of_slot(slot, n);
	g_autofree char *expected = last == 0 || deletes(last) ? NULL : value_of(last, large_bytes);

	for (char part = 'a'; part <= 'c'; part++) {
		g_autofree char *key = g_strdup_printf("/slot/%02u/%c", slot, part);
		const char *found = g_hash_table_lookup(kvs, key);

		if (g_strcmp0(found, expected) != 0)
			return g_strdup_printf("at %u, %s holds \"%.20s\", not \"%.20s\"", n, key,
					       found != NULL ? found : "(none)",
					       expected != NULL ? expected : "(none)");
		*n_keys += found != NULL;
	}
	return NULL;
}

gint64 workload_check(struct store *store, gsize large_bytes, char **why)
{
	g_autoptr(GHashTable) kvs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autofree char *from = g_strdup("/");
	gboolean more = TRUE;
	const char *seq;
	guint n, n_keys = 0;

	*why = NULL;
	while (more) {
		struct store_range *range = range_sync(store, from, "0", 0, 0, -1);

		for (guint i = 0; i < range->kvs->len; i++) {
			struct store_kv *kv = range->kvs->pdata[i];

			g_hash_table_insert(kvs, g_strdup(kv->key), text_of(kv));
			g_free(from);
			from = store_key_after(kv->key);
		}
		more = range->more;
		store_range_free(range);
	}
	seq = g_hash_table_lookup(kvs, "/seq");
	n = seq != NULL ? (guint)g_ascii_strtoull(seq, NULL, 10) : 0;
	for (guint slot = 0; slot < WORKLOAD_SLOTS && *why == NULL; slot++)
		*why = check_slot(kvs, slot, n, large_bytes, &n_keys);
	if (*why == NULL && g_hash_table_size(kvs) != n_keys + (n > 0))
		*why = g_strdup_printf("at %u, there are keys nobody wrote", n);
	return *why == NULL ? (gint64)n : -1;
}
