/* /v1/events: server-sent events, one per visible change.
 *
 * Live events go to every open stream at once. A stream that asks for the past (?since=REV, or Last-Event-ID after a
 * broken connection) first replays the store's own history through a watch of its own, and joins the live ones where that
 * reaches the present; so a restart of the daemon loses no event. History that the store no longer has is a 410. */
#include "daemon/api/server.h"

#include <string.h>

#define PENDING_BYTES_MAX (1u << 20) /* a client further behind than this is cut off; it resumes with Last-Event-ID */
#define HEARTBEAT_MS      15000u     /* finds clients that vanished without a word */

/* An open stream; request->state. */
struct watcher {
	struct request *request;
	gint64 last;                /* revision of the last event passed on or skipped */
	struct store_watch *replay; /* NULL: live */
	GHashTable *seen;           /* replay: key → GBytes last seen, to tell what changed */
	gboolean begun;             /* the response's head is out */
	gsize pending;              /* bytes the client has not taken */
	guint heartbeat;
};

void watcher_free(gpointer data)
{
	struct watcher *watcher = data;

	store_watch_free(watcher->replay);
	g_clear_pointer(&watcher->seen, g_hash_table_unref);
	g_clear_handle_id(&watcher->heartbeat, g_source_remove);
	g_free(watcher);
}

/* ---- What changed ---- */

struct event {
	const char *type; /* "vm", "image", "host" */
	const char *name;
	const char *change;                /* "created", "changed", "removed" */
	struct record_value state, reason; /* JSON text */
	gboolean ready;
	struct record_value time; /* bytes 0: now */
};

static struct record_value json(const char *text)
{
	return (struct record_value) { text, strlen(text) };
}

static struct record_value get_or(GBytes *record, const char *name, const char *otherwise)
{
	struct record_value value = record_get(record, name);

	return value.bytes ? value : json(otherwise);
}

static gboolean same(GBytes *before, GBytes *now, const char *const *fields)
{
	for (; *fields; fields++) {
		if (!record_value_equal(record_get(before, *fields), record_get(now, *fields)))
			return FALSE;
	}
	return TRUE;
}

static gboolean describe_vm(const char *kind, GBytes *before, GBytes *now, gboolean others, struct event *event)
{
	static const char *const visible[] = { "state", "ready", "reason", NULL };

	event->type = "vm";
	event->change = "changed";
	event->state = json("\"pending\"");
	event->reason = json("\"\"");
	if (strcmp(kind, "vm") == 0) {
		if (now && before)
			return FALSE; /* what comes of it shows in the status */
		event->change = now ? "created" : others ? "changed" : "removed";
		event->time = record_get(now, "created_at");
		if (!now)
			event->state = json("\"removing\"");
		return TRUE;
	}
	if (strcmp(kind, "status") == 0) {
		if (!now || (before && same(before, now, visible)))
			return FALSE;
		event->state = get_or(now, "state", "\"pending\"");
		event->reason = get_or(now, "reason", "\"\"");
		event->ready = record_value_is(record_get(now, "ready"), "true");
		event->time = record_get(now, "changed_at");
		return TRUE;
	}
	/* A plan: its last trace when it goes, and news only when it refuses. */
	if (!now) {
		event->change = "removed";
		event->state = json("\"removing\"");
		return !others;
	}
	event->state = json("\"refused\"");
	event->reason = get_or(now, "reason", "\"\"");
	return record_value_is(record_get(now, "refused"), "true") &&
	       !(before && record_value_is(record_get(before, "refused"), "true"));
}

static gboolean describe_image(const char *kind, GBytes *before, GBytes *now, struct event *event)
{
	static const char *const visible[] = { "state", "reason", "step", "progress_percent", NULL };

	event->type = "image";
	event->change = "changed";
	event->state = json("\"absent\"");
	event->reason = json("\"\"");
	if (strcmp(kind, "image") == 0) {
		event->change = now ? "created" : "removed";
		event->time = record_get(now, "created_at");
		return !now || !before;
	}
	if (!now || (before && same(before, now, visible)))
		return FALSE;
	event->state = get_or(now, "state", "\"absent\"");
	event->reason = get_or(now, "reason", "\"\"");
	if (record_value_is(event->state, "\"building\""))
		event->reason = get_or(now, "step", "\"\"");
	return TRUE;
}

static gboolean describe_host(GBytes *before, GBytes *now, struct event *event)
{
	event->type = "host";
	event->change = !now ? "removed" : before ? "changed" : "created";
	event->state = json(now ? "\"up\"" : "\"down\"");
	event->time = record_get(now, "started_at");
	event->reason = get_or(now, "accelerator_reason", "\"\"");
	return !now || !before || !g_bytes_equal(before, now);
}

/* Whether the change of `key` is visible, and how. `others`: other records of the same VM are there. */
static gboolean describe(const char *key, GBytes *before, GBytes *now, gboolean others, struct event *event)
{
	const char *slash = strchr(key + 1, '/');
	g_autofree char *kind = slash ? g_strndup(key + 1, (gsize)(slash - key - 1)) : NULL;

	memset(event, 0, sizeof(*event));
	if (!kind)
		return FALSE;
	event->name = slash + 1;
	if (strcmp(kind, "vm") == 0 || strcmp(kind, "plan") == 0 || strcmp(kind, "status") == 0)
		return describe_vm(kind, before, now, others, event);
	if (strcmp(kind, "image") == 0 || strcmp(kind, "image-status") == 0)
		return describe_image(kind, before, now, event);
	if (strcmp(kind, "host") == 0)
		return describe_host(before, now, event);
	return FALSE;
}

static void append_member(GString *out, const char *name, struct record_value value)
{
	g_string_append_printf(out, ",\"%s\":", name);
	g_string_append_len(out, value.json, (gssize)value.bytes);
}

static GBytes *event_text(const struct event *event, gint64 revision, GBytes *now)
{
	GString *out = g_string_new(NULL);
	gint64 us = g_get_real_time();
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(us / G_USEC_PER_SEC);
	g_autofree char *time_text = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");
	struct record_value progress = record_get(now, "progress_percent");

	g_string_append_printf(out, "id: %" G_GINT64_FORMAT "\ndata: {\"revision\":%" G_GINT64_FORMAT, revision,
			       revision);
	if (event->time.bytes)
		append_member(out, "time", event->time);
	else
		g_string_append_printf(out, ",\"time\":\"%s.%06dZ\"", time_text, (int)(us % G_USEC_PER_SEC));
	g_string_append_printf(out, ",\"type\":\"%s\",\"name\":", event->type);
	record_append_string(out, event->name);
	g_string_append_printf(out, ",\"change\":\"%s\"", event->change);
	append_member(out, "state", event->state);
	append_member(out, "reason", event->reason);
	if (strcmp(event->type, "vm") == 0)
		g_string_append_printf(out, ",\"ready\":%s", event->ready ? "true" : "false");
	if (strcmp(event->type, "image") == 0)
		append_member(out, "progress_percent", progress.bytes ? progress : json("0"));
	g_string_append(out, "}\n\n");
	return g_string_free_to_bytes(out);
}

/* ---- Sending ---- */

static void watcher_send(struct watcher *watcher, GBytes *text)
{
	watcher->pending += g_bytes_get_size(text);
	if (watcher->pending > PENDING_BYTES_MAX) {
		request_cut(watcher->request);
		return;
	}
	request_chunk(watcher->request, text);
}

static void on_wrote_body_data(SoupServerMessage *msg, guint bytes, gpointer user_data)
{
	struct watcher *watcher = ((struct request *)user_data)->state;

	watcher->pending -= MIN(bytes, watcher->pending);
}

void events_changed(struct api *api, const struct store_kv *before, const struct store_kv *now, gint64 revision)
{
	const char *key = now ? now->key : before->key;
	const char *slash = strchr(key + 1, '/');
	struct vm_records records;
	g_autoptr(GBytes) text = NULL;
	struct event event;

	if (api->watchers->len == 0 || !slash)
		return;
	records = vm_records_get(api, slash + 1);
	if (!describe(key, before ? before->value : NULL, now ? now->value : NULL,
		      records.vm || records.plan || records.status, &event))
		return;
	text = event_text(&event, revision, now ? now->value : NULL);
	for (guint i = 0; i < api->watchers->len; i++) {
		struct watcher *watcher = g_ptr_array_index(api->watchers, i);

		/* Several keys of one revision are several events: `last` moves on at the next revision. */
		if (!watcher->replay && revision > watcher->last)
			watcher_send(watcher, text);
	}
}

static gboolean on_heartbeat(gpointer user_data)
{
	struct watcher *watcher = user_data;
	g_autoptr(GBytes) text = g_bytes_new_static(":\n\n", 3);

	watcher_send(watcher, text);
	return G_SOURCE_CONTINUE;
}

static void watcher_begin(struct watcher *watcher)
{
	g_autoptr(GBytes) hello = g_bytes_new_static(":\n\n", 3);

	if (watcher->begun)
		return;
	watcher->begun = TRUE;
	soup_message_headers_append(soup_server_message_get_response_headers(watcher->request->msg), "Cache-Control",
				    "no-store");
	request_begin_chunks(watcher->request, "text/event-stream");
	g_signal_connect(watcher->request->msg, "wrote-body-data", G_CALLBACK(on_wrote_body_data), watcher->request);
	watcher->heartbeat = g_timeout_add(HEARTBEAT_MS, on_heartbeat, watcher);
	/* So that a client knows at once that it is listening. */
	watcher_send(watcher, hello);
}

/* ---- Replay ---- */

static void replay_event(struct watcher *watcher, const struct store_event *event)
{
	GBytes *before = g_hash_table_lookup(watcher->seen, event->kv.key);
	gboolean is_new = !event->deleted && event->kv.create_revision == event->kv.mod_revision;
	g_autoptr(GBytes) empty = g_bytes_new_static("{}", 2);
	g_autoptr(GBytes) text = NULL;
	struct event visible;

	/* A record older than the replay was there before, though what it said then is not known. */
	if (!before && !is_new && !g_str_has_prefix(event->kv.key, "/status/") &&
	    !g_str_has_prefix(event->kv.key, "/image-status/"))
		before = empty;
	if (describe(event->kv.key, before, event->deleted ? NULL : event->kv.value,
		     g_str_has_prefix(event->kv.key, "/vm/"), &visible)) {
		text = event_text(&visible, event->kv.mod_revision, event->deleted ? NULL : event->kv.value);
		watcher_send(watcher, text);
	}
	if (event->deleted)
		g_hash_table_remove(watcher->seen, event->kv.key);
	else
		g_hash_table_insert(watcher->seen, g_strdup(event->kv.key), g_bytes_ref(event->kv.value));
}

static void watcher_gone(struct request *request)
{
	struct watcher *watcher = request->state;

	g_clear_handle_id(&watcher->heartbeat, g_source_remove);
	g_clear_pointer(&watcher->replay, store_watch_free);
	g_ptr_array_remove_fast(request->api->watchers, watcher);
}

static void on_replay(const struct store_event *events, guint n_events, gint64 revision, const GError *error,
		      gpointer user_data)
{
	struct watcher *watcher = user_data;
	struct request *request = request_ref(watcher->request);

	if (error) {
		g_autoptr(GError) why = g_error_copy(error);

		if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_COMPACTED))
			g_prefix_error(&why,
				       "events since %" G_GINT64_FORMAT " are no longer kept; read /v1/vms and go on "
				       "from its revision: ",
				       watcher->last);
		if (watcher->begun) {
			request_cut(request);
		} else if (request->api) {
			request->gone = NULL;
			watcher_gone(request);
			request_fail(request, why);
		}
		request_unref(request);
		return;
	}
	watcher_begin(watcher);
	for (guint i = 0; i < n_events && request->api; i++)
		replay_event(watcher, &events[i]);
	watcher->last = MAX(watcher->last, revision);
	if (request->api && watcher->last >= request->api->revision) {
		g_clear_pointer(&watcher->replay, store_watch_free);
		g_clear_pointer(&watcher->seen, g_hash_table_unref);
	}
	request_unref(request);
}

static gboolean read_since(struct request *request, guint64 *since, GError **error)
{
	struct query_range range = { .initial = (guint64)store_cache_revision(request->api->config.cache),
				     .max = G_MAXINT64 - 1 };
	const char *last_id =
		soup_message_headers_get_one(soup_server_message_get_request_headers(request->msg), "Last-Event-ID");

	if (last_id && !g_ascii_string_to_unsigned(last_id, 10, 0, range.max, &range.initial, NULL)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "Last-Event-ID must be a revision");
		return FALSE;
	}
	return query_uint(request->query, "since", range, since, error);
}

void events_get(struct request *request)
{
	struct api *api = request->api;
	g_autoptr(GError) error = NULL;
	struct watcher *watcher;
	guint64 since;

	if (!read_since(request, &since, &error)) {
		request_fail(request, error);
		return;
	}
	if (api->watchers->len >= LIMIT_API_WATCHERS) {
		request_fail_new(request, POLDER_ERROR_UNAVAILABLE, "%u event streams are open already: close one",
				 LIMIT_API_WATCHERS);
		return;
	}
	watcher = g_new0(struct watcher, 1);
	watcher->request = request;
	watcher->last = (gint64)since;
	request->state = watcher;
	request->state_free = watcher_free;
	request->gone = watcher_gone;
	g_ptr_array_add(api->watchers, watcher);
	if (watcher->last >= api->revision) {
		watcher->last = api->revision;
		watcher_begin(watcher);
		return;
	}
	watcher->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
	watcher->replay = store_watch_new(api->config.store, "/", "0", watcher->last + 1, on_replay, watcher);
}
