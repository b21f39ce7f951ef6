/* JSON from outside into every noun, from every source: whatever is accepted must survive a round trip. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "daemon/model/nouns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct noun *noun, gconstpointer object)
{
	g_autofree char *json = noun_to_json(noun, object);
	g_autofree gpointer back = g_malloc(noun->size);
	gboolean ok = noun_from_json(noun, back, json, strlen(json), NOUN_FROM_STORE, NULL);

	assert(ok && noun_equal(noun, object, back, 0));
	noun_clear(noun, back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int n = 0; nouns[n]; n++) {
		const struct noun *noun = nouns[n];
		g_autofree gpointer object = g_malloc(noun->size);

		for (int source = NOUN_FROM_CREATE; source <= NOUN_FROM_STORE; source++) {
			g_autoptr(GError) error = NULL;

			if (source == NOUN_FROM_UPDATE)
				noun_init(noun, object);
			if (noun_from_json(noun, object, (const char *)data, size, (enum noun_source)source, &error))
				round_trip(noun, object);
			else
				assert(error && g_utf8_validate(error->message, -1, NULL));
			noun_clear(noun, object);
		}
	}
	return 0;
}
