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

/* "cpu 24 of 32 left", a line for each resource that the host tells. */
static void print_usage(JsonObject *host)
{
	JsonNode *node = json_object_get_member(host, "usage");
	JsonArray *free, *total;
	JsonObject *usage;

	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return;
	usage = json_node_get_object(node);
	free = json_object_get_array_member(usage, "free");
	total = json_object_get_array_member(usage, "total");
	puts("\nUsage");
	printf("%-14s %" G_GINT64_FORMAT "\n", "vms", view_number(usage, NULL, "vms"));
	for (guint i = 0; i < MIN(json_array_get_length(free), json_array_get_length(total)); i++) {
		g_auto(GStrv) left = g_strsplit(json_array_get_string_element(free, i), "=", 2);
		g_auto(GStrv) all = g_strsplit(json_array_get_string_element(total, i), "=", 2);

		if (left[0] && left[1] && all[0] && all[1])
			printf("%-14s %s of %s left\n", left[0], left[1], all[1]);
	}
}

static void print_host(JsonObject *host)
{
	static const struct view_part parts[] = { { .noun = &host_noun },
						  { .noun = &host_spec_noun, .member = "spec", .heading = "Wished" },
						  { NULL } };

	view_show(host, parts);
	print_usage(host);
}

int verb_host_show(struct invocation *invocation, GError **error)
{
	const char *name = invocation_argument(invocation, 0);
	struct client *client = names_check(invocation, error) ? client_open(invocation, error) : NULL;
	g_autoptr(JsonNode) all = client && !name ? hosts_reported(client, error) : NULL;
	g_autoptr(GPtrArray) hosts = all ? view_objects(all, "hosts") : NULL;
	g_autoptr(JsonNode) answer = NULL;

	/* What VMs take of it is told of one host at a time. */
	if (hosts && hosts->len == 1 && !invocation_flag(invocation, "json"))
		name = view_text(hosts->pdata[0], NULL, "name");
	if (client && (name || all))
		answer = name ? client_get(client, error, "/v1/hosts/%s", name) : json_node_ref(all);
	client_close(client);
	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json"))
		view_json(answer);
	else if (name)
		print_host(json_node_get_object(answer));
	else {
		for (guint i = 0; i < hosts->len; i++) {
			if (i)
				puts("");
			print_host(hosts->pdata[i]);
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
