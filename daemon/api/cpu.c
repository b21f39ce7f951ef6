/* GET /v1/cpu: what each vCPU got of its host. The agent counts, and answers with a file. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/api/server.h"

#define FIGURES_BYTES_MAX (16u << 20)

/* All of the file; it is the agent's, so it may not make us wait or fill our memory. */
static GString *read_figures(int fd, GError **error)
{
	GString *text = NULL;
	struct stat st;
	gsize done = 0;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 2 || st.st_size > FIGURES_BYTES_MAX) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE,
			    "the agent answered with no figures of CPUs: see the daemon's log");
		return NULL;
	}
	text = g_string_sized_new((gsize)st.st_size + 1);
	g_string_set_size(text, (gsize)st.st_size);
	while (done < text->len) {
		ssize_t got = pread(fd, text->str + done, text->len - done, (off_t)done);

		if (got <= 0) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "figures of CPUs: %s",
				    got < 0 ? g_strerror(errno) : "the file is shorter than it was");
			g_string_free(text, TRUE);
			return NULL;
		}
		done += (gsize)got;
	}
	return text;
}

static void on_opened(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct request *request = user_data;
	g_autoptr(GError) error = NULL;
	GString *text;
	int fd;

	if (request->api) {
		fd = agent_link_stream_finish(request->api->config.link, async, &error);
		text = fd >= 0 ? read_figures(fd, &error) : NULL;
		if (text)
			request_json(request, 200, text);
		else
			request_fail(request, error);
		if (fd >= 0)
			close(fd);
	}
	request_unref(request);
}

void cpu_get(struct request *request)
{
	/* Of all VMs: the name counts for nothing. */
	static const struct agent_stream_request stream = { .vm = "cpu", .stream = "cpu" };

	if (!request->api->config.link) {
		request_fail_new(request, POLDER_ERROR_UNAVAILABLE, "the daemon has no agent: see its log");
		return;
	}
	agent_link_stream_async(request->api->config.link, &stream, NULL, on_opened, request_ref(request));
}
