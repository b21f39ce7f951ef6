/* The transaction builder and the limits every backend holds. */
#include "daemon/store/backend.h"

#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

static void compare_clear(gpointer data)
{
	struct store_compare *compare = data;

	g_free(compare->key);
	g_clear_pointer(&compare->value, g_bytes_unref);
}

static void op_clear(gpointer data)
{
	struct store_op *op = data;

	g_free(op->key);
	g_free(op->range_end);
	g_clear_pointer(&op->value, g_bytes_unref);
}

static GArray *array_new(guint element_bytes, GDestroyNotify clear)
{
	GArray *array = g_array_new(FALSE, FALSE, element_bytes);

	g_array_set_clear_func(array, clear);
	return array;
}

struct store_txn *store_txn_new(void)
{
	struct store_txn *txn = g_new(struct store_txn, 1);

	txn->compares = array_new(sizeof(struct store_compare), compare_clear);
	for (int i = 0; i < 2; i++)
		txn->branches[i] = array_new(sizeof(struct store_op), op_clear);
	return txn;
}

void store_txn_free(struct store_txn *txn)
{
	if (txn == NULL)
		return;
	g_array_unref(txn->compares);
	g_array_unref(txn->branches[STORE_THEN]);
	g_array_unref(txn->branches[STORE_ELSE]);
	g_free(txn);
}

void store_txn_compare(struct store_txn *txn, const char *key, enum store_target target, enum store_relation relation,
		       gint64 number)
{
	struct store_compare compare = {
		.key = g_strdup(key), .target = target, .relation = relation, .number = number
	};

	g_array_append_val(txn->compares, compare);
}

void store_txn_compare_value(struct store_txn *txn, const char *key, enum store_relation relation, GBytes *value)
{
	struct store_compare compare = {
		.key = g_strdup(key), .target = STORE_TARGET_VALUE, .relation = relation, .value = g_bytes_ref(value)
	};

	g_array_append_val(txn->compares, compare);
}

static void op_add(struct store_txn *txn, enum store_branch branch, enum store_op_kind kind, const char *key,
		   const char *range_end)
{
	struct store_op op = { .kind = kind, .key = g_strdup(key), .range_end = g_strdup(range_end) };

	g_array_append_val(txn->branches[branch], op);
}

void store_txn_put(struct store_txn *txn, enum store_branch branch, const char *key, GBytes *value, gint64 lease)
{
	struct store_op op = {
		.kind = STORE_OP_PUT, .key = g_strdup(key), .value = g_bytes_ref(value), .lease = lease
	};

	g_array_append_val(txn->branches[branch], op);
}

void store_txn_delete(struct store_txn *txn, enum store_branch branch, const char *key)
{
	op_add(txn, branch, STORE_OP_DELETE, key, NULL);
}

void store_txn_delete_range(struct store_txn *txn, enum store_branch branch, const char *key, const char *range_end)
{
	op_add(txn, branch, STORE_OP_DELETE, key, range_end);
}

void store_txn_range(struct store_txn *txn, enum store_branch branch, const char *key, const char *range_end)
{
	op_add(txn, branch, STORE_OP_RANGE, key, range_end);
}

gboolean store_relation_holds(enum store_relation relation, int order)
{
	switch (relation) {
	case STORE_EQUAL:
		return order == 0;
	case STORE_NOT_EQUAL:
		return order != 0;
	case STORE_GREATER:
		return order > 0;
	case STORE_LESS:
		return order < 0;
	}
	return FALSE;
}

static gboolean key_check(const char *key, GError **error)
{
	if (key == NULL || key[0] == '\0') {
		g_set_error_literal(error, POLDER_ERROR, POLDER_ERROR_INVALID, "a key must not be empty");
		return FALSE;
	}
	if (strlen(key) > LIMIT_STORE_KEY_BYTES) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE, "key \"%.40s…\" is longer than %u bytes", key,
			    LIMIT_STORE_KEY_BYTES);
		return FALSE;
	}
	if (!g_utf8_validate(key, -1, NULL)) {
		g_set_error_literal(error, POLDER_ERROR, POLDER_ERROR_INVALID, "a key must be UTF-8");
		return FALSE;
	}
	return TRUE;
}

/* [a.key, a.end) against [b.key, b.end), where a missing end means the one key. */
static gboolean ops_overlap(const struct store_op *a, const struct store_op *b)
{
	int order = strcmp(a->key, b->key);

	if (order == 0)
		return TRUE;
	if (order > 0)
		return ops_overlap(b, a);
	return a->range_end != NULL && strcmp(b->key, a->range_end) < 0;
}

static gboolean op_check(const struct store_op *op, GError **error)
{
	struct store_span span;

	if (op->kind == STORE_OP_PUT && op->lease < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "lease %" G_GINT64_FORMAT " does not exist",
			    op->lease);
		return FALSE;
	}
	if (op->range_end == NULL)
		return key_check(op->key, error);
	if (!store_span_init(&span, op->key, op->range_end, error))
		return FALSE;
	store_span_clear(&span);
	return TRUE;
}

static gboolean branch_check(const GArray *ops, GError **error)
{
	if (ops->len > LIMIT_STORE_TXN_OPS) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE,
			    "transaction has %u operations, at most %u are taken: split it", ops->len,
			    LIMIT_STORE_TXN_OPS);
		return FALSE;
	}
	for (guint i = 0; i < ops->len; i++) {
		const struct store_op *op = &g_array_index(ops, struct store_op, i);

		if (!op_check(op, error))
			return FALSE;
		for (guint j = 0; j < i && op->kind != STORE_OP_RANGE; j++) {
			const struct store_op *other = &g_array_index(ops, struct store_op, j);

			if (other->kind == STORE_OP_RANGE || !ops_overlap(op, other))
				continue;
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "transaction writes key \"%s\" twice",
				    strcmp(op->key, other->key) > 0 ? op->key : other->key);
			return FALSE;
		}
	}
	return TRUE;
}

gsize store_txn_bytes(const struct store_txn *txn)
{
	gsize bytes = 0;

	for (guint i = 0; i < txn->compares->len; i++) {
		const struct store_compare *compare = &g_array_index(txn->compares, struct store_compare, i);

		bytes += strlen(compare->key) + (compare->value != NULL ? g_bytes_get_size(compare->value) : 0);
	}
	for (int branch = 0; branch < 2; branch++) {
		for (guint i = 0; i < txn->branches[branch]->len; i++) {
			const struct store_op *op = &g_array_index(txn->branches[branch], struct store_op, i);

			bytes += strlen(op->key) + (op->range_end != NULL ? strlen(op->range_end) : 0) +
				 (op->value != NULL ? g_bytes_get_size(op->value) : 0);
		}
	}
	return bytes;
}

gboolean store_txn_validate(const struct store_txn *txn, GError **error)
{
	if (txn->compares->len > LIMIT_STORE_TXN_OPS) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE,
			    "transaction has %u compares, at most %u are taken", txn->compares->len,
			    LIMIT_STORE_TXN_OPS);
		return FALSE;
	}
	for (guint i = 0; i < txn->compares->len; i++) {
		if (!key_check(g_array_index(txn->compares, struct store_compare, i).key, error))
			return FALSE;
	}
	if (!branch_check(txn->branches[STORE_THEN], error) || !branch_check(txn->branches[STORE_ELSE], error))
		return FALSE;
	if (store_txn_bytes(txn) > LIMIT_STORE_REQUEST_BYTES) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE, "transaction is larger than %u bytes",
			    LIMIT_STORE_REQUEST_BYTES);
		return FALSE;
	}
	return TRUE;
}

gboolean store_txn_writes(const struct store_txn *txn)
{
	for (int branch = 0; branch < 2; branch++) {
		for (guint i = 0; i < txn->branches[branch]->len; i++) {
			if (g_array_index(txn->branches[branch], struct store_op, i).kind != STORE_OP_RANGE)
				return TRUE;
		}
	}
	return FALSE;
}

struct store_txn_result *store_txn_result_new(void)
{
	struct store_txn_result *result = g_new0(struct store_txn_result, 1);

	result->ranges = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
	return result;
}

void store_txn_result_free(struct store_txn_result *result)
{
	if (result == NULL)
		return;
	g_ptr_array_unref(result->ranges);
	g_free(result);
}
