/* polder host, polder pool. */
#include <stdio.h>

#include "cli/create.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/nouns.h"

#define REPORT_MS 10000
#define POLL_MS   50

static int list(struct invocation *invocation, const char *array, const struct view_part *parts, GError **error)
{
	struct client *client = client_open(invocation, error);
	g_autoptr(JsonNode) answer = client ? client_get(client, error, "/v1/%s", array) : NULL;

	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	else if (answer && invocation_flag(invocation, "quiet"))
		view_names(answer, array);
	else if (answer)
		view_list(answer, array, parts, invocation_flag(invocation, "wide"));
	client_close(client);
	return answer ? 0 : -1;
}

int verb_host_ls(struct invocation *invocation, GError **error)
{
	static const struct view_part parts[] = { { .noun = &host_noun },
						  { .noun = &host_spec_noun, .member = "spec" },
						  { NULL } };

	return list(invocation, "hosts", parts, error);
}

int verb_pool_ls(struct invocation *invocation, GError **error)
{
	static const struct view_part parts[] = { { .noun = &pool_noun }, { NULL } };

	return list(invocation, "pools", parts, error);
}

/* A host reports a moment after its daemon's start: not to be told as "no host". */
static JsonNode *hosts_reported(struct client *client, GError **error)
{
	gint64 deadline = g_get_monotonic_time() + REPORT_MS * 1000;

	for (;;) {
		g_autoptr(JsonNode) answer = client_get(client, error, "/v1/hosts");
		g_autoptr(GPtrArray) hosts = answer ? view_objects(answer, "hosts") : NULL;

		if (!answer || hosts->len || g_get_monotonic_time() > deadline)
			return g_steal_pointer(&answer);
		client_pass(POLL_MS);
	}
}

int verb_host_show(struct invocation *invocation, GError **error)
{
	static const struct view_part parts[] = { { .noun = &host_noun },
						  { .noun = &host_spec_noun, .member = "spec", .heading = "Wished" },
						  { NULL } };
	const char *name = invocation_argument(invocation, 0);
	struct client *client = names_check(invocation, error) ? client_open(invocation, error) : NULL;
	g_autoptr(JsonNode) answer = NULL;

	if (client)
		answer = name ? client_get(client, error, "/v1/hosts/%s", name) : hosts_reported(client, error);
	client_close(client);
	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json"))
		view_json(answer);
	else if (name)
		view_show(json_node_get_object(answer), parts);
	else {
		g_autoptr(GPtrArray) hosts = view_objects(answer, "hosts");

		for (guint i = 0; i < hosts->len; i++) {
			if (i)
				puts("");
			view_show(hosts->pdata[i], parts);
		}
		if (!hosts->len) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE,
				    "no host is there: its agent has not reported yet, or ended; see the daemon's log");
			return -1;
		}
	}
	return 0;
}

int verb_host_capacity(struct invocation *invocation, GError **error)
{
	/* What is in the image does not matter: a VM is charged what it is given. */
	g_autoptr(JsonNode) body = create_request(invocation, "tiny", error);
	struct client *client = body ? client_open(invocation, error) : NULL;
	g_autoptr(JsonNode) answer = NULL;
	JsonObject *capacity;
	JsonArray *first_out;

	if (client)
		answer = client_call(
			client, &(struct client_request) { .method = "POST", .path = "/v1/capacity", .body = body },
			error);
	client_close(client);
	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json")) {
		view_json(answer);
		return 0;
	}
	capacity = json_node_get_object(answer);
	printf("%s%" G_GINT64_FORMAT " more fit\n",
	       json_object_get_boolean_member_with_default(capacity, "capped", FALSE) ? "at least " : "",
	       view_number(capacity, NULL, "more"));
	first_out = json_object_get_array_member(capacity, "first_out");
	for (guint i = 0; first_out && i < json_array_get_length(first_out); i++) {
		JsonObject *out = json_array_get_object_element(first_out, i);

		gint64 hosts = view_number(out, NULL, "hosts");

		printf("%s stops %" G_GINT64_FORMAT " host%s\n", view_text(out, NULL, "constraint"), hosts,
		       hosts == 1 ? "" : "s");
	}
	return 0;
}
