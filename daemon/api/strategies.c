/* /v1/strategies/FAMILY: which strategy is at work, and putting another to work, without a restart. */
#include <string.h>

#include "daemon/api/change.h"
#include "daemon/control/control.h"

#define SCOPE "all"

/* The family's record; {name} of the path is the family. */
static const struct store_kv *choice_get(const struct request *request, const char *family)
{
	g_autofree char *key = g_strdup_printf("/strategy/%s/" SCOPE, family);

	return store_cache_get(request->api->config.cache, key);
}

static gboolean check_family(struct request *request)
{
	if (strcmp(request->name, "allocation") == 0 || strcmp(request->name, "scheduling") == 0)
		return TRUE;
	request_fail_new(request, POLDER_ERROR_NOT_FOUND,
			 "there is no family of strategies called \"%s\": allocation or scheduling", request->name);
	return FALSE;
}

/* Without a choice vCPUs are the kernel's to schedule, which is by this one. */
static char *default_name(struct request *request)
{
	g_autoptr(JsonObject) current = NULL;

	if (strcmp(request->name, "scheduling") == 0)
		return g_strdup("eevdf");
	current = control_strategy_current(request->api->config.control);
	return g_strdup(json_object_get_string_member(current, "name"));
}

/* What stands in the store, or the default that control uses without. FALSE after answering. */
static gboolean choice_load(struct request *request, struct strategy_choice *choice, gint64 *revision)
{
	const struct store_kv *kv = choice_get(request, request->name);
	g_autoptr(GError) error = NULL;

	*revision = kv ? kv->mod_revision : 0;
	if (kv) {
		if (api_parse(&strategy_choice_noun, kv, choice, &error))
			return TRUE;
		request_fail(request, error);
		return FALSE;
	}
	noun_init(&strategy_choice_noun, choice);
	g_free(choice->family);
	choice->family = g_strdup(request->name);
	g_free(choice->scope);
	choice->scope = g_strdup(SCOPE);
	g_free(choice->name);
	choice->name = default_name(request);
	g_free(choice->reason);
	choice->reason = g_strdup("the default");
	return TRUE;
}

static void answer(struct request *request, guint status, const char *name)
{
	struct strategy_choice choice;
	gint64 revision;

	if (!choice_load(request, &choice, &revision))
		return;
	request_object(request, status, noun_to_node(&strategy_choice_noun, &choice));
	noun_clear(&strategy_choice_noun, &choice);
}

void strategies_get(struct request *request)
{
	if (check_family(request))
		answer(request, 200, request->name);
}

/* "name a=1 b=2": one entry of the history. */
static char *history_entry(const struct strategy_choice *choice)
{
	g_autofree char *parameters = choice->parameters ? g_strjoinv(" ", choice->parameters) : g_strdup("");

	return *parameters ? g_strdup_printf("%s %s", choice->name, parameters) : g_strdup(choice->name);
}

static void choice_stamp(struct request *request, struct strategy_choice *choice)
{
	g_free(choice->family);
	choice->family = g_strdup(request->name);
	g_free(choice->scope);
	choice->scope = g_strdup(SCOPE);
	choice->applied_at = g_get_real_time();
	g_free(choice->applied_by);
	choice->applied_by = g_strdup_printf("uid-%" G_GUINT64_FORMAT, request->peer_uid);
}

static void put(struct request *request, const struct strategy_choice *choice, gint64 revision)
{
	static const struct change applying = { "apply strategy",
						"somebody else applied one meanwhile: look at polder "
						"strategy status, and try again",
						200, answer };
	g_autofree char *key = g_strdup_printf("/strategy/%s/" SCOPE, request->name);
	g_autofree char *name = g_strdup_printf("%s/" SCOPE, request->name);

	change_commit(request, &applying, name, change_put(key, revision, &strategy_choice_noun, choice));
}

void strategies_put(struct request *request)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GStrvBuilder) previous = NULL;
	struct strategy_choice wanted, before;
	gint64 revision;

	if (!check_family(request))
		return;
	if (!noun_from_json(&strategy_choice_noun, &wanted, (const char *)request->body->data, request->body->len,
			    NOUN_FROM_CREATE, &error)) {
		request_fail(request, error);
		return;
	}
	choice_stamp(request, &wanted);
	if (!control_strategy_check(&wanted, &error)) {
		request_fail(request, error);
	} else if (choice_load(request, &before, &revision)) {
		g_autofree char *entry = history_entry(&before);

		previous = g_strv_builder_new();
		g_strv_builder_add(previous, entry);
		for (guint i = 0; before.previous && before.previous[i] && i + 1 < LIMIT_STRATEGY_HISTORY; i++)
			g_strv_builder_add(previous, before.previous[i]);
		g_strfreev(wanted.previous);
		wanted.previous = g_strv_builder_end(previous);
		put(request, &wanted, revision);
		noun_clear(&strategy_choice_noun, &before);
	}
	noun_clear(&strategy_choice_noun, &wanted);
}

/* Back to what was at work before; what is left behind is forgotten. */
void strategies_rollback(struct request *request)
{
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) words = NULL;
	struct strategy_choice choice;
	char **rest;
	gint64 revision;

	if (!check_family(request) || !choice_load(request, &choice, &revision))
		return;
	if (!choice.previous || !choice.previous[0]) {
		request_fail_new(request, POLDER_ERROR_CONFLICT,
				 "no strategy was applied before %s: there is nothing "
				 "to go back to",
				 choice.name);
		noun_clear(&strategy_choice_noun, &choice);
		return;
	}
	words = g_strsplit(choice.previous[0], " ", -1);
	g_free(choice.reason);
	choice.reason = g_strdup_printf("rolled back from %s", choice.name);
	g_free(choice.name);
	choice.name = g_strdup(words[0]);
	g_strfreev(choice.parameters);
	choice.parameters = g_strdupv(words + 1);
	rest = g_strdupv(choice.previous + 1);
	g_strfreev(choice.previous);
	choice.previous = rest;
	choice_stamp(request, &choice);
	if (control_strategy_check(&choice, &error))
		put(request, &choice, revision);
	else
		request_fail(request, error);
	noun_clear(&strategy_choice_noun, &choice);
}
