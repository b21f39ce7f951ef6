/* Rows of the platform's own trace, as found after a crash. */
#include <stdint.h>
#include <string.h>

#include "daemon/history/history_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *row = g_strndup((const char *)data, size);
	const char *event, *vm;
	gsize event_bytes, vm_bytes, length = strlen(row);

	if (history_row_fields(row, &event, &event_bytes, &vm, &vm_bytes)) {
		g_assert_true(event > row && event + event_bytes < vm);
		g_assert_true(vm_bytes > 0 && vm + vm_bytes <= row + length);
	}
	g_assert_true(history_row_time(row) >= -1);
	return 0;
}
