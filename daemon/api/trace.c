/* GET /v1/trace/FAMILY: what was recorded here, as a trace that the lab reads: of allocation what was asked, placed, refused and
 * removed; of scheduling what vCPUs wanted, which the agent records and answers with a file. Sent piece by piece as the client
 * takes it: it may be larger than memory should be. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/api/server.h"
#include "daemon/history/history.h"

#define PIECE_BYTES         65536u
#define RECORDING_BYTES_MAX (1u << 30)

struct trace {
	struct history_reader *rows; /* of allocation */
	int fd;                      /* else a file, -1 without */
	off_t at, bytes;
};

static void trace_free(gpointer data)
{
	struct trace *trace = data;

	history_reader_free(trace->rows);
	if (trace->fd >= 0)
		close(trace->fd);
	g_free(trace);
}

/* NULL without error: the end. */
static GBytes *trace_next(struct trace *trace, GError **error)
{
	g_autofree char *piece = NULL;
	ssize_t got;

	if (trace->rows)
		return history_reader_next(trace->rows, error);
	if (trace->at >= trace->bytes)
		return NULL;
	piece = g_malloc(PIECE_BYTES);
	got = pread(trace->fd, piece, (gsize)MIN((off_t)PIECE_BYTES, trace->bytes - trace->at), trace->at);
	if (got <= 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "read the recording: %s",
			    got < 0 ? g_strerror(errno) : "it is shorter than it was");
		return NULL;
	}
	trace->at += got;
	return g_bytes_new_take(g_steal_pointer(&piece), (gsize)got);
}

static void on_written(SoupServerMessage *msg, gpointer user_data)
{
	struct request *request = user_data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) rows = trace_next(request->state, &error);

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

/* Takes the trace over. */
static void trace_send(struct request *request, struct trace *trace)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) rows = NULL;

	request->state = trace;
	request->state_free = trace_free;
	rows = trace_next(trace, &error);
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

static void on_opened(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct request *request = user_data;
	g_autoptr(GError) error = NULL;
	struct stat st;
	int fd;

	if (request->api) {
		fd = agent_link_stream_finish(request->api->config.link, async, &error);
		if (fd < 0) {
			request_fail(request, error);
		} else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > RECORDING_BYTES_MAX) {
			request_fail_new(request, POLDER_ERROR_UNAVAILABLE,
					 "the agent answered with no recording: see the daemon's log");
			close(fd);
		} else {
			struct trace *trace = g_new0(struct trace, 1);

			trace->fd = fd;
			trace->bytes = st.st_size;
			trace_send(request, trace);
		}
	}
	request_unref(request);
}

static void recording_get(struct request *request)
{
	/* Of all VMs: the name counts for nothing. */
	static const struct agent_stream_request stream = { .vm = "cpu", .stream = "cpu-record" };

	if (request->api->config.link)
		agent_link_stream_async(request->api->config.link, &stream, NULL, on_opened, request_ref(request));
	else
		request_fail_new(request, POLDER_ERROR_UNAVAILABLE, "the daemon has no agent: see its log");
}

static void history_get(struct request *request)
{
	g_autoptr(GError) error = NULL;
	struct history_reader *rows = history_read(request->api->config.history, &error);
	struct trace *trace;

	if (!rows) {
		request_fail(request, error);
		return;
	}
	trace = g_new0(struct trace, 1);
	trace->rows = rows;
	trace->fd = -1;
	trace_send(request, trace);
}

void trace_get(struct request *request)
{
	if (strcmp(request->name, "scheduling") == 0)
		recording_get(request);
	else if (strcmp(request->name, "allocation") == 0)
		history_get(request);
	else
		request_fail_new(request, POLDER_ERROR_NOT_FOUND,
				 "no trace of \"%s\" is recorded: allocation and scheduling are", request->name);
}
