/* polder start, stop, pause, resume, rm: one request a VM, each waited for. */
#include <stdio.h>
#include <string.h>

#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

/* What the daemon may need beyond the stop's own timeout: the kill and the cleaning up. */
#define STOP_EXTRA_MS  15000u
#define REMOVE_WAIT_MS 30000u

/* Does one VM; NULL with error. */
typedef JsonNode *(*act_func)(struct client *client, const struct invocation *invocation, const char *name,
			      GError **error);

/* Every VM is tried; the first failure decides the exit status and each gets its line, in the order of the VMs. */
static int each(struct invocation *invocation, act_func act, const char *done, GError **error)
{
	struct client *client;
	g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
	g_autoptr(JsonObject) object = json_object_new();
	JsonArray *answers = json_array_new();
	int status = 0;

	json_object_set_array_member(object, "vms", answers);
	json_node_set_object(root, object);
	client = names_check(invocation, error) ? client_open(invocation, error) : NULL;
	if (!client)
		return -1;
	for (guint i = 0; i < invocation->arguments->len; i++) {
		const char *name = invocation->arguments->pdata[i];
		g_autoptr(GError) failure = NULL;
		g_autofree char *printable = NULL;
		JsonNode *answer = act(client, invocation, name, &failure);

		if (answer) {
			json_array_add_element(answers, answer);
			if (!invocation_flag(invocation, "json"))
				printf("%s %s\n", name, done);
			continue;
		}
		if (!status)
			status = polder_error_exit_status(failure);
		printable = text_printable(failure->message);
		fprintf(stderr, "polder: %s\n", printable);
	}
	if (invocation_flag(invocation, "json") && !status)
		view_json(root);
	client_close(client);
	return status;
}

static JsonNode *post(struct client *client, const char *name, const char *verb, guint64 wait_ms, JsonNode *body,
		      GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/vms/%s/%s?wait_ms=%" G_GUINT64_FORMAT, name, verb, wait_ms);

	return client_call(
		client, &(struct client_request) { .method = "POST", .path = path, .body = body, .wait_ms = wait_ms },
		error);
}

static JsonNode *start(struct client *client, const struct invocation *invocation, const char *name, GError **error)
{
	g_autoptr(JsonNode) before = vm_get(client, name, error);
	g_autoptr(JsonNode) after = NULL;
	JsonObject *vm;

	if (!before)
		return NULL;
	vm = json_node_get_object(before);
	/* Its image may have left the cache since. */
	if (strcmp(view_text(vm, NULL, "engine"), "sim") != 0 &&
	    !image_make_ready(client, view_text(vm, NULL, "image"), error))
		return NULL;
	after = post(client, name, "start", VM_START_WAIT_MS, NULL, error);
	return after && vm_check_running(after, error) ? g_steal_pointer(&after) : NULL;
}

static JsonNode *stop_body(guint64 timeout_ms)
{
	g_autoptr(JsonObject) object = json_object_new();

	json_object_set_int_member(object, "timeout_ms", (gint64)timeout_ms);
	return json_node_init_object(json_node_alloc(), object);
}

static JsonNode *stop(struct client *client, const struct invocation *invocation, const char *name, GError **error)
{
	const char *timeout = invocation_option(invocation, "timeout");
	g_autoptr(JsonNode) body = NULL;
	guint64 timeout_ms = 0;

	if (timeout && !duration_parse(timeout, &timeout_ms, error))
		return NULL;
	if (timeout || invocation_flag(invocation, "force"))
		body = stop_body(timeout_ms);
	else {
		g_autoptr(JsonNode) view = vm_get(client, name, error);

		if (!view)
			return NULL;
		timeout_ms = (guint64)MAX(0, view_number(json_node_get_object(view), NULL, "stop_timeout_ms"));
	}
	return post(client, name, "stop", timeout_ms + STOP_EXTRA_MS, body, error);
}

static JsonNode *pause_vm(struct client *client, const struct invocation *invocation, const char *name, GError **error)
{
	return post(client, name, "pause", VM_START_WAIT_MS, NULL, error);
}

static JsonNode *resume(struct client *client, const struct invocation *invocation, const char *name, GError **error)
{
	return post(client, name, "resume", VM_START_WAIT_MS, NULL, error);
}

static JsonNode *remove_vm(struct client *client, const struct invocation *invocation, const char *name, GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/vms/%s?wait_ms=%u%s", name, REMOVE_WAIT_MS,
						invocation_flag(invocation, "force") ? "&force=true" : "");
	g_autoptr(JsonNode) answer = client_call(
		client, &(struct client_request) { .method = "DELETE", .path = path, .wait_ms = REMOVE_WAIT_MS },
		error);
	g_autoptr(JsonObject) object = NULL;

	if (!answer)
		return NULL;
	object = json_object_new();
	json_object_set_string_member(object, "name", name);
	json_object_set_boolean_member(object, "removed", TRUE);
	return json_node_init_object(json_node_alloc(), object);
}

int verb_start(struct invocation *invocation, GError **error)
{
	return each(invocation, start, "started", error);
}

int verb_stop(struct invocation *invocation, GError **error)
{
	const char *timeout = invocation_option(invocation, "timeout");
	guint64 timeout_ms;

	if (timeout && invocation_flag(invocation, "force"))
		return usage_error(error, invocation, "--force and --timeout exclude each other");
	/* Before any VM is touched. */
	if (timeout && !duration_parse(timeout, &timeout_ms, error))
		return -1;
	if (timeout && timeout_ms > LIMIT_VM_STOP_TIMEOUT_MAX_MS)
		return usage_error(error, invocation, "--timeout %s is more than 1h", timeout);
	return each(invocation, stop, "stopped", error);
}

int verb_pause(struct invocation *invocation, GError **error)
{
	return each(invocation, pause_vm, "paused", error);
}

int verb_resume(struct invocation *invocation, GError **error)
{
	return each(invocation, resume, "resumed", error);
}

int verb_rm(struct invocation *invocation, GError **error)
{
	return each(invocation, remove_vm, "removed", error);
}
