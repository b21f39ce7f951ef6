/* polder host add, rm, label, taint, overcommit, drain, uncordon: what the user decides about hosts. */
#include <stdio.h>
#include <string.h>

#include "cli/moves.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"
#include "daemon/model/units.h"

static JsonNode *call(const struct invocation *invocation, const char *method, const char *path, JsonObject *body,
		      GError **error)
{
	struct client *client = client_open(invocation, error);
	g_autoptr(JsonNode) node = body ? json_node_init_object(json_node_alloc(), body) : NULL;
	JsonNode *answer = NULL;

	if (client)
		answer = client_call(client, &(struct client_request) { .method = method, .path = path, .body = node },
				     error);
	client_close(client);
	return answer;
}

/* ---- Simulated hosts ---- */

int verb_host_add(struct invocation *invocation, GError **error)
{
	static const struct {
		const char *option, *field;
	} texts[] = { { "engine", "engine" }, { "shape", "shape" }, { "name", "name" } };
	g_autoptr(JsonObject) body = json_object_new();
	g_autofree const char **labels = invocation_options(invocation, "label");
	static const struct {
		const char *option, *field;
	} numbers[] = { { "count", "count" }, { "hosts-per-rack", "hosts_per_rack" } };
	g_autoptr(JsonNode) answer = NULL;
	guint64 n;

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		const char *text = invocation_option(invocation, texts[i].option);

		if (text)
			json_object_set_string_member(body, texts[i].field, text);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
		const char *text = invocation_option(invocation, numbers[i].option);

		if (text && !g_ascii_string_to_unsigned(text, 10, 1, LIMIT_SIM_HOSTS, &n, NULL))
			return usage_error(error, invocation, "--%s '%s' is not a number from 1 to %u",
					   numbers[i].option, text, LIMIT_SIM_HOSTS);
		if (text)
			json_object_set_int_member(body, numbers[i].field, (gint64)n);
	}
	if (labels[0]) {
		JsonArray *array = json_array_new();

		json_object_set_array_member(body, "labels", array);
		for (const char **label = labels; *label; label++)
			json_array_add_string_element(array, *label);
	}
	answer = call(invocation, "POST", "/v1/hosts", body, error);
	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json"))
		view_json(answer);
	else
		printf("%s to %s\n", view_text(json_node_get_object(answer), NULL, "first"),
		       view_text(json_node_get_object(answer), NULL, "last"));
	return 0;
}

int verb_host_rm(struct invocation *invocation, GError **error)
{
	if (!names_check(invocation, error))
		return -1;
	for (guint i = 0; i < invocation->arguments->len; i++) {
		g_autofree char *path = g_strdup_printf("/v1/hosts/%s", invocation_argument(invocation, i));
		g_autoptr(JsonNode) answer = call(invocation, "DELETE", path, NULL, error);

		if (!answer)
			return -1;
	}
	return 0;
}

/* ---- Labels, taints, overcommit ---- */

/* The host's own words as they are now, changed by ARGUMENTS: "key=value" sets, "key-" removes. */
static JsonArray *edited(JsonObject *host, const char *field, const struct invocation *invocation, GError **error)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	JsonObject *spec = json_object_get_object_member(host, "spec");
	JsonArray *have = json_object_get_array_member(spec, field), *array;

	for (guint i = 0; have && i < json_array_get_length(have); i++)
		g_ptr_array_add(words, (gpointer)json_array_get_string_element(have, i));
	for (guint i = 1; i < invocation->arguments->len; i++) {
		const char *word = invocation_argument(invocation, i), *equals = strchr(word, '=');
		gsize bytes = strlen(word);
		gboolean removes = !equals && bytes > 1 && word[bytes - 1] == '-';
		gsize key = equals ? (gsize)(equals - word) : removes ? bytes - 1 : bytes;

		if (!equals && !removes && strcmp(field, "labels") == 0) {
			usage_error(error, invocation, "'%s' neither sets a label (key=value) nor removes one (key-)",
				    word);
			return NULL;
		}
		for (guint at = words->len; at > 0; at--) {
			const char *old = g_ptr_array_index(words, at - 1);

			if (strncmp(old, word, key) == 0 && (old[key] == '=' || old[key] == '\0'))
				g_ptr_array_remove_index(words, at - 1);
		}
		if (!removes)
			g_ptr_array_add(words, (gpointer)word);
	}
	array = json_array_new();
	for (guint i = 0; i < words->len; i++)
		json_array_add_string_element(array, g_ptr_array_index(words, i));
	return array;
}

static int edit_words(struct invocation *invocation, const char *field, GError **error)
{
	const char *name = invocation_argument(invocation, 0);
	g_autofree char *path = g_strdup_printf("/v1/hosts/%s", name);
	g_autoptr(JsonNode) host = NULL, answer = NULL;
	g_autoptr(JsonObject) body = NULL;
	JsonArray *array;

	if (!name_check(name, error))
		return -1;
	host = call(invocation, "GET", path, NULL, error);
	array = host ? edited(json_node_get_object(host), field, invocation, error) : NULL;
	if (!array)
		return -1;
	body = json_object_new();
	json_object_set_array_member(body, field, array);
	answer = call(invocation, "PATCH", path, body, error);
	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	return answer ? 0 : -1;
}

int verb_host_label(struct invocation *invocation, GError **error)
{
	return edit_words(invocation, "labels", error);
}

int verb_host_taint(struct invocation *invocation, GError **error)
{
	return edit_words(invocation, "taints", error);
}

int verb_host_overcommit(struct invocation *invocation, GError **error)
{
	static const char *const options[] = { "cpu", "memory" };
	const char *name = invocation_argument(invocation, 0);
	g_autofree char *path = g_strdup_printf("/v1/hosts/%s", name);
	g_autoptr(JsonObject) body = json_object_new();
	g_autoptr(JsonNode) answer = NULL;

	if (!name_check(name, error))
		return -1;
	for (gsize i = 0; i < G_N_ELEMENTS(options); i++) {
		const char *text = invocation_option(invocation, options[i]);
		g_autofree char *digits = g_strdup(text), *field = NULL;
		guint64 percent;

		if (!text)
			continue;
		if (g_str_has_suffix(digits, "%"))
			digits[strlen(digits) - 1] = '\0';
		if (!g_ascii_string_to_unsigned(digits, 10, 0, G_MAXINT32, &percent, NULL))
			return usage_error(error, invocation, "--%s '%s' is not a percentage, like 400%%", options[i],
					   text);
		field = g_strdup_printf("%s_overcommit_percent", options[i]);
		json_object_set_int_member(body, field, (gint64)percent);
	}
	if (json_object_get_size(body) == 0)
		return usage_error(error, invocation, "say --cpu PERCENT, --memory PERCENT, or both");
	answer = call(invocation, "PATCH", path, body, error);
	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	return answer ? 0 : -1;
}

/* ---- Drain ---- */

int verb_host_drain(struct invocation *invocation, GError **error)
{
	const char *name = invocation_argument(invocation, 0);
	g_autofree char *path = g_strdup_printf("/v1/hosts/%s/drain", name);
	g_autoptr(JsonNode) answer = NULL;

	if (!name_check(name, error))
		return -1;
	answer = call(invocation, "POST", path, NULL, error);
	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json")) {
		view_json(answer);
		return 0;
	}
	printf("%s takes no new VM from now on (polder host uncordon %s lets it again).\n", name, name);
	moves_print(json_node_get_object(answer));
	return 0;
}

int verb_host_uncordon(struct invocation *invocation, GError **error)
{
	const char *name = invocation_argument(invocation, 0);
	g_autofree char *path = g_strdup_printf("/v1/hosts/%s/uncordon", name);
	g_autoptr(JsonNode) answer = NULL;

	if (!name_check(name, error))
		return -1;
	answer = call(invocation, "POST", path, NULL, error);
	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	return answer ? 0 : -1;
}
