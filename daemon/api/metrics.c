/* /v1/metrics: Prometheus text format 0.0.4. */
#include "daemon/api/server.h"

#include <string.h>
#include <unistd.h>

struct counts {
	const struct api *api;
	guint vms[VM_STATE_REFUSED + 1];
	guint hosts, images;
};

static gboolean count_vm(const struct store_kv *kv, gpointer user_data)
{
	struct counts *counts = user_data;
	struct vm_records records = vm_records_get(counts->api, kv->key + strlen("/vm/"));
	g_autofree char *reason = NULL;

	counts->vms[view_state(&records, &reason)]++;
	return TRUE;
}

static gboolean count_host(const struct store_kv *kv, gpointer user_data)
{
	((struct counts *)user_data)->hosts++;
	return TRUE;
}

static gboolean count_image(const struct store_kv *kv, gpointer user_data)
{
	((struct counts *)user_data)->images++;
	return TRUE;
}

static void metric(GString *out, const char *name, const char *type, const char *help)
{
	g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static guint64 resident_bytes(void)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) pages = NULL;

	if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
		return 0;
	pages = g_strsplit(text, " ", 3);
	return pages[0] && pages[1] ? g_ascii_strtoull(pages[1], NULL, 10) * (guint64)sysconf(_SC_PAGESIZE) : 0;
}

static void gauge(GString *out, const char *name, const char *help, guint64 value)
{
	metric(out, name, "gauge", help);
	g_string_append_printf(out, "%s %" G_GUINT64_FORMAT "\n", name, value);
}

void metrics_get(struct request *request)
{
	const struct api *api = request->api;
	struct counts counts = { .api = api };
	GString *out = g_string_new(NULL);

	store_cache_foreach(api->config.cache, "/vm/", count_vm, &counts);
	store_cache_foreach(api->config.cache, "/host/", count_host, &counts);
	store_cache_foreach(api->config.cache, "/image/", count_image, &counts);

	metric(out, "polder_vms", "gauge", "VMs by state.");
	for (int state = 0; state <= VM_STATE_REFUSED; state++)
		g_string_append_printf(out, "polder_vms{state=\"%s\"} %u\n", view_state_name(state), counts.vms[state]);
	gauge(out, "polder_hosts", "Hosts that report.", counts.hosts);
	gauge(out, "polder_images", "Images.", counts.images);
	gauge(out, "polder_store_revision", "The store's revision.", (guint64)api->revision);
	gauge(out, "polder_api_connections", "Clients connected.", api_connections(api));
	gauge(out, "polder_api_streams", "Open exec and console streams.", g_hash_table_size(api->streams));
	gauge(out, "polder_api_watchers", "Open event streams.", api->watchers->len);
	metric(out, "polder_api_responses_total", "counter", "Responses by status class.");
	for (guint class = 1; class < G_N_ELEMENTS(api->answered); class ++)
		g_string_append_printf(out, "polder_api_responses_total{class=\"%uxx\"} %" G_GUINT64_FORMAT "\n", class,
				       api->answered[class]);
	gauge(out, "process_resident_memory_bytes", "Resident memory of polderd.", resident_bytes());
	metric(out, "process_start_time_seconds", "gauge", "Start time since the epoch.");
	g_string_append_printf(out, "process_start_time_seconds %.3f\n", (double)api->started_at / G_USEC_PER_SEC);
	request_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", out);
}
