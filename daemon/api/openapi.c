/* The contract: an OpenAPI 3.0 document made from the route table and the noun tables, so that neither can drift. */
#include "daemon/api/server.h"

#include <string.h>

#include "daemon/api/yaml.h"

/* ---- Schemas ---- */

static JsonObject *typed(const char *type, const char *doc)
{
	JsonObject *schema = json_object_new();

	json_object_set_string_member(schema, "type", type);
	if (doc)
		json_object_set_string_member(schema, "description", doc);
	return schema;
}

static JsonObject *reference(const char *schema)
{
	JsonObject *object = json_object_new();
	g_autofree char *path = g_strconcat("#/components/schemas/", schema, NULL);

	json_object_set_string_member(object, "$ref", path);
	return object;
}

/* An object whose members are all required and no others allowed; fill with add(). */
static JsonObject *closed_object(const char *doc)
{
	JsonObject *schema = typed("object", doc);

	json_object_set_object_member(schema, "properties", json_object_new());
	json_object_set_array_member(schema, "required", json_array_new());
	json_object_set_boolean_member(schema, "additionalProperties", FALSE);
	return schema;
}

static JsonObject *add(JsonObject *schema, const char *name, JsonObject *property)
{
	json_object_set_object_member(json_object_get_object_member(schema, "properties"), name, property);
	json_array_add_string_element(json_object_get_array_member(schema, "required"), name);
	return schema;
}

static JsonObject *list_of(const char *member, const char *item)
{
	JsonObject *schema = closed_object(NULL);
	JsonObject *array = typed("array", NULL);

	json_object_set_object_member(array, "items", reference(item));
	return add(schema, member, array);
}

static JsonObject *one_of(const char *const *values, const char *doc)
{
	JsonObject *schema = typed("string", doc);
	JsonArray *array = json_array_new();

	for (; *values; values++)
		json_array_add_string_element(array, *values);
	json_object_set_array_member(schema, "enum", array);
	return schema;
}

static JsonObject *int64(const char *doc)
{
	JsonObject *schema = typed("integer", doc);

	json_object_set_string_member(schema, "format", "int64");
	return schema;
}

static JsonObject *problem_schema(void)
{
	JsonObject *schema = closed_object("What is wrong and what to do next (RFC 9457).");
	const char *codes[POLDER_ERROR_COUNT + 1] = { NULL };

	for (int code = 0; code < POLDER_ERROR_COUNT; code++)
		codes[code] = polder_error_info(code)->name;
	add(schema, "type", typed("string", NULL));
	add(schema, "title", typed("string", NULL));
	add(schema, "status", typed("integer", "The HTTP status."));
	add(schema, "code", one_of(codes, "For programs."));
	return add(schema, "detail", typed("string", "For people: what was asked, what is wrong, what to do next."));
}

static JsonObject *version_schema(void)
{
	static const char *const scopes[] = { "system", "user", NULL };
	JsonObject *daemon = closed_object("The process that answers.");
	JsonObject *started_at = typed("string", NULL);
	JsonObject *schema = closed_object(NULL);

	json_object_set_string_member(started_at, "format", "date-time");
	add(daemon, "pid", typed("integer", NULL));
	add(daemon, "agent_pid", typed("integer", NULL));
	add(daemon, "scope", one_of(scopes, NULL));
	add(daemon, "socket", typed("string", NULL));
	add(daemon, "started_at", started_at);
	add(schema, "version", typed("string", NULL));
	add(schema, "api", typed("string", NULL));
	return add(schema, "daemon", daemon);
}

static JsonObject *event_schema(void)
{
	static const char *const types[] = { "vm", "image", "host", NULL };
	static const char *const changes[] = { "created", "changed", "removed", NULL };
	JsonObject *schema = closed_object("One visible change.");
	JsonObject *time = typed("string", NULL), *properties;

	json_object_set_string_member(time, "format", "date-time");
	add(schema, "revision", int64("Also the event's id."));
	add(schema, "time", time);
	add(schema, "type", one_of(types, NULL));
	add(schema, "name", typed("string", NULL));
	add(schema, "change", one_of(changes, NULL));
	add(schema, "state", typed("string", "A VM's or image's state; removing; a host is up or down."));
	add(schema, "reason", typed("string", "Why it is in this state; for an image being built, the step."));
	properties = json_object_get_object_member(schema, "properties");
	json_object_set_object_member(properties, "ready", typed("boolean", "VMs: the guest agent answers."));
	json_object_set_object_member(properties, "progress_percent", typed("integer", "Images."));
	return schema;
}

static JsonObject *stop_schema(void)
{
	JsonObject *schema = typed("object", "How long a stop may take.");
	JsonObject *properties = json_object_new(), *timeout = int64("0 kills at once. Left out: as the VM says.");

	json_object_set_int_member(timeout, "minimum", 0);
	json_object_set_int_member(timeout, "maximum", LIMIT_VM_STOP_TIMEOUT_MAX_MS);
	json_object_set_object_member(properties, "timeout_ms", timeout);
	json_object_set_object_member(schema, "properties", properties);
	json_object_set_boolean_member(schema, "additionalProperties", FALSE);
	return schema;
}

static JsonObject *schemas(void)
{
	JsonObject *all = json_object_new();
	JsonObject *vm = noun_schema(&vm_noun, NOUN_FROM_STORE), *image = noun_schema(&image_noun, NOUN_FROM_STORE);
	JsonObject *gone = closed_object(NULL);

	add(add(add(vm, "status", reference("VmStatus")), "plan", reference("VmPlan")), "revision",
	    int64("Of the latest change of any of its parts."));
	add(image, "status", reference("ImageStatus"));
	add(add(gone, "name", typed("string", NULL)), "gone",
	    typed("boolean", "Nothing of it is left; false: the removal goes on."));

	json_object_set_object_member(all, "Vm", vm);
	json_object_set_object_member(all, "VmStatus", noun_schema(&status_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "VmPlan", noun_schema(&plan_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "VmCreate", noun_schema(&vm_noun, NOUN_FROM_CREATE));
	json_object_set_object_member(all, "VmUpdate", noun_schema(&vm_noun, NOUN_FROM_UPDATE));
	json_object_set_object_member(all, "VmStop", stop_schema());
	json_object_set_object_member(all, "VmList",
				      add(list_of("vms", "Vm"), "revision", int64("Of the whole list.")));
	json_object_set_object_member(all, "Gone", gone);
	json_object_set_object_member(all, "Host", noun_schema(&host_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "HostList", list_of("hosts", "Host"));
	json_object_set_object_member(all, "Pool", noun_schema(&pool_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "PoolList", list_of("pools", "Pool"));
	json_object_set_object_member(all, "Image", image);
	json_object_set_object_member(all, "ImageStatus", noun_schema(&image_status_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "ImageCreate", noun_schema(&image_noun, NOUN_FROM_CREATE));
	json_object_set_object_member(all, "ImageList", list_of("images", "Image"));
	json_object_set_object_member(all, "Event", event_schema());
	json_object_set_object_member(all, "Version", version_schema());
	json_object_set_object_member(all, "Problem", problem_schema());
	return all;
}

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

	json_object_set_object_member(media, "schema", schema ? reference(schema) : typed("string", NULL));
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
	json_object_set_object_member(components, "schemas", schemas());
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
