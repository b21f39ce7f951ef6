/* Sizes, durations, names and published ports: whatever is accepted must survive a round trip. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "daemon/model/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autofree char *bytes_text = NULL, *ms_text = NULL;
	guint64 bytes = 0, ms = 0, back = 0;
	struct publish publish;
	gboolean ok;

	if (size_parse(text, &bytes, NULL)) {
		bytes_text = size_format(bytes);
		ok = size_parse(bytes_text, &back, NULL);
		assert(ok && back == bytes);
	}
	if (duration_parse(text, &ms, NULL)) {
		ms_text = duration_format(ms);
		ok = duration_parse(ms_text, &back, NULL);
		assert(ok && back == ms);
	}
	if (name_check(text, NULL))
		assert(!strchr(text, '/') && text[0] != '.');
	if (publish_parse(text, &publish, NULL))
		assert(publish.host_port && publish.guest_port && publish.host_address[0]);
	return 0;
}
