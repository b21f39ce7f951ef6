/* Every request ends: by its answer, its deadline, its cancellable, or with its store. */
#include "daemon/store/backend.h"

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define TIMEOUT_US ((gint64)LIMIT_STORE_REQUEST_TIMEOUT_MS * 1000)

static GError *early_error(gboolean undone, gboolean writes, gboolean cancelled)
{
	if (!undone && writes)
		return g_error_new(
			POLDER_ERROR, POLDER_ERROR_UNKNOWN_OUTCOME,
			"the write was %s before its answer came; it may have been done: read before writing again",
			cancelled ? "cancelled" : "given up");
	if (cancelled)
		return g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "the store request was cancelled");
	return g_error_new(POLDER_ERROR, POLDER_ERROR_TIMEOUT, "the store did not answer within %u ms",
			   LIMIT_STORE_REQUEST_TIMEOUT_MS);
}

static void end_early(struct store_request *request, gboolean cancelled)
{
	gboolean writes = request->writes;
	struct store_requests *set = request->set;
	g_autoptr(GTask) task = store_request_end(request);

	g_task_return_error(task, early_error(set->withdraw(set->store, request), writes, cancelled));
}

static gboolean on_cancelled(GCancellable *cancellable, gpointer user_data)
{
	struct store_request *request = user_data;
	struct store *store = store_ref(request->set->store);

	end_early(request, TRUE);
	store_unref(store);
	return G_SOURCE_REMOVE;
}

static gboolean on_timer(gpointer user_data)
{
	struct store_requests *set = user_data;
	struct store *store = store_ref(set->store);
	struct store_request *oldest;

	/* Armed again below, or by the next request: callbacks may begin requests while we are here. */
	g_source_set_ready_time(set->timer, -1);
	while ((oldest = g_queue_peek_head(&set->list)) != NULL) {
		if (oldest->created_us + TIMEOUT_US > g_get_monotonic_time()) {
			g_source_set_ready_time(set->timer, oldest->created_us + TIMEOUT_US);
			break;
		}
		end_early(oldest, FALSE);
	}
	store_unref(store);
	return G_SOURCE_CONTINUE;
}

static gboolean timer_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
	return callback(user_data);
}

static GSourceFuncs timer_funcs = { .dispatch = timer_dispatch };

void store_requests_init(struct store_requests *set, struct store *store,
			 gboolean (*withdraw)(struct store *store, struct store_request *request))
{
	set->store = store;
	set->context = g_main_context_ref_thread_default();
	set->withdraw = withdraw;
	g_queue_init(&set->list);
	set->timer = g_source_new(&timer_funcs, sizeof(GSource));
	g_source_set_callback(set->timer, on_timer, set, NULL);
	g_source_attach(set->timer, set->context);
}

void store_requests_clear(struct store_requests *set)
{
	g_assert(g_queue_is_empty(&set->list));
	g_source_destroy(set->timer);
	g_clear_pointer(&set->timer, g_source_unref);
	g_clear_pointer(&set->context, g_main_context_unref);
}

gboolean store_request_begin(struct store_requests *set, struct store_request *request, GTask *task, gboolean writes)
{
	GCancellable *cancellable = g_task_get_cancellable(task);

	if (g_cancellable_is_cancelled(cancellable)) {
		g_task_return_error(task, early_error(TRUE, writes, TRUE));
		g_object_unref(task);
		return FALSE;
	}
	*request = (struct store_request) {
		.set = set, .task = task, .writes = writes, .created_us = g_get_monotonic_time(), .link.data = request
	};
	if (cancellable != NULL) {
		request->cancel = g_cancellable_source_new(cancellable);
		g_source_set_callback(request->cancel, G_SOURCE_FUNC(on_cancelled), request, NULL);
		g_source_attach(request->cancel, set->context);
	}
	g_queue_push_tail_link(&set->list, &request->link);
	if (g_source_get_ready_time(set->timer) < 0)
		g_source_set_ready_time(set->timer, request->created_us + TIMEOUT_US);
	return TRUE;
}

GTask *store_request_end(struct store_request *request)
{
	if (request->task == NULL)
		return NULL;
	g_queue_unlink(&request->set->list, &request->link);
	request->set = NULL;
	if (request->cancel != NULL) {
		g_source_destroy(request->cancel);
		g_clear_pointer(&request->cancel, g_source_unref);
	}
	return g_steal_pointer(&request->task);
}

struct late_error {
	GTask *task;
	GError *error;
};

static gboolean on_late_error(gpointer user_data)
{
	struct late_error *late = user_data;

	g_task_return_error(late->task, g_steal_pointer(&late->error));
	return G_SOURCE_REMOVE;
}

static void late_error_free(gpointer user_data)
{
	struct late_error *late = user_data;

	g_object_unref(late->task);
	g_clear_error(&late->error);
	g_free(late);
}

void store_requests_end_all(struct store_requests *set, const char *why)
{
	struct store_request *request;

	while ((request = g_queue_peek_head(&set->list)) != NULL) {
		struct late_error *late = g_new(struct late_error, 1);
		g_autoptr(GSource) source = g_idle_source_new();
		gboolean writes = request->writes;

		late->task = store_request_end(request);
		late->error = !set->withdraw(set->store, request) && writes
				      ? g_error_new(POLDER_ERROR, POLDER_ERROR_UNKNOWN_OUTCOME,
						    "%s; the write may have been done: read before writing again", why)
				      : g_error_new_literal(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, why);
		g_source_set_priority(source, G_PRIORITY_DEFAULT);
		g_source_set_callback(source, on_late_error, late, late_error_free);
		g_source_attach(source, set->context);
	}
}
