/* /v1/hosts, /v1/pools, /v1/version, /v1/openapi.yaml. */
#include "daemon/api/server.h"

#include <unistd.h>

struct list {
	GString *out;
	const struct noun *noun;
	guint n;
};

static gboolean list_add(const struct store_kv *kv, gpointer user_data)
{
	struct list *list = user_data;

	g_string_append(list->out, list->n++ ? ",{" : "{");
	record_append(list->out, list->noun, kv->value, NULL, 0);
	g_string_append_c(list->out, '}');
	return TRUE;
}

static void list_answer(struct request *request, const char *what, const char *prefix, const struct noun *noun)
{
	struct list list = { .out = g_string_new(NULL), .noun = noun };

	g_string_append_printf(list.out, "{\"%s\":[", what);
	store_cache_foreach(request->api->config.cache, prefix, list_add, &list);
	g_string_append(list.out, "]}");
	request_json(request, 200, list.out);
}

void hosts_list(struct request *request)
{
	list_answer(request, "hosts", "/host/", &host_noun);
}

void pools_list(struct request *request)
{
	list_answer(request, "pools", "/pool/", &pool_noun);
}

void hosts_get(struct request *request)
{
	const struct store_kv *kv = api_get(request->api, "host", request->name);
	struct list list = { .noun = &host_noun };

	if (!kv) {
		request_fail_new(request, POLDER_ERROR_NOT_FOUND,
				 "there is no host called \"%s\": polder host ls lists those there are", request->name);
		return;
	}
	list.out = g_string_new(NULL);
	list_add(kv, &list);
	request_json(request, 200, list.out);
}

void version_get(struct request *request)
{
	const struct api *api = request->api;
	g_autoptr(GDateTime) started = g_date_time_new_from_unix_utc(api->started_at / G_USEC_PER_SEC);
	g_autofree char *started_text = g_date_time_format(started, "%Y-%m-%dT%H:%M:%S");
	GString *out = g_string_new(NULL);

	g_string_append_printf(
		out,
		"{\"version\":\"%s\",\"api\":\"v1\",\"daemon\":{\"pid\":%d,\"agent_pid\":%" G_GUINT64_FORMAT
		",\"scope\":\"%s\",\"socket\":",
		POLDER_VERSION, (int)getpid(), api->config.agent_pid, api->config.dirs->system ? "system" : "user");
	record_append_string(out, api->config.dirs->socket);
	g_string_append_printf(out, ",\"started_at\":\"%s.%06dZ\"}}", started_text,
			       (int)(api->started_at % G_USEC_PER_SEC));
	request_json(request, 200, out);
}

void openapi_get(struct request *request)
{
	g_autofree char *text = api_openapi_yaml();

	request_text(request, 200, "application/yaml", g_string_new(text));
}
