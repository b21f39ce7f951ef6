#include "daemon/engine/qemu/mux_frame.h"

#include <endian.h>
#include <string.h>

enum mux_frame_result mux_frame_next(const guint8 *data, gsize bytes, struct mux_frame *frame, gsize *used)
{
	struct stream_header header;
	if (bytes < sizeof(header))
		return MUX_FRAME_PARTIAL;
	memcpy(&header, data, sizeof(header));
	gsize payload_bytes = le32toh(header.bytes);
	if (le32toh(header.magic) != STREAM_MAGIC || payload_bytes > STREAM_PAYLOAD_MAX)
		return MUX_FRAME_TORN;
	if (bytes < sizeof(header) + payload_bytes)
		return MUX_FRAME_PARTIAL;
	frame->session = le32toh(header.session);
	frame->kind = header.kind;
	frame->payload = data + sizeof(header);
	frame->bytes = payload_bytes;
	*used = sizeof(header) + payload_bytes;
	return MUX_FRAME_COMPLETE;
}

gboolean mux_frame_find_hello(const guint8 *data, gsize bytes, const guint8 nonce[MUX_NONCE_BYTES], gsize *end)
{
	const struct stream_header header = {
		.magic = htole32(STREAM_MAGIC),
		.bytes = htole32(MUX_NONCE_BYTES + 4),
		.kind = STREAM_HELLO,
	};
	guint8 wanted[sizeof(header) + MUX_NONCE_BYTES];
	memcpy(wanted, &header, sizeof(header));
	memcpy(wanted + sizeof(header), nonce, MUX_NONCE_BYTES);

	const guint8 *found = memmem(data, bytes, wanted, sizeof(wanted));
	if (found && (gsize)(data + bytes - found) >= MUX_HELLO_ANSWER_BYTES) {
		*end = found - data + MUX_HELLO_ANSWER_BYTES;
		return TRUE;
	}
	gsize keep = found ? (gsize)(data + bytes - found) : MIN(bytes, sizeof(wanted) - 1);
	*end = bytes - keep;
	return FALSE;
}

void mux_frame_append(GByteArray *out, guint32 session, guint8 kind, const void *payload, gsize bytes)
{
	g_assert(bytes <= STREAM_PAYLOAD_MAX);
	const struct stream_header header = {
		.magic = htole32(STREAM_MAGIC),
		.session = htole32(session),
		.bytes = htole32(bytes),
		.kind = kind,
	};
	g_byte_array_append(out, (const guint8 *)&header, sizeof(header));
	if (bytes)
		g_byte_array_append(out, payload, bytes);
}
