/* A new agent finds out what an earlier one left: the statuses it wrote, the run directories its engines made, and the
 * plans as they are now. Nothing is started, stopped or cleaned before all three are known. */
#include "daemon/agent/vms_private.h"

#include <string.h>

#include "daemon/agent/plans.h"
#include "daemon/model/error.h"
#include "daemon/model/units.h"

#define STATUS_PREFIX "/status/"
#define PLAN_PREFIX   "/plan/"

struct recovery {
	struct vms *vms;
	GCancellable *cancellable;
	char *status_end;
	gboolean statuses_read, host_read, plans_ready;
	char *earlier_boot_id; /* of the host's record; NULL: none */
	GError *error;
	GSource *join; /* joins, or reports the error, outside of every callback */
};

/* Answers may come after recovery_free(): they are cancelled then and only free what they hold. */
static gboolean is_cancelled(const GError *error)
{
	return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
	       g_error_matches(error, POLDER_ERROR, POLDER_ERROR_UNKNOWN_OUTCOME);
}

static void restore(struct recovery *recovery, const struct store_kv *kv)
{
	g_autofree char *name = name_of_key(kv->key, STATUS_PREFIX);
	g_autoptr(GError) error = NULL;
	struct status status;
	gsize bytes;
	const char *json = g_bytes_get_data(kv->value, &bytes);

	if (!name || !noun_from_json(&status_noun, &status, json ? json : "", bytes, NOUN_FROM_STORE, &error)) {
		g_warning("status %s is ignored: %s", kv->key, error ? error->message : "not a name");
		return;
	}
	if (!status.host || strcmp(status.host, recovery->vms->host) == 0 ||
	    g_strcmp0(status.agent, recovery->vms->host) == 0)
		lifecycle_restore(vms_ensure(recovery->vms, name), &status);
	noun_clear(&status_noun, &status);
}

static const char *lost_reason(const struct recovery *recovery, const struct vm_life *vm)
{
	const struct vms *vms = recovery->vms;
	gboolean rebooted;

	if (recovery->earlier_boot_id && vms->boot_id)
		rebooted = strcmp(recovery->earlier_boot_id, vms->boot_id) != 0;
	else
		rebooted = vms->config.booted_at > vm->changed_at;
	return rebooted ? "host rebooted" : "lost: its supervisor was killed";
}

static void adopt_run_dirs(struct recovery *recovery, struct life_engine *engine)
{
	const struct engine_ops *ops = engine->engine->ops;
	g_auto(GStrv) names = ops->scan(engine->engine);

	for (char **name = names; name && *name; name++) {
		g_autofree char *uuid = NULL;
		struct vm_life *vm;
		guint64 run = 0;

		if (!name_check(*name, NULL))
			continue;
		vm = vms_ensure(recovery->vms, *name);
		if (vm->engine_vm) {
			g_warning("vm %s: two engines claim its run directory; %s is ignored", *name, ops->name);
			continue;
		}
		if (!ops->intent(engine->engine, *name, &uuid, &run))
			g_clear_pointer(&uuid, g_free);
		lifecycle_adopt(vm, engine, uuid, run);
	}
}

static gboolean ensure_planned(const struct store_kv *kv, gpointer user_data)
{
	g_autofree char *name = name_of_key(kv->key, PLAN_PREFIX);

	if (name)
		vms_ensure(user_data, name);
	return TRUE;
}

static void join(struct recovery *recovery)
{
	struct vms *vms = recovery->vms;
	g_autoptr(GPtrArray) all = g_ptr_array_new();
	GHashTableIter iter;
	gpointer value;

	for (struct life_engine *engine = vms->config.engines; engine->engine; engine++)
		adopt_run_dirs(recovery, engine);
	store_cache_foreach(vms->plans, PLAN_PREFIX, ensure_planned, vms);
	g_hash_table_iter_init(&iter, vms->by_name);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_ptr_array_add(all, value);
	for (guint i = 0; i < all->len; i++) {
		struct vm_life *vm = all->pdata[i];

		if (!vm->engine_vm)
			lifecycle_missing(vm, lost_reason(recovery, vm));
		vms_read_plan(vms, vm);
	}
}

static gboolean finish(gpointer user_data)
{
	struct recovery *recovery = user_data;
	g_autoptr(GError) error = g_steal_pointer(&recovery->error);

	if (!error)
		join(recovery);
	vms_recovered(recovery->vms, error); /* frees us */
	return G_SOURCE_REMOVE;
}

static void check_complete(struct recovery *recovery)
{
	gboolean complete = recovery->statuses_read && recovery->host_read && recovery->plans_ready;

	if (recovery->join || (!complete && !recovery->error))
		return;
	recovery->join = g_idle_source_new();
	g_source_set_priority(recovery->join, G_PRIORITY_DEFAULT);
	g_source_set_callback(recovery->join, finish, recovery, NULL);
	g_source_attach(recovery->join, g_main_context_get_thread_default());
}

void recovery_plans_ready(struct recovery *recovery)
{
	recovery->plans_ready = TRUE;
	check_complete(recovery);
}

static void fail(struct recovery *recovery, GError *error)
{
	if (!recovery->error)
		recovery->error = g_steal_pointer(&error);
	g_clear_error(&error);
	check_complete(recovery);
}

/* ---- Reading the store ---- */

struct answer {
	struct store *store;
	struct recovery *recovery;
	GCancellable *cancellable;
};

static struct answer *answer_new(struct recovery *recovery)
{
	struct answer *answer = g_new0(struct answer, 1);

	answer->store = store_ref(recovery->vms->config.store);
	answer->recovery = recovery;
	answer->cancellable = g_object_ref(recovery->cancellable);
	return answer;
}

/* The range, and in *recovery who asked; NULL there: nobody wants it any more. */
static struct store_range *answer_take(struct answer *answer, GAsyncResult *result, struct recovery **recovery)
{
	GError *error = NULL;
	struct store_range *range = store_range_finish(answer->store, result, &error);

	*recovery = g_cancellable_is_cancelled(answer->cancellable) ? NULL : answer->recovery;
	if (error && *recovery && !is_cancelled(error)) {
		g_prefix_error(&error, "read what was observed before: ");
		fail(*recovery, g_steal_pointer(&error));
	}
	g_clear_error(&error);
	store_unref(answer->store);
	g_object_unref(answer->cancellable);
	g_free(answer);
	return range;
}

static void read_statuses(struct recovery *recovery, const char *from, gint64 revision);

static void statuses_answered(GObject *object, GAsyncResult *result, gpointer user_data)
{
	struct recovery *recovery;
	struct store_range *range = answer_take(user_data, result, &recovery);

	if (!range)
		return;
	for (guint i = 0; recovery && i < range->kvs->len; i++)
		restore(recovery, range->kvs->pdata[i]);
	if (recovery && range->more && range->kvs->len) {
		const struct store_kv *last = range->kvs->pdata[range->kvs->len - 1];
		g_autofree char *from = store_key_after(last->key);

		read_statuses(recovery, from, range->revision);
	} else if (recovery) {
		recovery->statuses_read = TRUE;
		check_complete(recovery);
	}
	store_range_free(range);
}

static void read_statuses(struct recovery *recovery, const char *from, gint64 revision)
{
	store_range_async(recovery->vms->config.store, from, recovery->status_end, revision, 0, recovery->cancellable,
			  statuses_answered, answer_new(recovery));
}

static void host_answered(GObject *object, GAsyncResult *result, gpointer user_data)
{
	struct recovery *recovery;
	struct store_range *range = answer_take(user_data, result, &recovery);

	if (!range)
		return;
	if (recovery && range->kvs->len) {
		const struct store_kv *kv = range->kvs->pdata[0];
		struct host host;
		gsize bytes;
		const char *json = g_bytes_get_data(kv->value, &bytes);

		if (noun_from_json(&host_noun, &host, json ? json : "", bytes, NOUN_FROM_STORE, NULL)) {
			recovery->earlier_boot_id = host.boot_id && *host.boot_id ? g_strdup(host.boot_id) : NULL;
			noun_clear(&host_noun, &host);
		}
	}
	if (recovery) {
		recovery->host_read = TRUE;
		check_complete(recovery);
	}
	store_range_free(range);
}

struct recovery *recovery_begin(struct vms *vms)
{
	struct recovery *recovery = g_new0(struct recovery, 1);
	g_autofree char *host_key = g_strdup_printf("/host/%s", vms->host);

	recovery->vms = vms;
	recovery->cancellable = g_cancellable_new();
	recovery->status_end = store_prefix_end(STATUS_PREFIX);
	read_statuses(recovery, STATUS_PREFIX, 0);
	store_range_async(vms->config.store, host_key, NULL, 0, 1, recovery->cancellable, host_answered,
			  answer_new(recovery));
	return recovery;
}

void recovery_free(struct recovery *recovery)
{
	if (!recovery)
		return;
	g_cancellable_cancel(recovery->cancellable);
	g_object_unref(recovery->cancellable);
	if (recovery->join) {
		g_source_destroy(recovery->join);
		g_source_unref(recovery->join);
	}
	g_clear_error(&recovery->error);
	g_free(recovery->earlier_boot_id);
	g_free(recovery->status_end);
	g_free(recovery);
}
