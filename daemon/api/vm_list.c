/* GET /v1/vms: however many there are, never all of them in memory. */
#include <string.h>

#include "daemon/api/server.h"

#define CHUNK_BYTES (64u << 10) /* of a long list, rendered at a time */

/* A consistent view of one revision, held as references to the stored values and rendered piece by piece as the client
 * reads: 10,000 VMs make 20 MB of JSON, which is never in memory at once. */
struct listing {
	GPtrArray *vms, *plans, *statuses; /* of struct store_kv copies; parallel, NULL where there is none */
	guint next;
	gint64 revision;
};

static void listing_free(gpointer data)
{
	struct listing *listing = data;

	g_ptr_array_unref(listing->vms);
	g_ptr_array_unref(listing->plans);
	g_ptr_array_unref(listing->statuses);
	g_free(listing);
}

static void kv_free(gpointer kv)
{
	if (kv)
		store_kv_free(kv);
}

static gboolean listing_add(const struct store_kv *kv, gpointer user_data)
{
	struct request *request = user_data;
	struct listing *listing = request->state;
	struct vm_records records = vm_records_get(request->api, kv->key + strlen("/vm/"));

	g_ptr_array_add(listing->vms, store_kv_copy(kv));
	g_ptr_array_add(listing->plans, records.plan ? store_kv_copy(records.plan) : NULL);
	g_ptr_array_add(listing->statuses, records.status ? store_kv_copy(records.status) : NULL);
	return TRUE;
}

/* Render from where it stopped; TRUE when that was all. */
static gboolean listing_render(struct listing *listing, GString *out)
{
	if (listing->next == 0)
		g_string_append(out, "{\"vms\":[");
	while (listing->next < listing->vms->len) {
		struct vm_records records = { .vm = g_ptr_array_index(listing->vms, listing->next),
					      .plan = g_ptr_array_index(listing->plans, listing->next),
					      .status = g_ptr_array_index(listing->statuses, listing->next) };

		if (out->len >= CHUNK_BYTES)
			return FALSE;
		if (listing->next++)
			g_string_append_c(out, ',');
		view_vm(out, &records);
	}
	g_string_append_printf(out, "],\"revision\":%" G_GINT64_FORMAT "}", listing->revision);
	return TRUE;
}

static void on_wrote_chunk(SoupServerMessage *msg, gpointer user_data)
{
	struct request *request = user_data;
	struct listing *listing = request->state;
	GString *out;
	gboolean all;
	g_autoptr(GBytes) chunk = NULL;

	if (!listing)
		return;
	out = g_string_sized_new(CHUNK_BYTES + 8192);
	all = listing_render(listing, out);
	chunk = g_string_free_to_bytes(out);
	request_chunk(request, chunk);
	if (all) {
		request->state = NULL;
		listing_free(listing);
		request_end_chunks(request);
	}
}

static void state_listing_free(gpointer data)
{
	if (data)
		listing_free(data);
}

void vms_list(struct request *request)
{
	struct listing *listing = g_new0(struct listing, 1);
	GString *out = g_string_new(NULL);
	g_autoptr(GBytes) chunk = NULL;

	listing->vms = g_ptr_array_new_with_free_func(kv_free);
	listing->plans = g_ptr_array_new_with_free_func(kv_free);
	listing->statuses = g_ptr_array_new_with_free_func(kv_free);
	listing->revision = store_cache_revision(request->api->config.cache);
	request->state = listing;
	request->state_free = state_listing_free;
	store_cache_foreach(request->api->config.cache, "/vm/", listing_add, request);
	if (listing_render(listing, out)) {
		request_json(request, 200, out);
		return;
	}
	request_begin_chunks(request, "application/json");
	g_signal_connect(request->msg, "wrote-chunk", G_CALLBACK(on_wrote_chunk), request);
	chunk = g_string_free_to_bytes(out);
	request_chunk(request, chunk);
}
