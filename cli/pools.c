/* polder pool: compute pools. */
#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/nouns.h"
#include "daemon/model/units.h"

static JsonNode *call(const struct invocation *invocation, const char *method, const char *path, JsonNode *body,
		      GError **error)
{
	struct client *client = client_open(invocation, error);
	JsonNode *answer = NULL;

	if (client)
		answer = client_call(client, &(struct client_request) { .method = method, .path = path, .body = body },
				     error);
	client_close(client);
	return answer;
}

static void print_pool(JsonObject *pool)
{
	static const struct view_part parts[] = { { .noun = &pool_noun }, { NULL } };
	JsonObject *usage;
	JsonNode *node = json_object_get_member(pool, "usage");

	view_show(pool, parts);
	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return;
	usage = json_node_get_object(node);
	puts("\nUsage");
	printf("%-14s %" G_GINT64_FORMAT "\n", "vms", view_number(usage, NULL, "vms"));
	printf("%-14s %.1f %% of all hosts' %s\n", "dominant share",
	       100 * json_object_get_double_member_with_default(usage, "dominant_share", 0),
	       view_text(usage, NULL, "dominant"));
}

int verb_pool_show(struct invocation *invocation, GError **error)
{
	g_autofree char *path = NULL;
	g_autoptr(JsonNode) answer = NULL;

	if (!names_check(invocation, error))
		return -1;
	path = g_strdup_printf("/v1/pools/%s", invocation_argument(invocation, 0));
	answer = call(invocation, "GET", path, NULL, error);
	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	else if (answer)
		print_pool(json_node_get_object(answer));
	return answer ? 0 : -1;
}

/* "cpu=8,memory=16G", or the option several times: a list either way. An empty text clears the list. */
static void add_amounts(JsonObject *body, const struct invocation *invocation, const char *option)
{
	g_autofree const char **texts = invocation_options(invocation, option);
	JsonArray *array;

	if (!texts[0])
		return;
	array = json_array_new();
	json_object_set_array_member(body, option, array);
	for (const char **text = texts; *text; text++) {
		g_auto(GStrv) amounts = g_strsplit(*text, ",", -1);

		for (char **amount = amounts; *amount; amount++)
			if (**amount)
				json_array_add_string_element(array, *amount);
	}
}

static gboolean add_number(JsonObject *body, const struct invocation *invocation, const char *option, const char *field,
			   GError **error)
{
	const char *text = invocation_option(invocation, option);
	guint64 number;

	if (!text)
		return TRUE;
	if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &number, NULL)) {
		usage_error(error, invocation, "--%s '%s' is not a number", option, text);
		return FALSE;
	}
	json_object_set_int_member(body, field, (gint64)number);
	return TRUE;
}

static JsonNode *pool_request(const struct invocation *invocation, GError **error)
{
	static const char *const texts[] = { "parent", "description" };
	g_autoptr(JsonObject) body = json_object_new();

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		const char *text = invocation_option(invocation, texts[i]);

		if (text && !g_utf8_validate(text, -1, NULL)) {
			usage_error(error, invocation, "--%s is not UTF-8", texts[i]);
			return NULL;
		}
		if (text)
			json_object_set_string_member(body, texts[i], text);
	}
	add_amounts(body, invocation, "reserve");
	add_amounts(body, invocation, "limit");
	if (!add_number(body, invocation, "shares", "shares", error) ||
	    !add_number(body, invocation, "max-vms", "max_vms", error) ||
	    !add_number(body, invocation, "spare-hosts", "spare_hosts", error))
		return NULL;
	return json_node_init_object(json_node_alloc(), body);
}

int verb_pool_create(struct invocation *invocation, GError **error)
{
	g_autoptr(JsonNode) body = names_check(invocation, error) ? pool_request(invocation, error) : NULL;
	g_autoptr(JsonNode) answer = NULL;

	if (!body)
		return -1;
	json_object_set_string_member(json_node_get_object(body), "name", invocation_argument(invocation, 0));
	answer = call(invocation, "POST", "/v1/pools", body, error);
	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	return answer ? 0 : -1;
}

int verb_pool_set(struct invocation *invocation, GError **error)
{
	g_autoptr(JsonNode) body = names_check(invocation, error) ? pool_request(invocation, error) : NULL;
	g_autofree char *path = NULL;
	g_autoptr(JsonNode) answer = NULL;

	if (!body)
		return -1;
	if (json_object_get_size(json_node_get_object(body)) == 0)
		return usage_error(error, invocation, "nothing is to be changed");
	path = g_strdup_printf("/v1/pools/%s", invocation_argument(invocation, 0));
	answer = call(invocation, "PATCH", path, body, error);
	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	return answer ? 0 : -1;
}

int verb_pool_rm(struct invocation *invocation, GError **error)
{
	if (!names_check(invocation, error))
		return -1;
	for (guint i = 0; i < invocation->arguments->len; i++) {
		g_autofree char *path = g_strdup_printf("/v1/pools/%s", invocation_argument(invocation, i));
		g_autoptr(JsonNode) answer = call(invocation, "DELETE", path, NULL, error);

		if (!answer)
			return -1;
	}
	return 0;
}
