/* The guest's JSON reader, and what is written from what it read. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const struct json *json, unsigned depth)
{
	if (json && depth > JSON_DEPTH_MAX)
		abort();
	for (; json; json = json->next) {
		if (json->type == JSON_STRING) {
			struct buffer buffer;
			size_t bytes;
			const char *error;
			buffer_init(&buffer, 1 << 20);
			json_put_string(&buffer, json->string);
			/* What we write we must read back as it was. */
			struct json *again = json_parse(buffer_peek(&buffer), buffer_bytes(&buffer), &error);
			if (!buffer.overflow && (!again || strcmp(again->string, json->string)))
				abort();
			json_free(again);
			buffer_clear(&buffer);
			free(json_base64_decode(json->string, &bytes));
		}
		visit(json->children, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *error = NULL;
	struct json *json = json_parse((const char *)data, size, &error);

	if (!json && !error)
		abort();
	visit(json, 0);
	json_free(json);
	return 0;
}
