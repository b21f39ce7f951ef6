/* A line of QEMU's monitor: whatever is accepted is one of the four kinds, with the members that kind promises. */
#include <assert.h>
#include <stdint.h>

#include "daemon/engine/qemu/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qmp_message message;
	g_autoptr(GError) error = NULL;

	if (!qmp_message_parse((const char *)data, size, &message, &error)) {
		assert(error && error->message && !message.root);
		return 0;
	}
	assert(message.root);
	if (message.kind == QMP_RETURN)
		assert(message.value);
	if (message.kind == QMP_ERROR)
		assert(message.name && message.text);
	if (message.kind == QMP_EVENT) {
		assert(message.name);
		/* What monitor.c looks at, whatever type it has. */
		qmp_string(message.data, "id");
		qmp_boolean(message.data, "open", FALSE);
		qmp_object(message.data, "info");
	}
	qmp_message_clear(&message);
	return 0;
}
