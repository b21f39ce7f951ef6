/* What a guest writes to its stream port, with two sessions open and clients that read and give credit. */
#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/mux.h"
#include "daemon/engine/qemu/mux_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SESSIONS  2
#define INPUT_MAX (128u * 1024u) /* fits the socket, so that one thread can write it and then read it */

static void on_answered(gpointer user_data)
{
	*(gboolean *)user_data = TRUE;
}

static void on_lost(const char *reason, gpointer user_data)
{
	g_assert(reason && *reason);
}

static void iterate(void)
{
	for (guint i = 0; i < 1000 && g_main_context_iteration(NULL, FALSE); i++)
		;
}

/* What the client of session `fd` is told must be in order: nothing after the end, never more than a window. */
static void check_client(int fd)
{
	guint8 packet[STREAM_PAYLOAD_MAX + 2];
	gsize unacknowledged = 0;
	gboolean ended = FALSE;
	ssize_t n;
	while ((n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		g_assert(!ended && n <= 1 + (ssize_t)STREAM_PAYLOAD_MAX);
		ended = packet[0] == STREAM_EXIT || packet[0] == STREAM_REFUSED;
		unacknowledged += packet[0] == STREAM_STDOUT || packet[0] == STREAM_STDERR ? n - 1 : 0;
		g_assert(unacknowledged <= STREAM_WINDOW);
	}
}

static void greet(int guest)
{
	guint8 hello[sizeof(struct stream_header) + MUX_NONCE_BYTES];
	g_assert(recv(guest, hello, sizeof(hello), MSG_DONTWAIT) == (ssize_t)sizeof(hello));
	guint8 answer[MUX_NONCE_BYTES + 4] = { 0 };
	memcpy(answer, hello + sizeof(struct stream_header), MUX_NONCE_BYTES);
	g_autoptr(GByteArray) frame = g_byte_array_new();
	mux_frame_append(frame, 0, STREAM_HELLO, answer, sizeof(answer));
	g_assert(send(guest, frame->data, frame->len, MSG_NOSIGNAL) == (ssize_t)frame->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mux_events events = { .answered = on_answered, .lost = on_lost };
	gboolean answered = FALSE;
	int link[2], clients[SESSIONS];
	g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, link) == 0);
	struct mux *mux = mux_new(&events, &answered);
	mux_attach(mux, link[0]);
	/* The first byte: garbage before the greeting is answered, or not. */
	gsize before = size > 0 && (data[0] & 1) ? MIN((size - 1) / 2, (gsize)4096) : 0;
	data += size > 0;
	size -= size > 0;
	if (before)
		g_assert(send(link[1], data, before, MSG_NOSIGNAL) == (ssize_t)before);
	iterate();
	greet(link[1]);
	iterate();
	g_assert(answered);
	for (guint i = 0; i < SESSIONS; i++) {
		struct client *client = client_new(&clients[i], NULL);
		mux_open(mux, client, "{\"argv\":[\"cat\"]}");
		g_assert(send(clients[i], "\005input", 6, MSG_NOSIGNAL) == 6);
	}
	iterate();
	if (size > before && send(link[1], data + before, MIN(size - before, INPUT_MAX), MSG_NOSIGNAL) > 0)
		iterate();
	for (guint i = 0; i < SESSIONS; i++)
		check_client(clients[i]);
	iterate();
	mux_free(mux, "end");
	iterate();
	for (guint i = 0; i < SESSIONS; i++)
		close(clients[i]);
	close(link[1]);
	iterate();
	return 0;
}
