/* The contract: an OpenAPI 3.0 document made from the route table and the noun tables, so that neither can drift. */
#include "daemon/api/openapi_schemas.h"
#include "daemon/api/server.h"

#include <string.h>

#include "daemon/api/yaml.h"

/* ---- Paths ---- */

static const struct parameter {
	const char *name, *type, *doc;
} parameters[] = {
	{ "wait_ms", "integer",
	  "Wait so many milliseconds at most for the outcome (exec, console: for the VM to be ready)." },
	{ "force", "boolean", "Also when it runs." },
	{ "remove", "boolean", "Remove the VM when the stream ends." },
	{ "follow", "boolean", "Go on until the VM ends." },
	{ "tail_bytes", "integer", "At most the last so many bytes; 0: all." },
	{ "since", "integer", "Events after this revision." },
	{ "dry_run", "boolean",
	  "Only say where it would go and why: the answer is an Explanation, nothing is created." },
	{ "max_moves", "integer", "At most so many moves (default 20)." },
	{ "strategy", "string", "A continuous strategy's name; left out: greedy-descent." },
};

static JsonObject *parameter(const char *name, const char *in, const char *type, const char *doc)
{
	JsonObject *object = json_object_new(), *schema = json_object_new();

	json_object_set_string_member(object, "name", name);
	json_object_set_string_member(object, "in", in);
	json_object_set_boolean_member(object, "required", strcmp(in, "path") == 0);
	json_object_set_string_member(object, "description", doc);
	json_object_set_string_member(schema, "type", type);
	json_object_set_object_member(object, "schema", schema);
	return object;
}

static JsonArray *route_parameters(const struct route *route)
{
	JsonArray *array = json_array_new();

	if (strstr(route->path, "{name}"))
		json_array_add_object_element(array, parameter("name", "path", "string", "Its name."));
	for (const char *const *name = route->query; name && *name; name++) {
		for (gsize i = 0; i < G_N_ELEMENTS(parameters); i++) {
			if (strcmp(parameters[i].name, *name) == 0)
				json_array_add_object_element(
					array, parameter(*name, "query", parameters[i].type, parameters[i].doc));
		}
	}
	return array;
}

static JsonObject *content(const char *content_type, const char *schema)
{
	JsonObject *media = json_object_new(), *all = json_object_new();

	json_object_set_object_member(media, "schema",
				      schema ? schema_reference(schema) : schema_typed("string", NULL));
	json_object_set_object_member(all, content_type, media);
	return all;
}

static JsonObject *response(const char *doc, const char *content_type, const char *schema)
{
	JsonObject *object = json_object_new();

	json_object_set_string_member(object, "description", doc);
	if (content_type)
		json_object_set_object_member(object, "content", content(content_type, schema));
	return object;
}

static JsonObject *operation(const struct route *route)
{
	JsonObject *object = json_object_new(), *responses = json_object_new();
	JsonArray *array = route_parameters(route);
	g_autofree char *status = g_strdup_printf("%u", route->status);
	const char *type = route->content_type ? route->content_type : "application/json";

	json_object_set_string_member(object, "operationId", route->operation);
	json_object_set_string_member(object, "summary", route->doc);
	if (json_array_get_length(array))
		json_object_set_array_member(object, "parameters", array);
	else
		json_array_unref(array);
	if (route->request_schema) {
		JsonObject *body = json_object_new();

		json_object_set_boolean_member(body, "required", route->body == BODY_REQUIRED);
		json_object_set_object_member(body, "content", content("application/json", route->request_schema));
		json_object_set_object_member(object, "requestBody", body);
	}
	if (strcmp(route->method, "PUT") == 0)
		json_object_set_object_member(
			responses, "200", response("It exists and was created alike.", type, route->response_schema));
	json_object_set_object_member(responses, status,
				      route->status == 101 ? response("The stream.", NULL, NULL)
							   : response("Done.", type, route->response_schema));
	json_object_set_object_member(responses, "default",
				      response("Refused.", "application/problem+json", "Problem"));
	json_object_set_object_member(object, "responses", responses);
	return object;
}

static JsonObject *paths(void)
{
	JsonObject *all = json_object_new();

	for (gsize i = 0; i < n_routes; i++) {
		g_autofree char *method = g_ascii_strdown(routes[i].method, -1);

		if (!json_object_has_member(all, routes[i].path))
			json_object_set_object_member(all, routes[i].path, json_object_new());
		json_object_set_object_member(json_object_get_object_member(all, routes[i].path), method,
					      operation(&routes[i]));
	}
	return all;
}

JsonNode *api_openapi(void)
{
	JsonObject *document = json_object_new(), *info = json_object_new(), *components = json_object_new();
	JsonNode *node = json_node_new(JSON_NODE_OBJECT);

	json_object_set_string_member(document, "openapi", "3.0.3");
	json_object_set_string_member(info, "title", "Polder");
	json_object_set_string_member(info, "version", "v1");
	json_object_set_string_member(info, "description",
				      "Served on a unix socket; who may connect is decided by peer credentials.");
	json_object_set_object_member(document, "info", info);
	json_object_set_object_member(document, "paths", paths());
	json_object_set_object_member(components, "schemas", openapi_schemas());
	json_object_set_object_member(document, "components", components);
	json_node_take_object(node, document);
	return node;
}

char *api_openapi_yaml(void)
{
	g_autoptr(JsonNode) node = api_openapi();
	g_autofree char *body = yaml_format(node);

	return g_strconcat(
		"# Made by `polderd --print-openapi` from the route table and the noun tables; a test compares.\n",
		body, NULL);
}
