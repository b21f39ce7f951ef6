/* polder strategy apply, rollback, status: which strategy is at work. */
#include "cli/strategy.h"

#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "lab/error.h"

static gboolean is_modifier(const struct lab_family *family, const char *text)
{
	for (guint i = 0; family->modifiers && family->modifiers[i]; i++)
		if (g_str_has_prefix(text, family->modifiers[i]))
			return TRUE;
	return FALSE;
}

char **strategy_modifiers(const struct lab_family *family, const char *const *texts)
{
	g_autoptr(GStrvBuilder) modifiers = g_strv_builder_new();

	for (; *texts; texts++)
		if (is_modifier(family, *texts))
			g_strv_builder_add(modifiers, *texts);
	return g_strv_builder_end(modifiers);
}

static JsonNode *wanted_node(const struct strategy_wanted *wanted)
{
	g_autofree char *values = lab_values_print(wanted->info, wanted->values);
	g_auto(GStrv) pairs = g_strsplit(values, " ", -1);
	JsonNode *node = json_node_new(JSON_NODE_OBJECT);
	JsonObject *object = json_object_new();
	JsonArray *array = json_array_new();

	for (guint i = 0; pairs[i]; i++)
		if (*pairs[i])
			json_array_add_string_element(array, pairs[i]);
	for (char **modifier = wanted->modifiers; modifier && *modifier; modifier++)
		json_array_add_string_element(array, *modifier);
	json_object_set_string_member(object, "name", wanted->info->name);
	json_object_set_array_member(object, "parameters", array);
	json_object_set_string_member(object, "reason", wanted->reason);
	json_node_take_object(node, object);
	return node;
}

static JsonNode *put(struct invocation *invocation, const struct lab_family *family,
		     const struct strategy_wanted *wanted, GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/strategies/%s", family->name);
	g_autoptr(JsonNode) body = wanted_node(wanted);
	struct client_request request = { .method = "PUT", .path = path, .body = body };
	struct client *client;
	JsonNode *answer;

	if (!family->can_apply(wanted->info)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "%s can't be put to work: it is %s; polder strategy ls %s shows what can run live",
			    wanted->info->name, strategy_kind_names[wanted->info->kind], family->name);
		return NULL;
	}
	client = client_open(invocation, error);
	answer = client ? client_call(client, &request, error) : NULL;
	client_close(client);
	return answer;
}

gboolean strategy_put(struct invocation *invocation, const struct lab_family *family,
		      const struct strategy_wanted *wanted, GError **error)
{
	g_autoptr(JsonNode) answer = put(invocation, family, wanted, error);

	return answer != NULL;
}

/* "best-fit (a=1 b=2)". Caller frees. */
static char *choice_label(JsonObject *choice)
{
	JsonArray *parameters = json_object_has_member(choice, "parameters")
					? json_object_get_array_member(choice, "parameters")
					: NULL;
	g_autoptr(GString) label = g_string_new(view_text(choice, NULL, "name"));

	for (guint i = 0; parameters && i < json_array_get_length(parameters); i++)
		g_string_append_printf(label, "%s%s", i ? " " : " (", json_array_get_string_element(parameters, i));
	if (parameters && json_array_get_length(parameters))
		g_string_append_c(label, ')');
	return g_string_free(g_steal_pointer(&label), FALSE);
}

static void print_choice(JsonNode *answer, gboolean with_history)
{
	JsonObject *choice = json_node_get_object(answer);
	JsonArray *previous =
		json_object_has_member(choice, "previous") ? json_object_get_array_member(choice, "previous") : NULL;
	g_autofree char *label = choice_label(choice);
	const char *reason = view_text(choice, NULL, "reason");
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *printable = NULL;

	g_string_append_printf(text, "%s: %s%s%s", view_text(choice, NULL, "family"), label, *reason ? ": " : "",
			       reason);
	if (with_history && previous && json_array_get_length(previous)) {
		g_string_append(text, "; before: ");
		for (guint i = 0; i < json_array_get_length(previous); i++)
			g_string_append_printf(text, "%s%s", i ? ", " : "", json_array_get_string_element(previous, i));
	}
	printable = text_printable(text->str);
	puts(printable);
}

static int show_choice(struct invocation *invocation, JsonNode *answer, gboolean with_history)
{
	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json"))
		view_json(answer);
	else
		print_choice(answer, with_history);
	return 0;
}

int verb_strategy_apply(struct invocation *invocation, GError **error)
{
	const struct lab_family *family = family_find(invocation_argument(invocation, 0), error);
	const char *name = invocation_argument(invocation, 1), *reason = invocation_option(invocation, "reason");
	struct strategy_wanted wanted = { .reason = reason ? reason : "applied by hand" };
	g_autoptr(GPtrArray) given = g_ptr_array_new();
	g_autoptr(JsonNode) answer = NULL;
	g_auto(GStrv) modifiers = NULL;
	struct strategy_values values;

	wanted.info = family ? lab_strategy_find(family->registry, name, error) : NULL;
	if (!wanted.info)
		return -1;
	strategy_values_init(wanted.info, &values);
	wanted.values = &values;
	for (guint i = 2; invocation_argument(invocation, i); i++) {
		const char *text = invocation_argument(invocation, i);

		g_ptr_array_add(given, (char *)text);
		if (!is_modifier(family, text) && !lab_values_set(wanted.info, &values, text, error))
			return -1;
	}
	g_ptr_array_add(given, NULL);
	modifiers = strategy_modifiers(family, (const char *const *)given->pdata);
	wanted.modifiers = modifiers;
	answer = put(invocation, family, &wanted, error);
	return show_choice(invocation, answer, FALSE);
}

static int call(struct invocation *invocation, const char *method, const char *suffix, GError **error)
{
	const struct lab_family *family = family_find(invocation_argument(invocation, 0), error);
	g_autofree char *path = NULL;
	g_autoptr(JsonNode) answer = NULL;
	struct client *client;

	if (!family)
		return -1;
	path = g_strdup_printf("/v1/strategies/%s%s", family->name, suffix);
	client = client_open(invocation, error);
	if (client)
		answer = client_call(client, &(struct client_request) { .method = method, .path = path }, error);
	client_close(client);
	return show_choice(invocation, answer, strcmp(method, "GET") == 0);
}

int verb_strategy_rollback(struct invocation *invocation, GError **error)
{
	return call(invocation, "POST", "/rollback", error);
}

int verb_strategy_status(struct invocation *invocation, GError **error)
{
	return call(invocation, "GET", "", error);
}
