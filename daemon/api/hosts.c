/* /v1/hosts: what hosts there are, and what the user decides about them. Simulated ones are made in host_create.c. */
#include <string.h>

#include "daemon/api/change.h"
#include "daemon/api/hosts.h"
#include "daemon/control/control.h"

/* ---- Views ---- */

static void append_host(GString *out, const struct api *api, const struct store_kv *kv)
{
	const struct store_kv *spec = api_get(api, "host-spec", kv->key + strlen("/host/"));

	g_string_append_c(out, '{');
	record_append(out, &host_noun, kv->value, NULL, 0);
	g_string_append(out, ",\"spec\":{");
	record_append(out, &host_spec_noun, spec ? spec->value : NULL, NULL, 0);
	g_string_append_c(out, '}');
}

/* Only told of one host: it is counted anew for each. */
static void append_usage(GString *out, const struct api *api, const char *name)
{
	JsonObject *usage = control_host_usage(api->config.control, name, NULL);
	g_autoptr(JsonNode) node = usage ? json_node_init_object(json_node_alloc(), usage) : NULL;
	g_autofree char *text = node ? json_to_string(node, FALSE) : NULL;

	if (text)
		g_string_append_printf(out, ",\"usage\":%s", text);
	if (usage)
		json_object_unref(usage);
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
	append_host(list->out, list->api, kv);
	g_string_append_c(list->out, '}');
	return TRUE;
}

void hosts_list(struct request *request)
{
	struct list list = { .api = request->api, .out = g_string_new("{\"hosts\":[") };

	store_cache_foreach(request->api->config.cache, "/host/", list_add, &list);
	g_string_append(list.out, "]}");
	request_json(request, 200, list.out);
}

void hosts_not_found(struct request *request)
{
	request_fail_new(request, POLDER_ERROR_NOT_FOUND,
			 "there is no host called \"%s\": polder host ls lists those there are", request->name);
}

static void answer(struct request *request, guint status, const char *name)
{
	const struct store_kv *kv = api_get(request->api, "host", name);
	GString *out;

	if (!kv) {
		request_fail_new(request, POLDER_ERROR_NOT_FOUND, "host %s went away meanwhile", name);
		return;
	}
	out = g_string_new(NULL);
	append_host(out, request->api, kv);
	append_usage(out, request->api, name);
	g_string_append_c(out, '}');
	request_json(request, status, out);
}

void hosts_get(struct request *request)
{
	if (api_get(request->api, "host", request->name))
		answer(request, 200, request->name);
	else
		hosts_not_found(request);
}

/* ---- Wishes ---- */

static const struct change changing = { "change host", "somebody else changed it meanwhile: try again", 200, answer };

/* The host's wishes as they are; defaults when there are none. FALSE after answering. */
static gboolean spec_load(struct request *request, struct host_spec *spec, gint64 *revision)
{
	const struct store_kv *kv = api_get(request->api, "host-spec", request->name);
	g_autoptr(GError) error = NULL;

	*revision = kv ? kv->mod_revision : 0;
	if (!api_get(request->api, "host", request->name)) {
		hosts_not_found(request);
		return FALSE;
	}
	if (!kv) {
		noun_init(&host_spec_noun, spec);
		return TRUE;
	}
	if (api_parse(&host_spec_noun, kv, spec, &error))
		return TRUE;
	request_fail(request, error);
	return FALSE;
}

static void spec_store(struct request *request, const struct change *change, const struct host_spec *spec,
		       gint64 revision)
{
	g_autofree char *key = g_strconcat("/host-spec/", request->name, NULL);

	change_commit(request, change, request->name, change_put(key, revision, &host_spec_noun, spec));
}

void hosts_patch(struct request *request)
{
	g_autoptr(GError) error = NULL;
	struct host_spec spec;
	gint64 revision;

	if (!spec_load(request, &spec, &revision))
		return;
	if (noun_from_json(&host_spec_noun, &spec, (const char *)request->body->data, request->body->len,
			   NOUN_FROM_UPDATE, &error))
		spec_store(request, &changing, &spec, revision);
	else
		request_fail(request, error);
	noun_clear(&host_spec_noun, &spec);
}

static void cordon(struct request *request, gboolean cordoned, const struct change *change)
{
	struct host_spec spec;
	gint64 revision;

	if (!spec_load(request, &spec, &revision))
		return;
	spec.cordoned = cordoned;
	spec_store(request, change, &spec, revision);
	noun_clear(&host_spec_noun, &spec);
}

void hosts_uncordon(struct request *request)
{
	cordon(request, FALSE, &changing);
}

/* Once it takes nothing new: where would go what it has? */
static void answer_drain(struct request *request, guint status, const char *name)
{
	g_autoptr(GError) error = NULL;
	JsonObject *plan = control_drain(request->api->config.control, name, &error);

	if (plan)
		request_object(request, status, plan);
	else
		request_fail(request, error);
}

void hosts_drain(struct request *request)
{
	static const struct change draining = { "drain host", "somebody else changed it meanwhile: try again", 200,
						answer_drain };

	cordon(request, TRUE, &draining);
}

/* ---- Removing a simulated host ---- */

struct occupant {
	const char *host;
	char *vm;
};

static gboolean find_occupant(const struct store_kv *kv, gpointer user_data)
{
	struct occupant *occupant = user_data;
	g_autofree char *host = record_value_string(record_get(kv->value, "host"));

	if (g_strcmp0(host, occupant->host) != 0)
		return TRUE;
	occupant->vm = g_strdup(strrchr(kv->key, '/') + 1);
	return FALSE;
}

void hosts_delete(struct request *request)
{
	static const struct change removing = { "remove host", "somebody else changed it meanwhile: try again", 200,
						answer_gone };
	const struct store_kv *kv = api_get(request->api, "host", request->name);
	const struct store_kv *spec = api_get(request->api, "host-spec", request->name);
	struct occupant occupant = { .host = request->name };
	g_autofree char *vm = NULL;
	struct store_txn *txn;

	if (!kv) {
		hosts_not_found(request);
		return;
	}
	if (!record_value_is(record_get(kv->value, "simulated"), "true")) {
		request_fail_new(request, POLDER_ERROR_CONFLICT,
				 "host %s is a real machine: it goes when its agent ends; polder host drain %s keeps "
				 "new VMs off it",
				 request->name, request->name);
		return;
	}
	store_cache_foreach(request->api->config.cache, "/plan/", find_occupant, &occupant);
	vm = occupant.vm;
	if (vm) {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "host %s has VM %s: polder rm --force %s first",
				 request->name, vm, vm);
		return;
	}
	txn = change_delete(kv);
	if (spec)
		store_txn_delete(txn, STORE_THEN, spec->key);
	change_commit(request, &removing, request->name, txn);
}
