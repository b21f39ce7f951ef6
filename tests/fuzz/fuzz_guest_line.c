/* What a guest agent says, from bytes to facts; and exec requests on their way to it. */
#include <stdint.h>
#include <string.h>

#include "daemon/engine/qemu/exec.h"
#include "daemon/engine/qemu/guest.h"
#include "daemon/engine/qemu/qga_line.h"
#include "daemon/model/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(const char *line)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) result = qga_answer_parse(line, &error);
	g_assert((result == NULL) == (error != NULL));
	if (!result)
		return;
	g_auto(GStrv) addresses = qga_addresses_parse(result);
	g_assert(g_strv_length(addresses) <= GUEST_ADDRESSES_MAX);
	struct qga_exec_status status;
	if (qga_exec_status_parse(result, &status, NULL)) {
		g_assert(status.status <= 255);
		qga_exec_status_clear(&status);
	}
	gint64 pid;
	g_assert(!qga_pid_parse(result, &pid, NULL) || pid > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qga_lines lines;
	qga_lines_init(&lines);
	/* The first byte cuts the rest into pieces, as a socket does. */
	gsize piece = size ? 1 + data[0] : 1;
	for (gsize at = 1; at < size; at += piece) {
		qga_lines_feed(&lines, data + at, MIN(piece, size - at));
		char *line = NULL;
		enum qga_line found;
		while ((found = qga_lines_next(&lines, &line)) != QGA_LINE_NONE) {
			if (found == QGA_LINE_TEXT) {
				take(line);
				g_clear_pointer(&line, g_free);
			}
		}
		g_assert(lines.bytes->len - lines.head <= LIMIT_GUEST_LINE_BYTES);
	}
	qga_lines_clear(&lines);
	if (size) {
		g_autofree char *json = g_strndup((const char *)data + 1, size - 1);
		JsonObject *arguments = exec_arguments(json, NULL);
		g_clear_pointer(&arguments, json_object_unref);
	}
	return 0;
}
