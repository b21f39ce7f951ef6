/* Fleets, as a file of hosts and as a shape: whatever is accepted has hosts that can be. */
#include <assert.h>
#include <string.h>

#include "lab/fleet.h"

#define DIGITS_MAX 4 /* of a count: a million hosts would only be slow */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct fleet *fleet)
{
	if (!fleet)
		return;
	assert(fleet->elastic || fleet->hosts->len > 0);
	for (guint i = 0; i < fleet->hosts->len; i++) {
		const struct allocation_host *host = &g_array_index(fleet->hosts, struct allocation_host, i);

		assert(host->n_nodes >= 1 && host->n_nodes <= ALLOCATION_NODES_MAX);
		for (guint j = 0; j < host->n_nodes; j++)
			assert(host->node_capacity[j][ALLOCATION_CPU] > 0 &&
			       host->node_capacity[j][ALLOCATION_MEMORY] > 0);
	}
}

static gboolean is_small(const char *text)
{
	for (gsize digits = 0; *text; text++) {
		digits = g_ascii_isdigit(*text) ? digits + 1 : 0;
		if (digits > DIGITS_MAX)
			return FALSE;
	}
	return TRUE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_data(data, (gssize)size, NULL);
	g_autoptr(GError) error = NULL, spec_error = NULL;
	g_autoptr(fleet_auto) fleet = fleet_read(stream, "fuzz", 40, &error);
	g_autofree char *text = g_strndup((const char *)data, size);

	assert(!fleet == !!error);
	check(fleet);
	if (strpbrk(text, "/.") || size > 200 || !is_small(text))
		return 0;
	g_autoptr(fleet_auto) parsed = fleet_parse(text, 40, &spec_error);
	assert(!parsed == !!spec_error);
	check(parsed);
	return 0;
}
