/* /v1/version, /v1/openapi.yaml. */
#include <unistd.h>

#include "daemon/api/server.h"

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
