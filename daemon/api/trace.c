/* GET /v1/trace/FAMILY: what was asked, placed, refused and removed here, as a trace that the lab reads. Sent piece by
 * piece as the client takes it: the file may be larger than memory should be. */
#include <string.h>

#include "daemon/api/server.h"
#include "daemon/history/history.h"

static void reader_free(gpointer reader)
{
	history_reader_free(reader);
}

static void on_written(SoupServerMessage *msg, gpointer user_data)
{
	struct request *request = user_data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) rows = history_reader_next(request->state, &error);

	if (rows) {
		request_chunk(request, rows);
	} else if (error) {
		/* What was sent can't be taken back: cut off, so that nobody takes a part for the whole. */
		g_warning("the recorded trace can't be read on: %s", error->message);
		request_cut(request);
	} else {
		request_end_chunks(request);
	}
}

void trace_get(struct request *request)
{
	struct history *history = request->api->config.history;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) rows = NULL;

	if (strcmp(request->name, "allocation") != 0 || !history) {
		request_fail_new(request, POLDER_ERROR_NOT_FOUND, "no trace of \"%s\" is recorded: allocation is",
				 request->name);
		return;
	}
	request->state = history_read(history, &error);
	request->state_free = reader_free;
	rows = request->state ? history_reader_next(request->state, &error) : NULL;
	if (error) {
		request_fail(request, error);
		return;
	}
	request_begin_chunks(request, "text/csv; charset=utf-8");
	g_signal_connect(request->msg, "wrote-chunk", G_CALLBACK(on_written), request);
	if (rows)
		request_chunk(request, rows);
	else
		request_end_chunks(request);
}
