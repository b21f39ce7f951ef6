#include "daemon/control/control.h"

#include "daemon/control/choice.h"
#include "daemon/control/planner.h"
#include "daemon/control/questions.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define RETRY_MS        250u                             /* after a store error: a full disk, a deadline */
#define BATCH_PLANS_MAX 64u                              /* a removal takes two compares */
#define BATCH_BYTES_MAX (LIMIT_STORE_REQUEST_BYTES / 2u) /* values; keys and framing take the rest */

struct batch {
	struct control *control; /* NULL: it was freed meanwhile */
	GPtrArray *names;
};

struct control {
	struct store *store;
	const struct store_cache *cache;
	struct planner *planner;
	struct batch *writing; /* one transaction at a time: the next grows while it is made durable */
	guint batch_max;       /* operations; 1 after a batch failed, so that one bad write holds up no other */
	guint run_source, retry_source;
	gboolean error_said;
};

static void control_schedule(struct control *control);

static const struct store_kv *lookup(const char *key, gpointer user_data)
{
	const struct control *control = user_data;

	return store_cache_get(control->cache, key);
}

struct control *control_new(struct store *store, const struct store_cache *cache)
{
	struct control *control = g_new0(struct control, 1);

	control->store = store;
	control->cache = cache;
	control->batch_max = BATCH_PLANS_MAX;
	control->planner = planner_new(lookup, control);
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	if (control->writing)
		control->writing->control = NULL;
	g_clear_handle_id(&control->run_source, g_source_remove);
	g_clear_handle_id(&control->retry_source, g_source_remove);
	planner_free(control->planner);
	g_free(control);
}

static void batch_free(struct batch *batch)
{
	g_ptr_array_unref(batch->names);
	g_free(batch);
}

static gboolean retry_due(gpointer user_data)
{
	struct control *control = user_data;

	control->retry_source = 0;
	control_schedule(control);
	return G_SOURCE_REMOVE;
}

static void batch_failed(struct control *control, struct batch *batch, const GError *error)
{
	for (guint i = 0; i < batch->names->len; i++)
		planner_failed(control->planner, g_ptr_array_index(batch->names, i));
	control->batch_max = 1;
	/* A compare that did not hold has no error: the snapshot was behind. Trying at once would find it still behind. */
	if (error && !control->error_said) {
		g_warning("plans can't be written, trying again: %s", error->message);
		control->error_said = TRUE;
	}
	if (!control->retry_source)
		control->retry_source = g_timeout_add(error ? RETRY_MS : 1, retry_due, control);
}

static void batch_done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct batch *batch = user_data;
	struct control *control = batch->control;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result;

	/* The store outlives every pending request of its own; `control` may not. */
	if (!control) {
		batch_free(batch);
		return;
	}
	result = store_txn_finish(control->store, async, &error);
	control->writing = NULL;
	if (result && result->succeeded) {
		control->batch_max = MIN(control->batch_max * 2, BATCH_PLANS_MAX);
		control->error_said = FALSE;
		control_schedule(control);
	} else {
		batch_failed(control, batch, error);
	}
	if (result)
		store_txn_result_free(result);
	batch_free(batch);
}

/* Adds one write; how many compares it took. */
static guint txn_add(struct store_txn *txn, const struct planner_write *write)
{
	g_autofree char *plan_key = g_strconcat("/plan/", write->name, NULL);
	g_autofree char *vm_key = g_strconcat("/vm/", write->name, NULL);
	g_autofree char *status_key = g_strconcat("/status/", write->name, NULL);

	switch (write->action) {
	case PLANNER_PUT_PLAN:
		store_txn_compare(txn, plan_key, STORE_TARGET_MOD, STORE_EQUAL, write->revision);
		store_txn_put(txn, STORE_THEN, plan_key, write->value, 0);
		return 1;
	case PLANNER_DELETE_PLAN:
		store_txn_compare(txn, plan_key, STORE_TARGET_MOD, STORE_EQUAL, write->revision);
		store_txn_compare(txn, status_key, STORE_TARGET_MOD, STORE_EQUAL, 0);
		store_txn_delete(txn, STORE_THEN, plan_key);
		return 2;
	case PLANNER_DELETE_VM:
		store_txn_compare(txn, vm_key, STORE_TARGET_MOD, STORE_EQUAL, write->revision);
		store_txn_delete(txn, STORE_THEN, vm_key);
		return 1;
	}
	g_assert_not_reached();
}

static gboolean run(gpointer user_data)
{
	struct control *control = user_data;
	struct store_txn *txn;
	struct batch *batch;
	struct planner_write write;
	guint compares = 0;
	gsize bytes = 0;

	control->run_source = 0;
	if (control->writing || control->retry_source)
		return G_SOURCE_REMOVE;
	txn = store_txn_new();
	batch = g_new0(struct batch, 1);
	batch->control = control;
	batch->names = g_ptr_array_new_with_free_func(g_free);
	while (batch->names->len < control->batch_max && compares + 2 <= LIMIT_STORE_TXN_OPS &&
	       bytes < BATCH_BYTES_MAX && planner_next(control->planner, &write)) {
		compares += txn_add(txn, &write);
		bytes += write.value ? g_bytes_get_size(write.value) : 0;
		g_ptr_array_add(batch->names, g_steal_pointer(&write.name));
		planner_write_clear(&write);
	}
	if (batch->names->len == 0) {
		batch_free(batch);
		store_txn_free(txn);
		return G_SOURCE_REMOVE;
	}
	control->writing = batch;
	store_txn_async(control->store, txn, NULL, batch_done, batch);
	return G_SOURCE_REMOVE;
}

static void control_schedule(struct control *control)
{
	/* From the main loop, never inside the watch: changes that arrive together are decided together. */
	if (!control->run_source)
		control->run_source = g_idle_add_full(G_PRIORITY_DEFAULT, run, control, NULL);
}

static gboolean feed(const struct store_kv *kv, gpointer user_data)
{
	struct control *control = user_data;

	planner_changed(control->planner, NULL, kv);
	return TRUE;
}

void control_ready(struct control *control)
{
	/* What others refer to comes first. */
	static const char *const kinds[] = { "/strategy/", "/host-spec/", "/host/", "/pool/",
					     "/plan/",     "/status/",    "/vm/" };

	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
		store_cache_foreach(control->cache, kinds[i], feed, control);
	control_schedule(control);
}

void control_changed(struct control *control, const struct store_kv *before, const struct store_kv *now)
{
	planner_changed(control->planner, before, now);
}

void control_settled(struct control *control)
{
	control_schedule(control);
}

char *control_awaits(const struct control *control, const char *name)
{
	return planner_awaits(control->planner, name);
}

guint control_waiting(const struct control *control)
{
	return planner_waiting(control->planner);
}

/* ---- Questions ---- */

JsonObject *control_explain(struct control *control, const struct vm *vm, GError **error)
{
	return questions_explain(control->planner, vm, error);
}

static gboolean record_read(struct control *control, const char *kind, const char *name, const struct noun *noun,
			    gpointer object, GError **error)
{
	g_autofree char *key = g_strdup_printf("/%s/%s", kind, name);
	const struct store_kv *kv = store_cache_get(control->cache, key);
	gsize bytes;
	const char *text = kv ? g_bytes_get_data(kv->value, &bytes) : NULL;

	if (kv)
		return noun_from_json(noun, object, text, bytes, NOUN_FROM_STORE, error);
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "there is no %s %s", kind, name);
	return FALSE;
}

JsonObject *control_explain_vm(struct control *control, const char *name, GError **error)
{
	JsonObject *object;
	gboolean has_plan;
	struct plan plan;
	struct vm vm;

	if (!record_read(control, "vm", name, &vm_noun, &vm, error))
		return NULL;
	has_plan = record_read(control, "plan", name, &plan_noun, &plan, NULL);
	object = questions_explain_placed(control->planner, &vm, has_plan ? &plan : NULL, error);
	if (has_plan)
		noun_clear(&plan_noun, &plan);
	noun_clear(&vm_noun, &vm);
	return object;
}

JsonObject *control_capacity(struct control *control, const struct vm *vm, guint64 limit, GError **error)
{
	return questions_capacity(control->planner, vm, limit, error);
}

JsonObject *control_drain(struct control *control, const char *host, GError **error)
{
	return questions_drain(control->planner, host, error);
}

JsonObject *control_rebalance(struct control *control, const char *strategy, char *const *parameters, guint64 max_moves,
			      GError **error)
{
	return questions_rebalance(control->planner, strategy, parameters, max_moves, error);
}

JsonObject *control_pool_usage(struct control *control, const char *pool, GError **error)
{
	return questions_pool(control->planner, pool, error);
}

gboolean control_pool_check(struct control *control, const struct pool *pool, GError **error)
{
	return questions_pool_check(control->planner, pool, error);
}

JsonObject *control_host_usage(struct control *control, const char *host, GError **error)
{
	return questions_host(control->planner, host, error);
}

gboolean control_strategy_check(const struct strategy_choice *record, GError **error)
{
	struct choice choice;

	if (g_strcmp0(record->family, "scheduling") == 0)
		return choice_check_scheduling(record, error);
	return choice_parse(record, &choice, error);
}

JsonObject *control_strategy_current(struct control *control)
{
	return questions_strategy(control->planner);
}
