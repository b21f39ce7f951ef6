/* polderd's end of its two sockets to the agent.
 *
 *   fd 3 of polder-agent  stream socket: the agent's store/remote.c  ⇄  polderd's store_serve()
 *   fd 4 of polder-agent  SOCK_SEQPACKET: requests polderd → agent that need an answer with a file descriptor
 *
 * A request packet is JSON, at most LIMIT_EXEC_REQUEST_BYTES:
 *   {"id":7,"vm":"web","stream":"exec"|"console"|"log"|"cpu"|"cpu-record","request":{…STREAM_OPEN's JSON…},"follow":bool,"tail_bytes":n}
 * Its answer: {"id":7} with one fd (SCM_RIGHTS), or {"id":7,"code":"unavailable","message":"…"} without.
 * "cpu" and "cpu-record" are of no VM (its name counts for nothing): the fd is then a file with what each vCPU got, as JSON,
 * or with what was recorded of them, as CSV (lab/scheduling/README.md). Otherwise
 * the fd is a SOCK_SEQPACKET socket that speaks guest/protocol.h: each packet = kind byte + payload. */
#pragma once

#include <gio/gio.h>

struct agent_link;

struct agent_stream_request {
	const char *vm;
	const char *stream;  /* "exec", "console", "log", "cpu" or "cpu-record" */
	const char *request; /* exec: JSON object text; else NULL */
	gboolean follow;
	guint64 tail_bytes;
};

/* agent_link_new(fd, lost, user_data): takes ownership of fd. `lost` is called once when the agent is gone; pending
 * requests have then ended with UNAVAILABLE. */
struct agent_link *agent_link_new(int fd, void (*lost)(gpointer user_data), gpointer user_data);
/* agent_link_free(link): closes it; what is pending ends with UNAVAILABLE. NULL is fine. */
void agent_link_free(struct agent_link *link);

/* agent_link_stream_async(link, request, …): ends within LIMIT_GUEST_TIMEOUT_MS. finish: the stream's fd, owned by the
 * caller, or -1 with error. */
void agent_link_stream_async(struct agent_link *link, const struct agent_stream_request *request,
			     GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
int agent_link_stream_finish(struct agent_link *link, GAsyncResult *result, GError **error);
