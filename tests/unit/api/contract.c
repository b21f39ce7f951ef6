/* Goal: daemon/api/openapi.yaml, the route table, the nouns and the live server's answers are one and the same. */
#include "tests/unit/api/fixture.h"

#include <string.h>

#include "daemon/model/nouns.h"

static char *read_contract(void)
{
	g_autoptr(GError) error = NULL;
	char *text;

	g_assert_true(g_file_get_contents(OPENAPI_FILE, &text, NULL, &error));
	g_assert_no_error(error);
	return text;
}

/* "GET /v1/vms" of every operation in the file, read from its lines and not by our own writer. */
static GHashTable *operations_in(const char *text)
{
	GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autofree char *path = NULL;

	for (char **line = lines; *line; line++) {
		gsize bytes = strlen(*line);

		if (g_str_has_prefix(*line, "components:"))
			break;
		if (g_str_has_prefix(*line, "  /") && (*line)[bytes - 1] == ':') {
			g_free(path);
			path = g_strndup(*line + 2, bytes - 3);
		} else if (path && g_str_has_prefix(*line, "    ") && (*line)[4] != ' ' && (*line)[bytes - 1] == ':') {
			g_autofree char *method = g_ascii_strup(*line + 4, (gssize)bytes - 5);

			g_hash_table_add(found, g_strdup_printf("%s %s", method, path));
		}
	}
	return found;
}

static void test_file(void)
{
	g_autofree char *committed = read_contract();
	g_autofree char *made = api_openapi_yaml();

	if (strcmp(committed, made) != 0)
		g_test_message("openapi.yaml is old: build/polderd --print-openapi > daemon/api/openapi.yaml");
	g_assert_true(strcmp(committed, made) == 0);
}

static void test_routes(void)
{
	g_autofree char *text = read_contract();
	g_autoptr(GHashTable) operations = operations_in(text);
	const char *method, *path;
	guint n = 0;

	for (gsize i = 0; api_route(i, &method, &path); i++, n++) {
		g_autofree char *operation = g_strdup_printf("%s %s", method, path);

		if (!g_hash_table_contains(operations, operation))
			g_test_message("%s is not in openapi.yaml", operation);
		g_assert_true(g_hash_table_contains(operations, operation));
	}
	g_assert_cmpuint(n, ==, g_hash_table_size(operations));
}

static void assert_schema(JsonObject *schemas, const char *name, const struct noun *noun, enum noun_source source)
{
	g_autoptr(JsonNode) want = json_node_new(JSON_NODE_OBJECT);
	JsonNode *have = json_object_get_member(schemas, name);

	json_node_take_object(want, noun_schema(noun, source));
	g_assert_nonnull(have);
	g_assert_true(json_node_equal(have, want));
}

static void test_schemas(void)
{
	g_autoptr(JsonNode) document = api_openapi();
	JsonObject *schemas = json_object_get_object_member(
		json_object_get_object_member(json_node_get_object(document), "components"), "schemas");
	JsonObject *vm = json_object_get_object_member(json_object_get_object_member(schemas, "Vm"), "properties");

	assert_schema(schemas, "VmStatus", &status_noun, NOUN_FROM_STORE);
	assert_schema(schemas, "VmPlan", &plan_noun, NOUN_FROM_STORE);
	assert_schema(schemas, "VmCreate", &vm_noun, NOUN_FROM_CREATE);
	assert_schema(schemas, "VmUpdate", &vm_noun, NOUN_FROM_UPDATE);
	assert_schema(schemas, "HostSpec", &host_spec_noun, NOUN_FROM_STORE);
	assert_schema(schemas, "HostUpdate", &host_spec_noun, NOUN_FROM_UPDATE);
	assert_schema(schemas, "PoolCreate", &pool_noun, NOUN_FROM_CREATE);
	assert_schema(schemas, "StrategyChoice", &strategy_choice_noun, NOUN_FROM_STORE);
	assert_schema(schemas, "ImageStatus", &image_status_noun, NOUN_FROM_STORE);
	assert_schema(schemas, "ImageCreate", &image_noun, NOUN_FROM_CREATE);
	for (gsize i = 0; i < vm_noun.n_fields; i++)
		g_assert_true(json_object_has_member(vm, vm_noun.fields[i].name));
	g_assert_cmpuint(json_object_get_size(vm), ==, vm_noun.n_fields + 3);
}

/* What an operation promises for a status. */
static JsonObject *response_schema(JsonObject *document, const char *path, const char *method, guint status)
{
	g_autofree char *lower = g_ascii_strdown(method, -1), *code = g_strdup_printf("%u", status);
	JsonObject *operation = json_object_get_object_member(
		json_object_get_object_member(json_object_get_object_member(document, "paths"), path), lower);
	JsonObject *responses = json_object_get_object_member(operation, "responses");
	gboolean named = json_object_has_member(responses, code);
	JsonObject *content = json_object_get_object_member(
		json_object_get_object_member(responses, named ? code : "default"), "content");

	return json_object_get_object_member(
		json_object_get_object_member(content, named ? "application/json" : "application/problem+json"),
		"schema");
}

static JsonObject *named_schema(JsonObject *document, const char *name)
{
	JsonObject *components = json_object_get_object_member(document, "components");

	return json_object_get_object_member(json_object_get_object_member(components, "schemas"), name);
}

#define SIM_VM "{\"image\":\"tiny\",\"engine\":\"sim\"}"

static const struct expected {
	const char *method, *template, *path, *body;
	guint status;
	const char *schema; /* when the answer is another than the operation's own */
} calls[] = {
	{ "GET", "/v1/version", "/v1/version", NULL, 200 },
	{ "GET", "/v1/vms", "/v1/vms", NULL, 200 },
	{ "POST", "/v1/vms", "/v1/vms?wait_ms=5000",
	  "{\"name\":\"web\",\"image\":\"tiny\",\"publish\":[\"8080:80\"],\"cmdline\":\"a \\\"b\\\" \\\\ c\"}", 201 },
	{ "POST", "/v1/vms", "/v1/vms", "{\"name\":\"web\",\"image\":\"tiny\"}", 409 },
	{ "PUT", "/v1/vms/{name}", "/v1/vms/web",
	  "{\"image\":\"tiny\",\"publish\":[\"8080:80\"],\"cmdline\":\"a \\\"b\\\" \\\\ c\"}", 200 },
	{ "PUT", "/v1/vms/{name}", "/v1/vms/web", "{\"image\":\"tiny\"}", 409 },
	{ "PUT", "/v1/vms/{name}", "/v1/vms/other", "{\"image\":\"tiny\"}", 201 },
	{ "POST", "/v1/vms", "/v1/vms", "{\"image\":\"tiny\",\"memory_bytes\":10993660348661760}", 409 },
	{ "GET", "/v1/vms/{name}", "/v1/vms/web", NULL, 200 },
	{ "GET", "/v1/vms", "/v1/vms", NULL, 200 },
	{ "PATCH", "/v1/vms/{name}", "/v1/vms/web", "{\"restart\":\"always\"}", 200 },
	{ "POST", "/v1/vms/{name}/pause", "/v1/vms/web/pause?wait_ms=5000", NULL, 200 },
	{ "POST", "/v1/vms/{name}/start", "/v1/vms/web/start", NULL, 409 },
	{ "POST", "/v1/vms/{name}/resume", "/v1/vms/web/resume?wait_ms=5000", NULL, 200 },
	{ "DELETE", "/v1/vms/{name}", "/v1/vms/web", NULL, 409 },
	{ "POST", "/v1/vms/{name}/stop", "/v1/vms/web/stop?wait_ms=5000", "{\"timeout_ms\":0}", 200 },
	{ "POST", "/v1/vms/{name}/stop", "/v1/vms/web/stop?wait_ms=5000", NULL, 200 },
	{ "POST", "/v1/vms/{name}/start", "/v1/vms/web/start?wait_ms=5000", NULL, 200 },
	{ "DELETE", "/v1/vms/{name}", "/v1/vms/web?force=true&wait_ms=5000", NULL, 200 },
	{ "GET", "/v1/vms/{name}", "/v1/vms/web", NULL, 404 },
	{ "GET", "/v1/vms/{name}/exec", "/v1/vms/other/exec", NULL, 400 },
	{ "GET", "/v1/vms/{name}/console", "/v1/vms/none/console", NULL, 404 },
	{ "GET", "/v1/vms/{name}/logs", "/v1/vms/none/logs", NULL, 404 },
	{ "GET", "/v1/hosts", "/v1/hosts", NULL, 200 },
	{ "GET", "/v1/hosts/{name}", "/v1/hosts/h1", NULL, 200 },
	{ "GET", "/v1/hosts/{name}", "/v1/hosts/h2", NULL, 404 },
	{ "GET", "/v1/pools", "/v1/pools", NULL, 200 },
	{ "GET", "/v1/images", "/v1/images", NULL, 200 },
	{ "POST", "/v1/images", "/v1/images", "{\"name\":\"rom\",\"firmware\":\"/rom\"}", 201 },
	{ "POST", "/v1/images", "/v1/images", "{\"name\":\"rom\",\"firmware\":\"/rom\"}", 409 },
	{ "POST", "/v1/images", "/v1/images", "{\"name\":\"x\"}", 400 },
	{ "GET", "/v1/images/{name}", "/v1/images/rom", NULL, 200 },
	{ "POST", "/v1/images/{name}/build", "/v1/images/rom/build", NULL, 200 },
	{ "DELETE", "/v1/images/{name}", "/v1/images/rom", NULL, 200 },
	{ "DELETE", "/v1/images/{name}", "/v1/images/tiny", NULL, 409 },
	{ "POST", "/v1/vms", "/v1/vms?dry_run=true", "{\"image\":\"tiny\"}", 200, "Explanation" },
	{ "POST", "/v1/vms", "/v1/vms?dry_run=true", "{\"image\":\"tiny\",\"memory_bytes\":10993660348661760}", 200,
	  "Explanation" },
	{ "GET", "/v1/vms/{name}/explain", "/v1/vms/other/explain", NULL, 200 },
	{ "GET", "/v1/vms/{name}/explain", "/v1/vms/none/explain", NULL, 404 },
	{ "POST", "/v1/hosts", "/v1/hosts",
	  "{\"engine\":\"sim\",\"count\":3,\"shape\":\"2x4c8G\",\"labels\":[\"disk=ssd\"],\"hosts_per_rack\":2}", 201 },
	{ "POST", "/v1/hosts", "/v1/hosts", "{\"engine\":\"qemu\",\"shape\":\"2x4c8G\"}", 400 },
	{ "POST", "/v1/hosts", "/v1/hosts", "{\"engine\":\"sim\",\"shape\":\"2x4c\"}", 400 },
	{ "POST", "/v1/hosts", "/v1/hosts", "{\"engine\":\"sim\",\"shape\":\"2x4c8G\",\"count\":-1}", 400 },
	{ "POST", "/v1/batch/vms", "/v1/batch/vms", "{\"vms\":[" SIM_VM "," SIM_VM "]}", 200 },
	{ "POST", "/v1/batch/vms", "/v1/batch/vms", "{\"vms\":[]}", 200 },
	{ "POST", "/v1/batch/vms", "/v1/batch/vms",
	  "{\"vms\":[{\"name\":\"other\",\"image\":\"tiny\"},{\"image\":\"tiny\",\"memory_bytes\":10993660348661760}]}",
	  200 },
	{ "POST", "/v1/batch/vms", "/v1/batch/vms", "{\"vms\":[" SIM_VM ",{\"image\":\"none\"}]}", 404 },
	{ "POST", "/v1/batch/vms", "/v1/batch/vms", "{\"vms\":[1]}", 400 },
	{ "GET", "/v1/hosts", "/v1/hosts", NULL, 200 },
	{ "PATCH", "/v1/hosts/{name}", "/v1/hosts/h1", "{\"labels\":[\"rack=r1\"],\"cpu_overcommit_percent\":400}",
	  200 },
	{ "PATCH", "/v1/hosts/{name}", "/v1/hosts/h1", "{\"labels\":[\"=\"]}", 400 },
	{ "POST", "/v1/hosts/{name}/drain", "/v1/hosts/sim-0001/drain", NULL, 200 },
	{ "POST", "/v1/hosts/{name}/drain", "/v1/hosts/none/drain", NULL, 404 },
	{ "POST", "/v1/hosts/{name}/uncordon", "/v1/hosts/sim-0001/uncordon", NULL, 200 },
	{ "DELETE", "/v1/hosts/{name}", "/v1/hosts/h1", NULL, 409 },
	{ "DELETE", "/v1/hosts/{name}", "/v1/hosts/sim-0003", NULL, 200 },
	{ "POST", "/v1/capacity", "/v1/capacity", SIM_VM, 200 },
	{ "GET", "/v1/rebalance", "/v1/rebalance?max_moves=3", NULL, 200 },
	{ "GET", "/v1/rebalance", "/v1/rebalance?strategy=first-fit", NULL, 404 },
	{ "POST", "/v1/pools", "/v1/pools", "{\"name\":\"gold\",\"reserve\":[\"cpu=1\"],\"limit\":[\"cpu=2\"]}", 201 },
	{ "POST", "/v1/pools", "/v1/pools", "{\"name\":\"gold\"}", 409 },
	{ "POST", "/v1/pools", "/v1/pools", "{\"name\":\"bad\",\"reserve\":[\"cpu=1000000\"]}", 409 },
	{ "POST", "/v1/pools", "/v1/pools", "{\"name\":\"bad\",\"parent\":\"none\"}", 404 },
	{ "GET", "/v1/pools/{name}", "/v1/pools/gold", NULL, 200 },
	{ "PATCH", "/v1/pools/{name}", "/v1/pools/gold", "{\"shares\":2000}", 200 },
	{ "GET", "/v1/pools", "/v1/pools", NULL, 200 },
	{ "DELETE", "/v1/pools/{name}", "/v1/pools/gold", NULL, 200 },
	{ "DELETE", "/v1/pools/{name}", "/v1/pools/default", NULL, 409 },
	{ "GET", "/v1/strategies/{name}", "/v1/strategies/allocation", NULL, 200 },
	{ "GET", "/v1/strategies/{name}", "/v1/strategies/none", NULL, 404 },
	{ "POST", "/v1/strategies/{name}/rollback", "/v1/strategies/allocation/rollback", NULL, 409 },
	{ "PUT", "/v1/strategies/{name}", "/v1/strategies/allocation", "{\"name\":\"worst-fit\",\"reason\":\"a test\"}",
	  200 },
	{ "PUT", "/v1/strategies/{name}", "/v1/strategies/allocation", "{\"name\":\"none\"}", 404 },
	{ "PUT", "/v1/strategies/{name}", "/v1/strategies/allocation", "{\"name\":\"ffd\"}", 404 },
	{ "POST", "/v1/strategies/{name}/rollback", "/v1/strategies/allocation/rollback", NULL, 200 },
	{ "GET", "/v1/cpu", "/v1/cpu", NULL, 200 },
	{ "GET", "/v1/strategies/{name}", "/v1/strategies/scheduling", NULL, 200 },
	{ "PUT", "/v1/strategies/{name}", "/v1/strategies/scheduling", "{\"name\":\"stride\"}", 200 },
	{ "PUT", "/v1/strategies/{name}", "/v1/strategies/scheduling", "{\"name\":\"first-fit\"}", 404 },
	{ "PUT", "/v1/strategies/{name}", "/v1/strategies/scheduling",
	  "{\"name\":\"eevdf\",\"parameters\":[\"slice-us=4000\",\"sharing=vm\"]}", 200 },
	{ "PUT", "/v1/strategies/{name}", "/v1/strategies/scheduling",
	  "{\"name\":\"eevdf\",\"parameters\":[\"sharing=some\"]}", 400 },
	{ "PUT", "/v1/strategies/{name}", "/v1/strategies/scheduling",
	  "{\"name\":\"eevdf\",\"parameters\":[\"shared=vm\"]}", 400 },
	{ "GET", "/v1/trace/{name}", "/v1/trace/none", NULL, 404 },
	{ "GET", "/v1/events", "/v1/events?since=x", NULL, 400 },
};

static void test_answers(void)
{
	g_autoptr(JsonNode) document = api_openapi();
	g_autoptr(GHashTable) covered = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct fixture fixture;
	const char *method, *path;

	fixture_init(&fixture);
	for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
		guint status;
		g_autoptr(JsonNode) answer = http(&fixture, calls[i].method, calls[i].path, calls[i].body, &status);
		g_autofree char *wrong = NULL;

		g_test_message("%s %s: %u", calls[i].method, calls[i].path, status);
		g_assert_cmpuint(status, ==, calls[i].status);
		wrong = schema_check(json_node_get_object(document),
				     calls[i].schema ? named_schema(json_node_get_object(document), calls[i].schema)
						     : response_schema(json_node_get_object(document),
								       calls[i].template, calls[i].method, status),
				     answer, "answer");
		g_assert_cmpstr(wrong, ==, NULL);
		g_hash_table_add(covered, g_strdup_printf("%s %s", calls[i].method, calls[i].template));
	}
	/* Every route that speaks JSON was called. */
	for (gsize i = 0; api_route(i, &method, &path); i++) {
		g_autofree char *operation = g_strdup_printf("%s %s", method, path);

		if (!g_str_has_suffix(path, "metrics") && !g_str_has_suffix(path, "yaml"))
			g_assert_true(g_hash_table_contains(covered, operation));
	}
	fixture_clear(&fixture);
}

/* In pieces, all of it, in order. */
static void test_recording(void)
{
	struct call call = { .method = "GET", .path = "/v1/trace/scheduling" };
	g_auto(GStrv) rows = NULL;
	struct fixture fixture;

	fixture_init(&fixture);
	call.fixture = &fixture;
	call_begin(&call);
	call_end(&call);
	g_assert_cmpuint(call.status, ==, 200);
	g_assert_nonnull(strstr(call.headers, "text/csv"));
	rows = g_strsplit(call.answer, "\n", -1);
	g_assert_cmpuint(g_strv_length(rows), ==, FIXTURE_RECORDED_ROWS + 2);
	g_assert_cmpstr(rows[0], ==, "time_s,event,vm,vcpu");
	g_assert_cmpstr(rows[FIXTURE_RECORDED_ROWS], ==, "9999.000000,vcpu,web,0");
	call_clear(&call);
	fixture_clear(&fixture);
}

static void test_texts(void)
{
	g_autofree char *made = api_openapi_yaml();
	struct fixture fixture;

	fixture_init(&fixture);
	for (guint i = 0; i < 3; i++) {
		static const char *const paths[] = { "/v1/openapi.yaml", "/v1/metrics", "/metrics" };
		struct call call = { .fixture = &fixture, .method = "GET", .path = paths[i] };

		call_begin(&call);
		call_end(&call);
		g_assert_cmpuint(call.status, ==, 200);
		if (i == 0)
			g_assert_cmpstr(call.answer, ==, made);
		else
			g_assert_nonnull(strstr(call.answer, "polder_vms{state=\"running\"} 0\n"));
		call_clear(&call);
	}
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/contract/file", test_file);
	g_test_add_func("/api/contract/routes", test_routes);
	g_test_add_func("/api/contract/schemas", test_schemas);
	g_test_add_func("/api/contract/answers", test_answers);
	g_test_add_func("/api/contract/recording", test_recording);
	g_test_add_func("/api/contract/texts", test_texts);
	return g_test_run();
}
