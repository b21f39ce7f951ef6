/* What the store's server reads from its socket: frames, their payloads, and the limits of a transaction. */
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_txn(GVariant *payload)
{
	struct store_txn *txn = store_wire_parse_txn(payload, NULL);

	if (txn != NULL && store_txn_validate(txn, NULL)) {
		/* What passed must survive being sent on. */
		g_autoptr(GBytes) frame = store_frame_make(STORE_FRAME_TXN, 1, store_wire_txn(txn));
		struct store_frame again = { 0 };
		gsize frame_bytes;
		const uint8_t *frame_data = g_bytes_get_data(frame, &frame_bytes);

		g_assert(store_frame_parse(frame_data, frame_bytes, &again, NULL) == (gssize)frame_bytes);
		store_frame_clear(&again);
	}
	store_txn_free(txn);
}

static void use_frame(const struct store_frame *frame)
{
	struct store_span span = { 0 };
	g_autoptr(GArray) events = NULL;
	gint64 revision;
	gboolean final;
	guint limit;

	switch (frame->kind) {
	case STORE_FRAME_TXN:
		use_txn(frame->payload);
		break;
	case STORE_FRAME_RANGE:
		store_wire_parse_range(frame->payload, &span, &revision, &limit, NULL);
		break;
	case STORE_FRAME_WATCH:
		store_wire_parse_watch(frame->payload, &span, &revision, NULL);
		break;
	case STORE_FRAME_ERROR:
		g_error_free(store_wire_parse_error(frame->payload));
		break;
	case STORE_FRAME_TXN_DONE:
		store_txn_result_free(store_wire_parse_txn_done(frame->payload, NULL));
		break;
	case STORE_FRAME_RANGE_DONE:
		store_range_free(store_wire_parse_range_done(frame->payload, NULL));
		break;
	case STORE_FRAME_EVENTS:
		events = store_events_new();
		store_wire_parse_events(frame->payload, events, &revision, &final, NULL);
		break;
	default:
		break;
	}
	store_span_clear(&span);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_frame frame = { 0 };
	gssize used;

	while ((used = store_frame_parse(data, size, &frame, NULL)) > 0) {
		use_frame(&frame);
		store_frame_clear(&frame);
		data += used;
		size -= (size_t)used;
	}
	return 0;
}
