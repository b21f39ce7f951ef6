/* The trace reader: whatever it accepts is in order of time, and deletes only what is alive. */
#include <assert.h>
#include <string.h>

#include "lab/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_data(data, (gssize)size, NULL);
	struct trace_options options = { .lifetime = size % 3 };
	g_autoptr(GError) error = NULL;
	g_autoptr(trace_auto) trace = trace_load_stream(stream, "fuzz", &options, &error);
	g_autoptr(GHashTable) live = g_hash_table_new(NULL, NULL);
	struct trace_event event;
	gint64 before = 0;

	if (!trace) {
		assert(error && strstr(error->message, "fuzz"));
		return 0;
	}
	assert(trace->n_creates > 0 && trace->first_us <= trace->last_create_us);
	struct trace_cursor *cursor = trace_cursor_new(trace, NULL);
	while (trace_cursor_next(cursor, &event, NULL) > 0) {
		assert(event.time_us >= before);
		before = event.time_us;
		if (event.kind == TRACE_CREATE) {
			gboolean added = g_hash_table_add(live, GUINT_TO_POINTER(event.slot));
			assert(added && event.cpus_milli > 0 && event.memory_mib > 0);
		} else if (event.kind == TRACE_DELETE) {
			gboolean removed = g_hash_table_remove(live, GUINT_TO_POINTER(event.slot));
			assert(removed);
		}
	}
	trace_cursor_free(cursor);
	return 0;
}
