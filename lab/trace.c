#include "lab/trace.h"

#include <string.h>

#include "lab/error.h"
#include "lab/generate.h"
#include "lab/trace_rows.h"

#define SYNTHETIC "synthetic:"

/* Rows on their way to becoming events. */
struct stream {
	struct trace_rows *rows; /* or: */
	struct generator *generator;
	struct trace_row row; /* the next, when has_row */
	gboolean has_row, ended;
	GArray *departures; /* heap of struct trace_departure */
	GArray *free_slots; /* guint32 */
	guint32 n_slots;
	GHashTable *live; /* name → slot + 1, in formats that name VMs */
	struct trace_ids *ids;
};

struct trace_cursor {
	const struct trace *trace;
	guint at; /* in what is kept, or: */
	struct stream *stream;
};

static void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	trace_rows_free(stream->rows);
	generator_free(stream->generator);
	g_array_unref(stream->departures);
	g_array_unref(stream->free_slots);
	g_hash_table_unref(stream->live);
	trace_ids_free(stream->ids);
	g_free(stream);
}

/* Of a file, or of `lines`, which it takes over. */
static struct stream *stream_new(const char *path, struct trace_lines *lines, const struct trace_options *options,
				 GError **error)
{
	struct stream *stream = g_new0(struct stream, 1);

	stream->departures = g_array_new(FALSE, FALSE, sizeof(struct trace_departure));
	stream->free_slots = g_array_new(FALSE, FALSE, sizeof(guint32));
	stream->live = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	stream->ids = trace_ids_new();
	if (!lines && g_str_has_prefix(path, SYNTHETIC)) {
		stream->generator = generator_new(path + strlen(SYNTHETIC), error);
	} else {
		if (!lines)
			lines = trace_lines_open(path, error);
		if (lines)
			stream->rows = trace_rows_new(lines, options, error);
	}
	if (stream->rows || stream->generator)
		return stream;
	stream_free(stream);
	return NULL;
}

static enum trace_format stream_format(const struct stream *stream)
{
	return stream->generator ? TRACE_SYNTHETIC : trace_rows_format(stream->rows);
}

static gboolean slot_take(struct stream *stream, guint32 *slot, GError **error)
{
	if (stream->free_slots->len) {
		*slot = g_array_index(stream->free_slots, guint32, stream->free_slots->len - 1);
		g_array_set_size(stream->free_slots, stream->free_slots->len - 1);
		return TRUE;
	}
	if (stream->n_slots == TRACE_LIVE_MAX) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "the trace has more than %u VMs alive at once",
			    TRACE_LIVE_MAX);
		return FALSE;
	}
	*slot = stream->n_slots++;
	return TRUE;
}

static int row_fail(struct stream *stream, const char *column, GError **error, const char *what)
{
	struct trace_lines *lines = trace_rows_lines(stream->rows);

	trace_lines_fail(lines, trace_lines_column(lines, column), error, "%.60s %s",
			 stream->row.name ? stream->row.name : "this id", what);
	return -1;
}

/* A row with a lifetime becomes a create now and a delete in due time. */
static int vm_event(struct stream *stream, struct trace_event *event, GError **error)
{
	struct trace_row *row = &stream->row;

	if (!stream->generator && !trace_ids_add(stream->ids, row->id))
		return row_fail(stream, trace_rows_format(stream->rows) == TRACE_AZURE ? "vm_id" : "vmid", error,
				"was there before: ids must be unique");
	*event = row->event;
	event->kind = TRACE_CREATE;
	if (!slot_take(stream, &event->slot, error))
		return -1;
	if (row->end_us != TRACE_NEVER)
		trace_departures_push(stream->departures, (struct trace_departure) { row->end_us, event->slot });
	return 1;
}

static int create_event(struct stream *stream, struct trace_event *event, GError **error)
{
	*event = stream->row.event;
	event->kind = TRACE_CREATE;
	if (g_hash_table_contains(stream->live, stream->row.name))
		return row_fail(stream, "vm", error, "is created again before it was deleted: ids must be unique");
	if (!slot_take(stream, &event->slot, error))
		return -1;
	g_hash_table_insert(stream->live, g_strdup(stream->row.name), GUINT_TO_POINTER(event->slot + 1));
	return 1;
}

static int delete_event(struct stream *stream, struct trace_event *event, GError **error)
{
	gpointer slot = g_hash_table_lookup(stream->live, stream->row.name);

	if (!slot)
		return row_fail(stream, "vm", error,
				"is deleted without a create: put its create above, or leave this row out");
	g_hash_table_remove(stream->live, stream->row.name);
	*event = (struct trace_event) { .time_us = stream->row.event.time_us, .kind = TRACE_DELETE };
	event->slot = GPOINTER_TO_UINT(slot) - 1;
	g_array_append_val(stream->free_slots, event->slot);
	return 1;
}

/* What the row in hand becomes: 1, 0 for nothing. */
static int row_event(struct stream *stream, struct trace_event *event, GError **error)
{
	switch (stream->row.kind) {
	case TRACE_ROW_VM:
		return vm_event(stream, event, error);
	case TRACE_ROW_CREATE:
		return create_event(stream, event, error);
	case TRACE_ROW_DELETE:
		return delete_event(stream, event, error);
	case TRACE_ROW_REFUSED:
		*event = (struct trace_event) { .time_us = stream->row.event.time_us, .kind = TRACE_REFUSED };
		return 1;
	case TRACE_ROW_HOST:
		break;
	}
	return 0;
}

/* At equal times what comes comes first: a VM holds its place through the instant in which it ends. */
static int stream_next(struct stream *stream, struct trace_event *event, struct trace_row *host, GError **error)
{
	for (;;) {
		if (!stream->has_row && !stream->ended) {
			int got = stream->generator ? generator_next(stream->generator, &stream->row)
						    : trace_rows_next(stream->rows, &stream->row, error);
			if (got < 0)
				return -1;
			stream->has_row = got > 0;
			stream->ended = got == 0;
		}
		if (stream->departures->len) {
			struct trace_departure first = g_array_index(stream->departures, struct trace_departure, 0);
			if (stream->ended || first.time_us < stream->row.event.time_us) {
				trace_departures_pop(stream->departures);
				g_array_append_val(stream->free_slots, first.slot);
				*event = (struct trace_event) { .time_us = first.time_us,
								.slot = first.slot,
								.kind = TRACE_DELETE };
				return 1;
			}
		}
		if (stream->ended)
			return 0;
		int got = row_event(stream, event, error);
		stream->has_row = FALSE;
		if (got != 0)
			return got;
		if (host) {
			*host = stream->row;
			return 2;
		}
	}
}

/* ---- The first reading ---- */

struct load {
	struct trace *trace;
	struct stream *stream;
	GHashTable *hosts; /* name → index + 1 */
	GHashTable *racks; /* name → number */
	gint64 window_us;  /* of censored VMs: so long the observation lasted */
	guint64 live;
	guint kept_max;
};

static gboolean host_row(struct load *load, const struct trace_row *row, GError **error)
{
	struct trace *trace = load->trace;
	struct allocation_host host;
	gpointer number;

	if (!fleet_host_init(&host, row->nodes, row->cpus, row->memory_mib))
		return trace_lines_fail(trace_rows_lines(load->stream->rows), -1, error,
					"host %.60s: not a host: it needs at least one CPU and 1 MiB on each node",
					row->name);
	if (!trace->fleet) {
		trace->fleet = fleet_new_fixed(FLEET_RACK_OF_DEFAULT);
		trace->fleet->names_racks = TRUE;
	}
	if (*row->rack) {
		number = g_hash_table_lookup(load->racks, row->rack);
		if (!number) {
			number = GUINT_TO_POINTER(g_hash_table_size(load->racks) + 1);
			g_hash_table_insert(load->racks, g_strdup(row->rack), number);
		}
		host.rack = GPOINTER_TO_UINT(number);
	}
	number = g_hash_table_lookup(load->hosts, row->name);
	if (number) { /* described anew: the last holds */
		g_array_index(trace->fleet->hosts, struct allocation_host, GPOINTER_TO_UINT(number) - 1) = host;
		return TRUE;
	}
	if (trace->fleet->hosts->len == FLEET_HOSTS_MAX)
		return trace_lines_fail(trace_rows_lines(load->stream->rows), -1, error, "more than %d hosts",
					FLEET_HOSTS_MAX);
	fleet_add(trace->fleet, &host);
	g_hash_table_insert(load->hosts, g_strdup(row->name), GUINT_TO_POINTER(trace->fleet->hosts->len));
	return TRUE;
}

static void load_event(struct load *load, const struct trace_event *event)
{
	struct trace *trace = load->trace;

	switch (event->kind) {
	case TRACE_CREATE:
		if (trace->n_creates++ == 0)
			trace->first_us = event->time_us;
		trace->last_create_us = event->time_us;
		load->live++;
		trace->peak_vms = MAX(trace->peak_vms, load->live);
		trace->has_batches = trace->has_batches || event->batch;
		trace->has_groups = trace->has_groups || event->group;
		trace->has_tenants = trace->has_tenants || event->tenant;
		if (load->stream->rows && load->stream->row.kind == TRACE_ROW_VM &&
		    load->stream->row.end_us == TRACE_NEVER)
			load->window_us = MAX(load->window_us, load->stream->row.seen_us);
		break;
	case TRACE_DELETE:
		load->live--;
		break;
	default:
		trace->n_refused++;
		break;
	}
	trace->end_us = MAX(trace->end_us, event->time_us);
	if (!trace->kept)
		return;
	if (trace->kept->len >= load->kept_max)
		g_clear_pointer(&trace->kept, g_array_unref);
	else
		g_array_append_val(trace->kept, *event);
}

static gboolean load_all(struct load *load, const char *name, GError **error)
{
	struct trace *trace = load->trace;
	struct trace_event event;
	struct trace_row host;
	int got;

	trace->format = stream_format(load->stream);
	while ((got = stream_next(load->stream, &event, &host, error)) > 0) {
		if (got == 1)
			load_event(load, &event);
		else if (!host_row(load, &host, error))
			return FALSE;
	}
	if (got < 0)
		return FALSE;
	if (trace->n_creates == 0) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s asks for no VM: there is nothing to replay", name);
		return FALSE;
	}
	if (load->window_us)
		trace->end_us = MAX(load->window_us, trace->last_create_us);
	else if (trace->format == TRACE_HUAWEI)
		trace->end_us = trace->last_create_us;
	return TRUE;
}

/* Takes over `lines`. */
static struct trace *load(const char *name, struct trace_lines *lines, const struct trace_options *options,
			  GError **error)
{
	g_autoptr(trace_auto) trace = g_new0(struct trace, 1);
	struct load state = { .trace = trace, .kept_max = lines ? G_MAXUINT / 2 : TRACE_KEPT_MAX };
	gboolean ok;

	trace->path = g_strdup(name);
	trace->options = *options;
	trace->kept = g_array_new(FALSE, FALSE, sizeof(struct trace_event));
	state.stream = stream_new(name, lines, options, error);
	if (!state.stream)
		return NULL;
	state.hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	state.racks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	ok = load_all(&state, name, error);
	g_hash_table_unref(state.hosts);
	g_hash_table_unref(state.racks);
	stream_free(state.stream);
	return ok ? g_steal_pointer(&trace) : NULL;
}

struct trace *trace_load(const char *path, const struct trace_options *options, GError **error)
{
	return load(path, NULL, options, error);
}

struct trace *trace_load_stream(GInputStream *stream, const char *name, const struct trace_options *options,
				GError **error)
{
	return load(name, trace_lines_new(stream, name), options, error);
}

void trace_free(struct trace *trace)
{
	if (!trace)
		return;
	g_free(trace->path);
	fleet_free(trace->fleet);
	g_clear_pointer(&trace->kept, g_array_unref);
	g_free(trace);
}

/* ---- Cursors ---- */

struct trace_cursor *trace_cursor_new(const struct trace *trace, GError **error)
{
	struct stream *stream = NULL;

	if (!trace->kept) {
		stream = stream_new(trace->path, NULL, &trace->options, error);
		if (!stream)
			return NULL;
	}
	struct trace_cursor *cursor = g_new0(struct trace_cursor, 1);
	cursor->trace = trace;
	cursor->stream = stream;
	return cursor;
}

void trace_cursor_free(struct trace_cursor *cursor)
{
	if (!cursor)
		return;
	stream_free(cursor->stream);
	g_free(cursor);
}

int trace_cursor_next(struct trace_cursor *cursor, struct trace_event *event, GError **error)
{
	if (cursor->stream)
		return stream_next(cursor->stream, event, NULL, error);
	if (cursor->at == cursor->trace->kept->len)
		return 0;
	*event = g_array_index(cursor->trace->kept, struct trace_event, cursor->at++);
	return 1;
}
