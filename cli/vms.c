/* polder ps, polder show. */
#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/nouns.h"
#include "daemon/model/units.h"

gboolean names_check(const struct invocation *invocation, GError **error)
{
	for (guint i = 0; i < invocation->arguments->len; i++)
		if (!name_check(invocation->arguments->pdata[i], error))
			return FALSE;
	return TRUE;
}

JsonNode *vm_get(struct client *client, const char *name, GError **error)
{
	return client_get(client, error, "/v1/vms/%s", name);
}

gboolean vm_check_running(JsonNode *view, GError **error)
{
	JsonObject *vm = json_node_get_object(view);
	const char *name = view_text(vm, NULL, "name"), *state = view_text(vm, "status", "state");
	const char *reason = view_text(vm, "status", "reason");

	/* One that ended cleanly already did what it was started for. */
	if (strcmp(state, "failed") != 0)
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED,
		    "VM %s failed: %s; see 'polder logs %s', remove it with "
		    "'polder rm %s'",
		    name, *reason ? reason : "no reason given", name, name);
	return FALSE;
}

int verb_ps(struct invocation *invocation, GError **error)
{
	static const struct view_part parts[] = { { .noun = &vm_noun },
						  { .noun = &status_noun, .member = "status" },
						  { NULL } };
	struct client *client = client_open(invocation, error);
	g_autoptr(JsonNode) answer = client ? client_get(client, error, "/v1/vms") : NULL;

	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	else if (answer && invocation_flag(invocation, "quiet"))
		view_names(answer, "vms");
	else if (answer)
		view_list(answer, "vms", parts, invocation_flag(invocation, "wide"));
	client_close(client);
	return answer ? 0 : -1;
}

int verb_show(struct invocation *invocation, GError **error)
{
	static const char *const of_vm[] = { "uuid", NULL };
	static const char *const decided[] = { "host", "strategy", "reason", "refused", "held", NULL };
	static const struct view_part parts[] = {
		{ .noun = &vm_noun },
		{ .noun = &status_noun, .member = "status", .heading = "Status", .hide = of_vm },
		{ .noun = &plan_noun, .member = "plan", .heading = "Plan", .only = decided },
		{ NULL },
	};
	struct client *client = NULL;
	g_autoptr(JsonNode) answer = NULL;

	if (!names_check(invocation, error))
		return -1;
	client = client_open(invocation, error);
	answer = client ? vm_get(client, invocation_argument(invocation, 0), error) : NULL;
	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	else if (answer)
		view_show(json_node_get_object(answer), parts);
	client_close(client);
	return answer ? 0 : -1;
}
