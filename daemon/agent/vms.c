#include "daemon/agent/vms_private.h"

#include <string.h>

#include "daemon/agent/plans.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define STATUS_PREFIX   "/status/"
#define PLAN_PREFIX     "/plan/"
#define RECONCILE_BATCH 128 /* VMs taken in one turn of the loop: streams and events stay responsive */

static gboolean work(gpointer user_data);
static gboolean timer_fired(gpointer user_data);

/* ---- The table ---- */

struct vm_life *vms_ensure(struct vms *vms, const char *name)
{
	struct vm_life *vm = g_hash_table_lookup(vms->by_name, name);

	if (!vm) {
		vm = lifecycle_new(&vms->env, name);
		g_hash_table_insert(vms->by_name, vm->name, vm);
	}
	return vm;
}

const struct vm_life *vms_get(const struct vms *vms, const char *name)
{
	return g_hash_table_lookup(vms->by_name, name);
}

guint vms_count(const struct vms *vms)
{
	return g_hash_table_size(vms->by_name);
}

gboolean vms_settled(const struct vms *vms)
{
	return !vms->recovery && g_queue_is_empty((GQueue *)&vms->queue);
}

/* ---- Timers: one source for all, set to the earliest ---- */

static gint compare_timers(gconstpointer a, gconstpointer b, gpointer user_data)
{
	const struct vm_life *first = a, *second = b;

	if (first->timer_us != second->timer_us)
		return first->timer_us < second->timer_us ? -1 : 1;
	return first < second ? -1 : first > second;
}

static struct vm_life *earliest(struct vms *vms)
{
	GTreeNode *node = g_tree_node_first(vms->timers);

	return node ? g_tree_node_key(node) : NULL;
}

static void set_timer_source(struct vms *vms)
{
	struct vm_life *first = earliest(vms);

	if (vms->config.now_us) /* not the clock that sources go by */
		return;
	g_source_set_ready_time(vms->timer, first ? first->timer_us : -1);
}

static void file_timer(struct vms *vms, struct vm_life *vm, gint64 due_us)
{
	if (vm->timer_us == due_us)
		return;
	if (vm->timer_us)
		g_tree_remove(vms->timers, vm);
	vm->timer_us = due_us;
	if (due_us)
		g_tree_insert(vms->timers, vm, vm);
	set_timer_source(vms);
}

static gboolean timer_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
	return callback ? callback(user_data) : G_SOURCE_REMOVE;
}

static GSourceFuncs timer_funcs = { .dispatch = timer_dispatch };

/* ---- The queue: acting at our own pace, never inside an event ---- */

static void queue(struct vm_life *vm, gpointer user_data)
{
	struct vms *vms = user_data;

	if (vm->queued)
		return;
	vm->queued = TRUE;
	g_queue_push_tail(&vms->queue, vm);
	if (vms->work || vms->recovery)
		return;
	vms->work = g_idle_source_new();
	g_source_set_priority(vms->work, G_PRIORITY_DEFAULT);
	g_source_set_callback(vms->work, work, vms, NULL);
	g_source_attach(vms->work, g_main_context_get_thread_default());
}

static void forget(struct vms *vms, struct vm_life *vm)
{
	file_timer(vms, vm, 0);
	if (vm->queued)
		g_queue_remove(&vms->queue, vm);
	g_hash_table_remove(vms->by_name, vm->name);
	lifecycle_free(vm);
}

static gboolean work(gpointer user_data)
{
	struct vms *vms = user_data;
	struct vm_life *vm;

	for (guint i = 0; i < RECONCILE_BATCH && (vm = g_queue_pop_head(&vms->queue)) != NULL; i++) {
		vm->queued = FALSE;
		lifecycle_reconcile(vm);
		if (vm->state == LIFE_GONE)
			forget(vms, vm);
		else
			file_timer(vms, vm, vm->due_us);
	}
	if (!g_queue_is_empty(&vms->queue))
		return G_SOURCE_CONTINUE;
	g_clear_pointer(&vms->work, g_source_unref);
	return G_SOURCE_REMOVE;
}

void vms_tick(struct vms *vms)
{
	gint64 now_us = vms->env.now_us();
	struct vm_life *vm;

	while ((vm = earliest(vms)) != NULL && vm->timer_us <= now_us) {
		file_timer(vms, vm, 0);
		queue(vm, vms);
	}
	set_timer_source(vms);
}

static gboolean timer_fired(gpointer user_data)
{
	vms_tick(user_data);
	return G_SOURCE_CONTINUE;
}

/* ---- Statuses ---- */

static void tell_changed(struct vms *vms)
{
	if (vms->config.changed)
		vms->config.changed(vms->config.user_data);
}

static void touch(struct vm_life *vm, gpointer user_data)
{
	struct vms *vms = user_data;
	char key[sizeof STATUS_PREFIX + LIMIT_NAME_BYTES];

	tell_changed(vms);

	g_snprintf(key, sizeof key, STATUS_PREFIX "%s", vm->name);
	writer_touch(vms->config.writer, &vms->source, key);
}

static GBytes *status_value(const char *key, gpointer user_data)
{
	struct vms *vms = user_data;
	const struct vm_life *vm = vms_get(vms, key + strlen(STATUS_PREFIX));
	struct status status;
	char *json;

	if (!vm || !lifecycle_status(vm, &status))
		return NULL;
	json = noun_to_json(&status_noun, &status);
	noun_clear(&status_noun, &status);
	return g_bytes_new_take(json, strlen(json));
}

static void status_written(const char *key, gpointer user_data)
{
	struct vms *vms = user_data;
	struct vm_life *vm = g_hash_table_lookup(vms->by_name, key + strlen(STATUS_PREFIX));

	if (vm)
		lifecycle_written(vm);
}

/* ---- Plans ---- */

static const struct store_kv *plan_kv(struct vms *vms, const char *name)
{
	char key[sizeof PLAN_PREFIX + LIMIT_NAME_BYTES];

	g_snprintf(key, sizeof key, PLAN_PREFIX "%s", name);
	return store_cache_get(vms->plans, key);
}

static gboolean plan_of(const struct vm_life *vm, struct plan *plan, gpointer user_data)
{
	struct vms *vms = user_data;
	const struct store_kv *kv = plan_kv(vms, vm->name);

	return kv && plan_read(kv, plan, NULL);
}

void vms_read_plan(struct vms *vms, struct vm_life *vm)
{
	const struct store_kv *kv = plan_kv(vms, vm->name);
	g_autoptr(GError) error = NULL;
	struct plan plan;

	if (!kv) {
		if (vm->has_plan || vm->state != LIFE_NEW)
			g_message("vm %s has no plan any more: it is removed", vm->name);
		lifecycle_plan(vm, NULL, store_cache_revision(vms->plans));
	} else if (!plan_read(kv, &plan, &error)) {
		g_warning("plan of vm %s: %s", vm->name, error->message);
		lifecycle_plan_malformed(vm, error->message, kv->mod_revision);
	} else {
		lifecycle_plan(vm, &plan, kv->mod_revision);
		noun_clear(&plan_noun, &plan);
	}
}

static void plan_changed(const struct store_kv *before, const struct store_kv *now, gint64 revision, gpointer user_data)
{
	struct vms *vms = user_data;
	const char *key = now ? now->key : before->key;
	g_autofree char *name = name_of_key(key, PLAN_PREFIX);

	tell_changed(vms);
	if (vms->recovery) /* it reads all plans when it joins them with the rest */
		return;
	if (!name) {
		g_warning("plan under a key that is no name was ignored");
		return;
	}
	if (now || vms_get(vms, name))
		vms_read_plan(vms, vms_ensure(vms, name));
}

static void plans_ready(gpointer user_data)
{
	struct vms *vms = user_data;

	if (vms->recovery)
		recovery_plans_ready(vms->recovery);
}

static void plans_lost(const GError *error, gpointer user_data)
{
	struct vms *vms = user_data;

	if (vms->config.lost)
		vms->config.lost(error, vms->config.user_data);
}

static const struct store_cache_funcs plan_funcs = {
	.ready = plans_ready,
	.changed = plan_changed,
	.lost = plans_lost,
};

/* ---- What VMs may wait for ---- */

static struct life_engine *engine_called(const char *name, gpointer user_data)
{
	struct vms *vms = user_data;

	for (struct life_engine *engine = vms->config.engines; engine->engine; engine++) {
		if (g_strcmp0(engine->engine->ops->name, name) == 0)
			return engine;
	}
	return NULL;
}

static const struct image_status *image_called(const char *name, gboolean want, gpointer user_data)
{
	struct vms *vms = user_data;

	return vms->config.image(name, want, vms->config.user_data);
}

static void queue_preparing(struct vms *vms)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, vms->by_name);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct vm_life *vm = value;

		if (vm->state == LIFE_PREPARING)
			queue(vm, vms);
	}
}

static void start_over(struct life_engine *engine, gpointer user_data)
{
	queue_preparing(user_data);
}

void vms_image_changed(struct vms *vms, const char *image)
{
	queue_preparing(vms);
}

void vms_engines_changed(struct vms *vms)
{
	queue_preparing(vms);
}

void vms_foreach(const struct vms *vms, void (*func)(const struct vm_life *vm, gpointer user_data), gpointer user_data)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, vms->by_name);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		func(value, user_data);
}

void vms_cpu_notes(struct vms *vms, const char *name, char **notes)
{
	struct vm_life *vm = g_hash_table_lookup(vms->by_name, name);

	if (vm)
		lifecycle_cpu_notes(vm, notes);
	else
		g_strfreev(notes);
}

int vms_stream_open(struct vms *vms, const char *name, const struct engine_stream *stream, GError **error)
{
	struct vm_life *vm = g_hash_table_lookup(vms->by_name, name);

	if (!vm) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "vm %s is not on this host", name);
		return -1;
	}
	return lifecycle_stream_open(vm, stream, error);
}

gboolean vms_stream_may_come(const struct vms *vms, const char *name, enum engine_stream_kind kind)
{
	const struct vm_life *vm = vms_get(vms, name);

	if (vms->recovery)
		return TRUE;
	if (!vm || vm->exit)
		return FALSE;
	if (vm->state == LIFE_ADOPTING || vm->state == LIFE_STARTING)
		return TRUE;
	return kind == ENGINE_STREAM_EXEC && vm->state == LIFE_RUNNING && !vm->ready;
}

/* ---- Life ---- */

void vms_recovered(struct vms *vms, const GError *error)
{
	g_clear_pointer(&vms->recovery, recovery_free);
	if (!error && !g_queue_is_empty(&vms->queue)) {
		struct vm_life *vm = g_queue_pop_head(&vms->queue);

		vm->queued = FALSE; /* filed while recovery held the work back: begin it now */
		queue(vm, vms);
	}
	if (vms->config.recovered)
		vms->config.recovered(error, vms->config.user_data);
}

struct vms *vms_new(const struct vms_config *config)
{
	struct vms *vms = g_new0(struct vms, 1);

	vms->config = *config;
	vms->host = g_strdup(config->host);
	vms->boot_id = g_strdup(config->boot_id);
	vms->by_name = g_hash_table_new(g_str_hash, g_str_equal);
	vms->timers = g_tree_new_full(compare_timers, NULL, NULL, NULL);
	g_queue_init(&vms->queue);
	vms->source = (struct writer_source) { .value = status_value, .written = status_written, .user_data = vms };
	vms->env = (struct life_env) {
		.dirs = config->dirs,
		.host = vms->host,
		.now_us = config->now_us ? config->now_us : g_get_monotonic_time,
		.engine = engine_called,
		.plan = plan_of,
		.image = image_called,
		.touch = touch,
		.queue = queue,
		.start_over = start_over,
		.user_data = vms,
	};
	vms->timer = g_source_new(&timer_funcs, sizeof(GSource));
	g_source_set_callback(vms->timer, timer_fired, vms, NULL);
	g_source_attach(vms->timer, g_main_context_get_thread_default());
	vms->recovery = recovery_begin(vms);
	vms->plans = store_cache_new(config->store, PLAN_PREFIX, &plan_funcs, vms);
	return vms;
}

void vms_free(struct vms *vms)
{
	GHashTableIter iter;
	gpointer value;

	if (!vms)
		return;
	recovery_free(vms->recovery);
	store_cache_free(vms->plans);
	if (vms->work) {
		g_source_destroy(vms->work);
		g_source_unref(vms->work);
	}
	g_source_destroy(vms->timer);
	g_source_unref(vms->timer);
	g_tree_unref(vms->timers);
	g_queue_clear(&vms->queue);
	g_hash_table_iter_init(&iter, vms->by_name);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		lifecycle_free(value);
	g_hash_table_unref(vms->by_name);
	g_free(vms->host);
	g_free(vms->boot_id);
	g_free(vms);
}
