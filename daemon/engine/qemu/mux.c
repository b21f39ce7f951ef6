#include "daemon/engine/qemu/mux.h"

#include <endian.h>
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/mux_frame.h"

#define OUT_HIGH_BYTES (256u * 1024u) /* above, clients are not read; */
#define OUT_LOW_BYTES  (64u * 1024u)  /* below, they are again */
#define READ_BYTES     (64u * 1024u)  /* a turn */

struct session {
	struct mux *mux;
	guint32 id;
	gboolean opened;
	struct client *client;
};

struct mux {
	const struct mux_events *events;
	gpointer user_data;
	int fd; /* -1: detached */
	gboolean answered, full;
	guint8 nonce[MUX_NONCE_BYTES];
	guint in_source, out_source;
	GByteArray *in, *out;
	gsize out_head;       /* bytes of `out` that were written */
	GHashTable *sessions; /* id → struct session, owned */
	guint32 next_id;
};

static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data);
static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data);

struct mux *mux_new(const struct mux_events *events, gpointer user_data)
{
	struct mux *mux = g_new0(struct mux, 1);
	mux->events = events;
	mux->user_data = user_data;
	mux->fd = -1;
	mux->in = g_byte_array_new();
	mux->out = g_byte_array_new();
	mux->sessions = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
	mux->next_id = 1;
	return mux;
}

void mux_free(struct mux *mux, const char *reason)
{
	if (!mux)
		return;
	mux_detach(mux, reason);
	g_hash_table_unref(mux->sessions);
	g_byte_array_unref(mux->in);
	g_byte_array_unref(mux->out);
	g_free(mux);
}

gboolean mux_is_attached(const struct mux *mux)
{
	return mux->fd >= 0;
}

gboolean mux_is_answered(const struct mux *mux)
{
	return mux->answered;
}

guint mux_sessions(const struct mux *mux)
{
	return g_hash_table_size(mux->sessions);
}

gsize mux_queued(const struct mux *mux)
{
	return mux->out->len - mux->out_head;
}

static void update_reading(struct mux *mux)
{
	gboolean full = mux->full ? mux_queued(mux) > OUT_LOW_BYTES : mux_queued(mux) > OUT_HIGH_BYTES;
	if (full == mux->full)
		return;
	mux->full = full;
	GHashTableIter iter;
	struct session *session;
	g_hash_table_iter_init(&iter, mux->sessions);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&session))
		client_set_reading(session->client, !full);
}

/* Writes what the socket takes. Errors show on the reading side. */
static void flush(struct mux *mux)
{
	while (mux_queued(mux) > 0) {
		ssize_t n = send(mux->fd, mux->out->data + mux->out_head, mux_queued(mux), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && !mux->out_source)
			mux->out_source = g_unix_fd_add(mux->fd, G_IO_OUT | G_IO_ERR, on_writable, mux);
		if (n < 0 && errno != EAGAIN)
			mux->out_head = mux->out->len;
		if (n < 0)
			break;
		mux->out_head += n;
	}
	if (mux_queued(mux) == 0) {
		g_byte_array_set_size(mux->out, 0);
		mux->out_head = 0;
	} else if (mux->out_head > OUT_HIGH_BYTES) {
		g_byte_array_remove_range(mux->out, 0, mux->out_head);
		mux->out_head = 0;
	}
	update_reading(mux);
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data)
{
	struct mux *mux = user_data;
	mux->out_source = 0; /* flush() watches again where needed */
	flush(mux);
	return G_SOURCE_REMOVE;
}

static void send_frame(struct mux *mux, guint32 session, guint8 kind, const void *payload, gsize bytes)
{
	mux_frame_append(mux->out, session, kind, payload, bytes);
	if (!mux->out_source)
		flush(mux);
	else
		update_reading(mux);
}

void mux_attach(struct mux *mux, int fd)
{
	mux_detach(mux, "the guest's stream link starts over");
	mux->fd = fd;
	mux->in_source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, mux);
	/* /dev/urandom's pool is ready long before any daemon runs; 8 bytes are never cut short. */
	ssize_t n = getrandom(mux->nonce, sizeof(mux->nonce), 0);
	g_assert(n == (ssize_t)sizeof(mux->nonce));
	send_frame(mux, 0, STREAM_HELLO, mux->nonce, sizeof(mux->nonce));
}

void mux_detach(struct mux *mux, const char *reason)
{
	if (mux->fd < 0)
		return;
	if (mux->in_source)
		g_source_remove(mux->in_source);
	if (mux->out_source)
		g_source_remove(mux->out_source);
	mux->in_source = mux->out_source = 0;
	close(mux->fd);
	mux->fd = -1;
	mux->answered = mux->full = FALSE;
	g_byte_array_set_size(mux->in, 0);
	g_byte_array_set_size(mux->out, 0);
	mux->out_head = 0;

	GHashTableIter iter;
	struct session *session;
	g_hash_table_iter_init(&iter, mux->sessions);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&session)) {
		client_refuse(session->client, reason);
		g_hash_table_iter_remove(&iter);
	}
}

static void lose(struct mux *mux, const char *reason)
{
	mux_detach(mux, reason);
	mux->events->lost(reason, mux->user_data);
}

/* ---- clients ---- */

static void on_client_packet(guint8 kind, const guint8 *payload, gsize bytes, gpointer user_data)
{
	struct session *session = user_data;
	send_frame(session->mux, session->id, kind, payload, bytes);
}

static void on_client_closed(gpointer user_data)
{
	struct session *session = user_data;
	struct mux *mux = session->mux;
	client_free(session->client);
	send_frame(mux, session->id, STREAM_CLOSE, NULL, 0);
	g_hash_table_remove(mux->sessions, GUINT_TO_POINTER(session->id));
}

static const struct client_events client_events = { .packet = on_client_packet, .closed = on_client_closed };

void mux_open(struct mux *mux, struct client *client, const char *open_json)
{
	gsize bytes = strlen(open_json);
	g_assert(mux->answered);
	if (bytes > STREAM_PAYLOAD_MAX || mux->next_id == 0) {
		client_refuse(client, bytes > STREAM_PAYLOAD_MAX ? "the command is longer than 16 KiB"
								 : "the stream link's session numbers are used up: "
								   "stop and start the VM");
		return;
	}
	struct session *session = g_new0(struct session, 1);
	session->mux = mux;
	session->id = mux->next_id++;
	session->client = client;
	g_hash_table_insert(mux->sessions, GUINT_TO_POINTER(session->id), session);
	send_frame(mux, session->id, STREAM_OPEN, open_json, bytes);
	client_set_reading(client, !mux->full);
	client_bind(client, &client_events, session);
}

/* ---- the guest ---- */

static void session_exit(struct session *session, guint32 status)
{
	client_exit(session->client, status);
	g_hash_table_remove(session->mux->sessions, GUINT_TO_POINTER(session->id));
}

static void session_refuse(struct session *session, const char *reason)
{
	client_refuse(session->client, reason);
	g_hash_table_remove(session->mux->sessions, GUINT_TO_POINTER(session->id));
}

static void session_violation(struct session *session, const char *what)
{
	g_autofree char *reason = g_strdup_printf("stream protocol broken by the guest: %s", what);
	send_frame(session->mux, session->id, STREAM_CLOSE, NULL, 0);
	session_refuse(session, reason);
}

static guint32 payload_u32(const struct mux_frame *frame)
{
	guint32 value;
	memcpy(&value, frame->payload, sizeof(value));
	return le32toh(value);
}

static void session_frame(struct session *session, const struct mux_frame *frame)
{
	g_autofree char *text = NULL;
	gboolean is_u32 = frame->bytes == sizeof(guint32);
	switch (frame->kind) {
	case STREAM_STDOUT:
	case STREAM_STDERR:
		if (frame->bytes > client_credit(session->client))
			session_violation(session, "more output than the window allows");
		else if (frame->bytes > 0)
			client_send(session->client, frame->kind, frame->payload, frame->bytes);
		return;
	case STREAM_OPENED:
		if (!is_u32 || session->opened) {
			session_violation(session, "opened twice, or not 4 bytes");
			return;
		}
		session->opened = TRUE;
		client_send(session->client, STREAM_OPENED, frame->payload, frame->bytes);
		return;
	case STREAM_REFUSED:
		text = g_strndup((const char *)frame->payload, frame->bytes);
		session_refuse(session, text);
		return;
	case STREAM_CREDIT:
		if (!is_u32 || payload_u32(frame) == 0 || !client_consumed(session->client, payload_u32(frame)))
			session_violation(session, "credit for input it was not sent");
		return;
	case STREAM_EXIT:
		if (is_u32 && payload_u32(frame) <= 255)
			session_exit(session, payload_u32(frame));
		else
			session_violation(session, "an exit status out of range");
		return;
	default:
		session_violation(session, "a kind of frame a guest can't send");
		return;
	}
}

/* All complete frames of the buffer. FALSE: the link was lost (or detached). */
static gboolean take_frames(struct mux *mux)
{
	gsize offset = 0;
	while (mux->answered) {
		struct mux_frame frame;
		gsize used;
		enum mux_frame_result result =
			mux_frame_next(mux->in->data + offset, mux->in->len - offset, &frame, &used);
		if (result == MUX_FRAME_PARTIAL)
			break;
		if (result == MUX_FRAME_TORN) {
			lose(mux, "the guest's stream link lost its place");
			return FALSE;
		}
		offset += used;
		/* A session that was ended here may still be spoken to until the guest hears of it. */
		struct session *session =
			frame.session ? g_hash_table_lookup(mux->sessions, GUINT_TO_POINTER(frame.session)) : NULL;
		if (session)
			session_frame(session, &frame);
	}
	if (offset)
		g_byte_array_remove_range(mux->in, 0, offset);
	return TRUE;
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data)
{
	struct mux *mux = user_data;
	gsize old = mux->in->len, end;
	g_byte_array_set_size(mux->in, old + READ_BYTES);
	ssize_t n = recv(fd, mux->in->data + old, READ_BYTES, MSG_DONTWAIT);
	int saved = errno;
	g_byte_array_set_size(mux->in, old + MAX(n, 0));
	if (n < 0 && (saved == EAGAIN || saved == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		lose(mux, "the guest's stream link was closed: the VM ended, or its guest was started again");
		return G_SOURCE_CONTINUE; /* the source is gone already */
	}
	if (!mux->answered) {
		mux->answered = mux_frame_find_hello(mux->in->data, mux->in->len, mux->nonce, &end);
		g_byte_array_remove_range(mux->in, 0, end);
		if (!mux->answered)
			return G_SOURCE_CONTINUE;
		mux->events->answered(mux->user_data);
	}
	take_frames(mux);
	return G_SOURCE_CONTINUE;
}
