/* /v1/pools: compute pools as a tree; what they may take, and what they do. */
#include <string.h>

#include "daemon/api/change.h"
#include "daemon/control/control.h"

static void append_pool(GString *out, const struct api *api, const struct store_kv *kv)
{
	JsonObject *usage = control_pool_usage(api->config.control, kv->key + strlen("/pool/"), NULL);

	g_string_append_c(out, '{');
	record_append(out, &pool_noun, kv->value, NULL, 0);
	g_string_append(out, ",\"usage\":");
	if (usage) {
		g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), usage);
		g_autofree char *text = json_to_string(node, FALSE);

		g_string_append(out, text);
		json_object_unref(usage);
	} else {
		g_string_append(out, "null");
	}
	g_string_append_c(out, '}');
}

struct list {
	const struct api *api;
	GString *out;
	guint n;
};

static gboolean list_add(const struct store_kv *kv, gpointer user_data)
{
	struct list *list = user_data;

	if (list->n++)
		g_string_append_c(list->out, ',');
	append_pool(list->out, list->api, kv);
	return TRUE;
}

void pools_list(struct request *request)
{
	struct list list = { .api = request->api, .out = g_string_new("{\"pools\":[") };

	store_cache_foreach(request->api->config.cache, "/pool/", list_add, &list);
	g_string_append(list.out, "]}");
	request_json(request, 200, list.out);
}

static void not_found(struct request *request, const char *name)
{
	request_fail_new(request, POLDER_ERROR_NOT_FOUND,
			 "there is no pool called \"%s\": polder pool ls lists those there are", name);
}

static void answer(struct request *request, guint status, const char *name)
{
	const struct store_kv *kv = api_get(request->api, "pool", name);
	GString *out;

	if (!kv) {
		not_found(request, name);
		return;
	}
	out = g_string_new(NULL);
	append_pool(out, request->api, kv);
	request_json(request, status, out);
}

void pools_get(struct request *request)
{
	answer(request, 200, request->name);
}

/* ---- Changes ---- */

static gboolean check(struct request *request, const struct pool *pool, GError **error)
{
	if (pool->parent && *pool->parent && !api_get(request->api, "pool", pool->parent)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
			    "there is no pool called \"%s\" to be a part of: polder pool ls lists those there are",
			    pool->parent);
		return FALSE;
	}
	if (pool->spare_hosts && strcmp(pool->name, "default") != 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "spare_hosts is of pool default: room is kept on all hosts, whichever pool asks");
		return FALSE;
	}
	return control_pool_check(request->api->config.control, pool, error);
}

static void put(struct request *request, const struct change *change, const struct pool *pool, gint64 revision)
{
	g_autofree char *key = g_strconcat("/pool/", pool->name, NULL);

	change_commit(request, change, pool->name, change_put(key, revision, &pool_noun, pool));
}

void pools_create(struct request *request)
{
	static const struct change creating = { "create pool",
						"it exists already: choose another name, or polder pool set it", 201,
						answer };
	g_autoptr(GError) error = NULL;
	struct pool pool;

	if (!noun_from_json(&pool_noun, &pool, (const char *)request->body->data, request->body->len, NOUN_FROM_CREATE,
			    &error)) {
		request_fail(request, error);
		return;
	}
	if (check(request, &pool, &error))
		put(request, &creating, &pool, 0);
	else
		request_fail(request, error);
	noun_clear(&pool_noun, &pool);
}

void pools_patch(struct request *request)
{
	static const struct change changing = { "change pool", "somebody else changed it meanwhile: try again", 200,
						answer };
	const struct store_kv *kv = api_get(request->api, "pool", request->name);
	g_autoptr(GError) error = NULL;
	struct pool pool;

	if (!kv) {
		not_found(request, request->name);
		return;
	}
	if (!api_parse(&pool_noun, kv, &pool, &error)) {
		request_fail(request, error);
		return;
	}
	if (noun_from_json(&pool_noun, &pool, (const char *)request->body->data, request->body->len, NOUN_FROM_UPDATE,
			   &error) &&
	    check(request, &pool, &error))
		put(request, &changing, &pool, kv->mod_revision);
	else
		request_fail(request, error);
	noun_clear(&pool_noun, &pool);
}

/* Who still needs the pool: a VM, or a pool in it. */
struct need {
	const char *pool, *field;
	char *name;
};

static gboolean find_need(const struct store_kv *kv, gpointer user_data)
{
	struct need *need = user_data;
	g_autofree char *pool = record_value_string(record_get(kv->value, need->field));

	if (g_strcmp0(pool, need->pool) != 0)
		return TRUE;
	need->name = g_strdup(strrchr(kv->key, '/') + 1);
	return FALSE;
}

void pools_delete(struct request *request)
{
	static const struct change removing = { "remove pool", "somebody else changed it meanwhile: try again", 200,
						answer_gone };
	static const struct {
		const char *prefix, *field, *what, *remedy;
	} needs[] = { { "/vm/", "pool", "VM", "polder rm" }, { "/pool/", "parent", "pool", "polder pool rm" } };
	const struct store_kv *kv = api_get(request->api, "pool", request->name);

	if (!kv) {
		not_found(request, request->name);
		return;
	}
	if (strcmp(request->name, "default") == 0) {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "pool default is always there");
		return;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(needs); i++) {
		struct need need = { .pool = request->name, .field = needs[i].field };
		g_autofree char *name = NULL;

		store_cache_foreach(request->api->config.cache, needs[i].prefix, find_need, &need);
		name = need.name;
		if (name) {
			request_fail_new(request, POLDER_ERROR_CONFLICT, "pool %s has %s %s: %s %s first",
					 request->name, needs[i].what, name, needs[i].remedy, name);
			return;
		}
	}
	change_commit(request, &removing, request->name, change_delete(kv));
}
