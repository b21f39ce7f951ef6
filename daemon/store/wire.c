/* Payloads of the frames. What a peer sends was checked to be in normal form; here its shape is checked: no NUL in a
 * key, enums in their ranges, counts within the limits before anything is built from them. */
#include "daemon/store/frame.h"

#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define KV_TYPE          "(ayayxxxx)"
#define ERROR_TEXT_BYTES 4096

static GVariant *from_data(const void *data, gsize size)
{
	return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, data, size, 1);
}

static GVariant *from_key(const char *key)
{
	return key != NULL ? from_data(key, strlen(key)) : from_data(NULL, 0);
}

static GVariant *from_value(GBytes *value)
{
	/* No copy: the array holds a reference to the value. */
	return value != NULL ? g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, value, TRUE) : from_data(NULL, 0);
}

/* Takes over child. A key without NUL, of a bounded length; NULL when it is none. */
static char *take_key(GVariant *child)
{
	gsize len;
	const char *data = g_variant_get_fixed_array(child, &len, 1);
	char *key = NULL;

	if (len <= LIMIT_STORE_KEY_BYTES + 1 && (len == 0 || memchr(data, '\0', len) == NULL))
		key = g_strndup(len > 0 ? data : "", len);
	g_variant_unref(child);
	return key;
}

static GBytes *take_value(GVariant *child)
{
	gsize len;
	const void *data = g_variant_get_fixed_array(child, &len, 1);
	GBytes *value = g_bytes_new(data, len); /* a copy: not to keep a whole frame for one value */

	g_variant_unref(child);
	return value;
}

static gboolean malformed(const char *what, GError **error)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "store frame: malformed %s", what);
	return FALSE;
}

GVariant *store_wire_txn(const struct store_txn *txn)
{
	GVariantBuilder compares, ops;

	g_variant_builder_init(&compares, G_VARIANT_TYPE("a(ayyyxay)"));
	for (guint i = 0; i < txn->compares->len; i++) {
		const struct store_compare *compare = &g_array_index(txn->compares, struct store_compare, i);

		g_variant_builder_add(&compares, "(@ayyyx@ay)", from_key(compare->key), (guchar)compare->target,
				      (guchar)compare->relation, compare->number, from_value(compare->value));
	}
	g_variant_builder_init(&ops, G_VARIANT_TYPE("a(yyayayayx)"));
	for (int branch = 0; branch < 2; branch++) {
		for (guint i = 0; i < txn->branches[branch]->len; i++) {
			const struct store_op *op = &g_array_index(txn->branches[branch], struct store_op, i);

			g_variant_builder_add(&ops, "(yy@ay@ay@ayx)", (guchar)branch, (guchar)op->kind,
					      from_key(op->key), from_key(op->range_end), from_value(op->value),
					      op->lease);
		}
	}
	return g_variant_new("(a(ayyyxay)a(yyayayayx))", &compares, &ops);
}

static gboolean parse_compare(GVariant *child, struct store_txn *txn, GError **error)
{
	g_autoptr(GBytes) value = NULL;
	g_autofree char *key = NULL;
	GVariant *key_child, *value_child;
	guchar target, relation;
	gint64 number;

	g_variant_get(child, "(@ayyyx@ay)", &key_child, &target, &relation, &number, &value_child);
	key = take_key(key_child);
	value = take_value(value_child);
	if (key == NULL || target > STORE_TARGET_VALUE || relation > STORE_LESS)
		return malformed("compare", error);
	if (target == STORE_TARGET_VALUE)
		store_txn_compare_value(txn, key, relation, value);
	else
		store_txn_compare(txn, key, target, relation, number);
	return TRUE;
}

static gboolean parse_op(GVariant *child, struct store_txn *txn, GError **error)
{
	g_autoptr(GBytes) value = NULL;
	g_autofree char *key = NULL;
	g_autofree char *end = NULL;
	GVariant *key_child, *end_child, *value_child;
	guchar branch, kind;
	gint64 lease;

	g_variant_get(child, "(yy@ay@ay@ayx)", &branch, &kind, &key_child, &end_child, &value_child, &lease);
	key = take_key(key_child);
	end = take_key(end_child);
	value = take_value(value_child);
	if (key == NULL || end == NULL || branch > STORE_ELSE)
		return malformed("operation", error);
	switch (kind) {
	case STORE_OP_PUT:
		store_txn_put(txn, branch, key, value, lease);
		return TRUE;
	case STORE_OP_DELETE:
		store_txn_delete_range(txn, branch, key, end[0] != '\0' ? end : NULL);
		return TRUE;
	case STORE_OP_RANGE:
		store_txn_range(txn, branch, key, end[0] != '\0' ? end : NULL);
		return TRUE;
	default:
		return malformed("operation", error);
	}
}

/* One more than the limits is let through, for store_txn_validate() to name the limit. */
struct store_txn *store_wire_parse_txn(GVariant *payload, GError **error)
{
	g_autoptr(GVariant) compares = g_variant_get_child_value(payload, 0);
	g_autoptr(GVariant) ops = g_variant_get_child_value(payload, 1);
	struct store_txn *txn = store_txn_new();
	gboolean ok = TRUE;

	if (g_variant_n_children(compares) > LIMIT_STORE_TXN_OPS + 1 ||
	    g_variant_n_children(ops) > 2 * (LIMIT_STORE_TXN_OPS + 1))
		ok = malformed("transaction: too many operations", error);
	for (gsize i = 0; ok && i < g_variant_n_children(compares); i++) {
		g_autoptr(GVariant) child = g_variant_get_child_value(compares, i);

		ok = parse_compare(child, txn, error);
	}
	for (gsize i = 0; ok && i < g_variant_n_children(ops); i++) {
		g_autoptr(GVariant) child = g_variant_get_child_value(ops, i);

		ok = parse_op(child, txn, error);
	}
	if (!ok)
		g_clear_pointer(&txn, store_txn_free);
	return txn;
}

GVariant *store_wire_range(const struct store_span *span, gint64 revision, guint limit)
{
	return g_variant_new("(@ay@ayxu)", from_key(span->start), from_key(span->end), revision, limit);
}

static gboolean take_span(GVariant *start_child, GVariant *end_child, struct store_span *span, GError **error)
{
	g_autofree char *start = take_key(start_child);
	g_autofree char *end = take_key(end_child);

	if (start == NULL || end == NULL)
		return malformed("range", error);
	return store_span_init(span, start, end, error);
}

gboolean store_wire_parse_range(GVariant *payload, struct store_span *span, gint64 *revision, guint *limit,
				GError **error)
{
	GVariant *start, *end;

	g_variant_get(payload, "(@ay@ayxu)", &start, &end, revision, limit);
	return take_span(start, end, span, error);
}

GVariant *store_wire_watch(const struct store_span *span, gint64 start_revision)
{
	return g_variant_new("(@ay@ayx)", from_key(span->start), from_key(span->end), start_revision);
}

gboolean store_wire_parse_watch(GVariant *payload, struct store_span *span, gint64 *start_revision, GError **error)
{
	GVariant *start, *end;

	g_variant_get(payload, "(@ay@ayx)", &start, &end, start_revision);
	return take_span(start, end, span, error);
}

GVariant *store_wire_error(const GError *error)
{
	g_autofree char *text =
		g_utf8_make_valid(error->message, MIN((gssize)strlen(error->message), ERROR_TEXT_BYTES));

	return g_variant_new("(us)", error->domain == POLDER_ERROR ? (guint)error->code : (guint)POLDER_ERROR_FAILED,
			     text);
}

GError *store_wire_parse_error(GVariant *payload)
{
	const char *text;
	guint code;

	g_variant_get(payload, "(u&s)", &code, &text);
	return g_error_new_literal(POLDER_ERROR, code < POLDER_ERROR_COUNT ? (int)code : POLDER_ERROR_FAILED, text);
}

static void add_kvs(GVariantBuilder *builder, const GPtrArray *kvs)
{
	for (guint i = 0; i < kvs->len; i++) {
		const struct store_kv *kv = kvs->pdata[i];

		g_variant_builder_add(builder, "(@ay@ayxxxx)", from_key(kv->key), from_value(kv->value),
				      kv->create_revision, kv->mod_revision, kv->version, kv->lease);
	}
}

/* Takes over `kvs`, an array of KV_TYPE; NULL when one has no proper key. */
static GPtrArray *take_kvs(GVariant *children)
{
	GPtrArray *kvs = g_ptr_array_new_with_free_func((GDestroyNotify)store_kv_free);

	for (gsize i = 0; kvs != NULL && i < g_variant_n_children(children); i++) {
		struct store_kv *kv = g_new0(struct store_kv, 1);
		GVariant *key, *value;

		g_variant_get_child(children, i, "(@ay@ayxxxx)", &key, &value, &kv->create_revision, &kv->mod_revision,
				    &kv->version, &kv->lease);
		kv->key = take_key(key);
		kv->value = take_value(value);
		g_ptr_array_add(kvs, kv);
		if (kv->key == NULL)
			g_clear_pointer(&kvs, g_ptr_array_unref);
	}
	g_variant_unref(children);
	return kvs;
}

GVariant *store_wire_txn_done(const struct store_txn_result *result)
{
	GVariantBuilder ranges;

	g_variant_builder_init(&ranges, G_VARIANT_TYPE("aa" KV_TYPE));
	for (guint i = 0; i < result->ranges->len; i++) {
		g_variant_builder_open(&ranges, G_VARIANT_TYPE("a" KV_TYPE));
		add_kvs(&ranges, result->ranges->pdata[i]);
		g_variant_builder_close(&ranges);
	}
	return g_variant_new("(bxtaa" KV_TYPE ")", result->succeeded, result->revision, result->deleted, &ranges);
}

struct store_txn_result *store_wire_parse_txn_done(GVariant *payload, GError **error)
{
	struct store_txn_result *result = store_txn_result_new();
	g_autoptr(GVariant) ranges = NULL;

	g_variant_get(payload, "(bxt@aa" KV_TYPE ")", &result->succeeded, &result->revision, &result->deleted, &ranges);
	for (gsize i = 0; i < g_variant_n_children(ranges); i++) {
		GPtrArray *kvs = take_kvs(g_variant_get_child_value(ranges, i));

		if (kvs == NULL) {
			malformed("answer", error);
			store_txn_result_free(result);
			return NULL;
		}
		g_ptr_array_add(result->ranges, kvs);
	}
	return result;
}

GVariant *store_wire_range_done(const struct store_range *range)
{
	GVariantBuilder kvs;

	g_variant_builder_init(&kvs, G_VARIANT_TYPE("a" KV_TYPE));
	add_kvs(&kvs, range->kvs);
	return g_variant_new("(xba" KV_TYPE ")", range->revision, range->more, &kvs);
}

struct store_range *store_wire_parse_range_done(GVariant *payload, GError **error)
{
	struct store_range *range = g_new0(struct store_range, 1);
	GVariant *kvs;

	g_variant_get(payload, "(xb@a" KV_TYPE ")", &range->revision, &range->more, &kvs);
	range->kvs = take_kvs(kvs);
	if (range->kvs != NULL)
		return range;
	malformed("answer", error);
	g_free(range);
	return NULL;
}

GVariant *store_wire_events(const struct store_event *events, guint n_events, gint64 revision, gboolean final)
{
	GVariantBuilder builder;

	g_variant_builder_init(&builder, G_VARIANT_TYPE("a(bayayxxxx)"));
	for (guint i = 0; i < n_events; i++) {
		const struct store_kv *kv = &events[i].kv;

		g_variant_builder_add(&builder, "(b@ay@ayxxxx)", events[i].deleted, from_key(kv->key),
				      from_value(kv->value), kv->create_revision, kv->mod_revision, kv->version,
				      kv->lease);
	}
	return g_variant_new("(xba(bayayxxxx))", revision, final, &builder);
}

gboolean store_wire_parse_events(GVariant *payload, GArray *events, gint64 *revision, gboolean *final, GError **error)
{
	g_autoptr(GVariant) children = NULL;

	g_variant_get(payload, "(xb@a(bayayxxxx))", revision, final, &children);
	for (gsize i = 0; i < g_variant_n_children(children); i++) {
		struct store_event event = { 0 };
		GVariant *key, *value;

		g_variant_get_child(children, i, "(b@ay@ayxxxx)", &event.deleted, &key, &value,
				    &event.kv.create_revision, &event.kv.mod_revision, &event.kv.version,
				    &event.kv.lease);
		event.kv.key = take_key(key);
		event.kv.value = take_value(value);
		if (event.deleted)
			g_clear_pointer(&event.kv.value, g_bytes_unref);
		g_array_append_val(events, event);
		if (event.kv.key == NULL)
			return malformed("event", error);
	}
	return TRUE;
}
