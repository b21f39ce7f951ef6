/* POST /v1/hosts: simulated hosts, by the thousand. They are records without a machine: the agent of a real host serves
 * the plans for them, with engine sim, and nothing else can land there. */
#include <string.h>

#include "daemon/api/hosts.h"
#include "daemon/model/placement.h"
#include "daemon/model/units.h"

#define HOSTS_PER_TXN (LIMIT_STORE_TXN_OPS / 2) /* each is a host and its wishes */

struct wish {
	char *name;
	guint64 count, hosts_per_rack;
	char **labels; /* borrowed from the body's tree, the array is ours */
	struct host host;
};

struct creation {
	struct wish wish;
	guint n_pending;
	gint64 revision;
	guint64 first, created;
	GError *error;
};

static void creation_free(gpointer data)
{
	struct creation *creation = data;

	g_free(creation->wish.name);
	g_strfreev(creation->wish.labels);
	noun_clear(&host_noun, &creation->wish.host);
	g_clear_error(&creation->error);
	g_free(creation);
}

/* ---- Reading ---- */

static gboolean invalid(GError **error, const char *text)
{
	g_set_error_literal(error, POLDER_ERROR, POLDER_ERROR_INVALID, text);
	return FALSE;
}

/* "2x40c90G": NUMA nodes, all alike; "40c90G": one. */
static gboolean read_shape(const char *shape, struct host *host, GError **error)
{
	const char *node_text = strchr(shape, 'x');
	g_autofree char *count_text = node_text ? g_strndup(shape, (gsize)(node_text - shape)) : g_strdup("1");
	g_autoptr(GPtrArray) nodes = g_ptr_array_new();
	struct node_text node;
	guint64 n;

	node_text = node_text ? node_text + 1 : shape;
	if (!g_ascii_string_to_unsigned(count_text, 10, 1, LIMIT_HOST_NODES, &n, NULL) ||
	    !node_parse(node_text, &node, NULL)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "shape '%.60s' is not NODESxCPUScMEMORY, like 2x40c90G: two NUMA nodes (at most %u) of 40 "
			    "processors and 90 GiB each",
			    shape, LIMIT_HOST_NODES);
		return FALSE;
	}
	for (guint64 i = 0; i < n; i++)
		g_ptr_array_add(nodes, g_strdup(node_text));
	g_ptr_array_add(nodes, NULL);
	g_strfreev(host->nodes);
	host->nodes = (char **)g_ptr_array_steal(nodes, NULL);
	host->cpus = n * node.cpus;
	host->memory_bytes = n * (node.memory_bytes + node.huge_2m_bytes + node.huge_1g_bytes);
	return TRUE;
}

static gboolean read_text(JsonObject *body, const char *member, const char **text, GError **error)
{
	JsonNode *node = json_object_get_member(body, member);

	if (!node)
		return TRUE;
	if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s is not a string", member);
		return FALSE;
	}
	*text = json_node_get_string(node);
	return TRUE;
}

static gboolean read_number(JsonObject *body, const char *member, guint64 max, guint64 *number, GError **error)
{
	JsonNode *node = json_object_get_member(body, member);

	if (!node)
		return TRUE;
	if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64 ||
	    json_node_get_int(node) < 1 || (guint64)json_node_get_int(node) > max) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "%s is not a number from 1 to %" G_GUINT64_FORMAT, member, max);
		return FALSE;
	}
	*number = (guint64)json_node_get_int(node);
	return TRUE;
}

static gboolean read_labels(JsonObject *body, struct wish *wish, GError **error)
{
	JsonNode *node = json_object_get_member(body, "labels");
	g_autoptr(GStrvBuilder) labels = g_strv_builder_new();
	JsonArray *array = node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;

	if (node && (!array || json_array_get_length(array) >= LIMIT_LABELS))
		return invalid(error, "labels is not a list of up to 63 strings");
	for (guint i = 0; array && i < json_array_get_length(array); i++) {
		JsonNode *label = json_array_get_element(array, i);

		if (!JSON_NODE_HOLDS_VALUE(label) || json_node_get_value_type(label) != G_TYPE_STRING)
			return invalid(error, "labels is not a list of strings");
		if (!label_check(json_node_get_string(label), error))
			return FALSE;
		g_strv_builder_add(labels, json_node_get_string(label));
	}
	wish->labels = g_strv_builder_end(labels);
	return TRUE;
}

static gboolean read_known(JsonObject *body, GError **error)
{
	static const char *const known[] = { "engine", "count", "shape", "name", "labels", "hosts_per_rack", NULL };
	g_autoptr(GList) members = json_object_get_members(body);

	for (GList *at = members; at; at = at->next) {
		if (g_strv_contains(known, at->data))
			continue;
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "there is no field \"%.60s\" here",
			    (const char *)at->data);
		return FALSE;
	}
	return TRUE;
}

static gboolean read_body(struct request *request, struct wish *wish, GError **error)
{
	g_autoptr(JsonNode) node = json_parse_bounded((const char *)request->body->data, request->body->len, error);
	const char *engine = NULL, *shape = NULL, *name = "sim";
	JsonObject *body;

	if (!node)
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return invalid(error, "the body is no object");
	body = json_node_get_object(node);
	wish->count = 1;
	if (!read_known(body, error) || !read_text(body, "engine", &engine, error) ||
	    !read_text(body, "shape", &shape, error) || !read_text(body, "name", &name, error) ||
	    !read_number(body, "count", LIMIT_SIM_HOSTS, &wish->count, error) ||
	    !read_number(body, "hosts_per_rack", LIMIT_SIM_HOSTS, &wish->hosts_per_rack, error) ||
	    !read_labels(body, wish, error))
		return FALSE;
	if (g_strcmp0(engine, "sim") != 0)
		return invalid(error, "only simulated hosts can be added: engine \"sim\". A real host adds itself when "
				      "its agent starts");
	if (!shape)
		return invalid(error,
			       "shape is missing: like 2x40c90G, two NUMA nodes of 40 processors and 90 GiB each");
	if (!name_check(name, error) || !read_shape(shape, &wish->host, error))
		return FALSE;
	if (strlen(name) > LIMIT_NAME_BYTES - 6)
		return invalid(error, "name is too long: a number is added to it");
	wish->name = g_strdup(name);
	return TRUE;
}

/* ---- Writing ---- */

static gboolean find_real(const struct store_kv *kv, gpointer user_data)
{
	if (record_value_is(record_get(kv->value, "simulated"), "true"))
		return TRUE;
	*(char **)user_data = g_strdup(kv->key + strlen("/host/"));
	return FALSE;
}

static gboolean find_last(const struct store_kv *kv, gpointer user_data)
{
	struct creation *creation = user_data;
	const char *name = kv->key + strlen("/host/");
	gsize bytes = strlen(creation->wish.name);
	guint64 number;

	if (strncmp(name, creation->wish.name, bytes) == 0 && name[bytes] == '-' &&
	    g_ascii_string_to_unsigned(name + bytes + 1, 10, 1, G_MAXUINT32, &number, NULL))
		creation->first = MAX(creation->first, number + 1);
	return TRUE;
}

static void created(struct request *request)
{
	const struct creation *creation = request->state;
	GString *out;

	if (creation->error) {
		request_fail(request, creation->error);
		return;
	}
	out = g_string_new(NULL);
	g_string_append_printf(out,
			       "{\"created\":%" G_GUINT64_FORMAT ",\"first\":\"%s-%04" G_GINT64_MODIFIER
			       "u\",\"last\":\"%s-%04" G_GINT64_MODIFIER "u\"}",
			       creation->created, creation->wish.name, creation->first, creation->wish.name,
			       creation->first + creation->created - 1);
	request_json(request, 201, out);
}

static gboolean created_seen(struct request *request)
{
	const struct creation *creation = request->state;

	if (store_cache_revision(request->api->config.cache) < creation->revision)
		return FALSE;
	created(request);
	return TRUE;
}

static void write_done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	static const struct wait_funcs funcs = { .check = created_seen, .expired = created };
	struct request *request = user_data;
	struct creation *creation = request->state;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result = store_txn_finish(request->store, async, &error);

	if (result && result->succeeded)
		creation->revision = MAX(creation->revision, result->revision);
	else if (!creation->error && error)
		creation->error = g_steal_pointer(&error);
	else if (!creation->error)
		g_set_error(
			&creation->error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
			"somebody else added hosts of these names meanwhile: look at polder host ls, and try again");
	if (result)
		store_txn_result_free(result);
	if (--creation->n_pending == 0 && request->api) {
		/* Nothing of ours is named after the first host only: any of their records may come last. */
		g_autofree char *last = g_strdup_printf("%s-%04" G_GINT64_MODIFIER "u", creation->wish.name,
							creation->first + creation->created - 1);

		if (creation->error)
			created(request);
		else
			wait_begin(request, last, LIMIT_STORE_REQUEST_TIMEOUT_MS, &funcs);
	}
	request_unref(request);
}

static void add_host(struct store_txn *txn, struct creation *creation, guint64 number)
{
	struct wish *wish = &creation->wish;
	struct host *host = &wish->host;
	struct host_spec spec;
	g_autofree char *key = NULL, *spec_key = NULL, *text = NULL, *spec_text = NULL;
	g_autoptr(GBytes) value = NULL, spec_value = NULL;
	g_autoptr(GStrvBuilder) labels = g_strv_builder_new();

	g_free(host->name);
	host->name = g_strdup_printf("%s-%04" G_GINT64_MODIFIER "u", wish->name, number);
	key = g_strconcat("/host/", host->name, NULL);
	spec_key = g_strconcat("/host-spec/", host->name, NULL);
	text = noun_to_json(&host_noun, host);
	value = g_bytes_new(text, strlen(text));
	store_txn_compare(txn, key, STORE_TARGET_CREATE, STORE_EQUAL, 0);
	store_txn_put(txn, STORE_THEN, key, value, 0);

	noun_init(&host_spec_noun, &spec);
	for (char **label = wish->labels; *label; label++)
		g_strv_builder_add(labels, *label);
	if (wish->hosts_per_rack) {
		g_autofree char *rack = g_strdup_printf("rack=%s-rack-%" G_GINT64_MODIFIER "u", wish->name,
							(number - 1) / wish->hosts_per_rack + 1);

		g_strv_builder_add(labels, rack);
	}
	g_strfreev(spec.labels);
	spec.labels = g_strv_builder_end(labels);
	spec_text = noun_to_json(&host_spec_noun, &spec);
	spec_value = g_bytes_new(spec_text, strlen(spec_text));
	store_txn_put(txn, STORE_THEN, spec_key, spec_value, 0);
	noun_clear(&host_spec_noun, &spec);
}

static void write_hosts(struct request *request, struct creation *creation)
{
	guint64 next = creation->first, end = creation->first + creation->wish.count;

	creation->created = creation->wish.count;
	creation->n_pending = (guint)((creation->wish.count + HOSTS_PER_TXN - 1) / HOSTS_PER_TXN);
	while (next < end) {
		struct store_txn *txn = store_txn_new();

		for (guint i = 0; i < HOSTS_PER_TXN && next < end; i++)
			add_host(txn, creation, next++);
		store_txn_async(request->store, txn, NULL, write_done, request_ref(request));
	}
}

static gboolean count_simulated(const struct store_kv *kv, gpointer user_data)
{
	*(guint64 *)user_data += record_value_is(record_get(kv->value, "simulated"), "true");
	return TRUE;
}

void hosts_create(struct request *request)
{
	const struct store_cache *cache = request->api->config.cache;
	struct creation *creation = g_new0(struct creation, 1);
	struct host *host = &creation->wish.host;
	g_autoptr(GError) error = NULL;
	g_autofree char *agent = NULL;
	guint64 present = 0;

	request->state = creation;
	request->state_free = creation_free;
	noun_init(&host_noun, host);
	if (!read_body(request, &creation->wish, &error)) {
		request_fail(request, error);
		return;
	}
	store_cache_foreach(cache, "/host/", find_real, &agent);
	store_cache_foreach(cache, "/host/", count_simulated, &present);
	if (!agent) {
		request_fail_new(request, POLDER_ERROR_UNAVAILABLE,
				 "no agent has reported that could serve simulated hosts: see the daemon's log");
		return;
	}
	if (present + creation->wish.count > LIMIT_SIM_HOSTS) {
		request_fail_new(request, POLDER_ERROR_TOO_LARGE,
				 "there may be %u simulated hosts and there are %" G_GUINT64_FORMAT ": add fewer",
				 LIMIT_SIM_HOSTS, present);
		return;
	}
	creation->first = 1;
	store_cache_foreach(cache, "/host/", find_last, creation);
	g_strfreev(host->engines);
	host->engines = g_strdupv((char **)(const char *[]) { "sim", NULL });
	host->simulated = TRUE;
	g_free(host->agent);
	host->agent = g_steal_pointer(&agent);
	host->started_at = g_get_real_time();
	write_hosts(request, creation);
}
