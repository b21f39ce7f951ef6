#include "daemon/store/frame.h"

#include <string.h>

#include "daemon/model/error.h"

static const char *const payload_types[STORE_FRAME_COUNT] = {
	/* compares: key, target, relation, number, value; operations: branch, kind, key, range end or nothing, value, lease */
	[STORE_FRAME_TXN] = "(a(ayyyxay)a(yyayayayx))",
	[STORE_FRAME_RANGE] = "(ayayxu)",
	[STORE_FRAME_WATCH] = "(ayayx)",
	[STORE_FRAME_UNWATCH] = "()",
	[STORE_FRAME_GRANT] = "(x)",
	[STORE_FRAME_KEEP_ALIVE] = "(x)",
	[STORE_FRAME_REVOKE] = "(x)",
	[STORE_FRAME_ERROR] = "(us)",
	[STORE_FRAME_TXN_DONE] = "(bxtaa(ayayxxxx))",
	[STORE_FRAME_RANGE_DONE] = "(xba(ayayxxxx))",
	[STORE_FRAME_LEASE_DONE] = "(x)",
	[STORE_FRAME_EVENTS] = "(xba(bayayxxxx))",
};

gssize store_frame_parse(const guint8 *data, gsize len, struct store_frame *frame, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GVariant) payload = NULL;
	guint32 payload_bytes, kind;

	if (len < STORE_FRAME_HEADER_BYTES)
		return 0;
	memcpy(&payload_bytes, data, 4);
	memcpy(&kind, data + 4, 4);
	payload_bytes = GUINT32_FROM_LE(payload_bytes);
	kind = GUINT32_FROM_LE(kind);
	if (payload_bytes > STORE_FRAME_PAYLOAD_MAX_BYTES) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "store frame of %u bytes, at most %u are taken",
			    payload_bytes, STORE_FRAME_PAYLOAD_MAX_BYTES);
		return -1;
	}
	if (kind >= STORE_FRAME_COUNT) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "store frame of unknown kind %u", kind);
		return -1;
	}
	if (len - STORE_FRAME_HEADER_BYTES < payload_bytes)
		return 0;
	/* The copy is aligned as GVariant wants it, and outlives the buffer. */
	bytes = g_bytes_new(data + STORE_FRAME_HEADER_BYTES, payload_bytes);
	payload = g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(payload_types[kind]), bytes, FALSE));
	if (!g_variant_is_normal_form(payload)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "store frame of kind %u has a malformed payload",
			    kind);
		return -1;
	}
	frame->kind = kind;
	memcpy(&frame->id, data + 8, 8);
	frame->id = GUINT64_FROM_LE(frame->id);
	frame->payload = g_steal_pointer(&payload);
	return (gssize)STORE_FRAME_HEADER_BYTES + payload_bytes;
}

void store_frame_clear(struct store_frame *frame)
{
	g_clear_pointer(&frame->payload, g_variant_unref);
}

GBytes *store_frame_make(enum store_frame_kind kind, guint64 id, GVariant *payload)
{
	g_autoptr(GVariant) sunk = g_variant_ref_sink(payload);
	gsize size = g_variant_get_size(sunk);
	guint8 *data = g_malloc(STORE_FRAME_HEADER_BYTES + size);
	guint32 size_le = GUINT32_TO_LE((guint32)size), kind_le = GUINT32_TO_LE((guint32)kind);

	g_assert(g_variant_is_of_type(sunk, G_VARIANT_TYPE(payload_types[kind])) &&
		 size <= STORE_FRAME_PAYLOAD_MAX_BYTES);
	id = GUINT64_TO_LE(id);
	memcpy(data, &size_le, 4);
	memcpy(data + 4, &kind_le, 4);
	memcpy(data + 8, &id, 8);
	g_variant_store(sunk, data + STORE_FRAME_HEADER_BYTES);
	return g_bytes_new_take(data, STORE_FRAME_HEADER_BYTES + size);
}
