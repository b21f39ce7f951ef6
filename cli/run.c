/* polder run: a new VM, or one command in a throwaway VM. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/create.h"
#include "cli/explain.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define STATUS_POLDER_FAILED 125
#define REMOVE_WAIT_MS       10000u

static gboolean check_usage(const struct invocation *invocation, GError **error)
{
	static const char *const with_command[] = { "keep", "env", "workdir", "tty" };

	for (gsize i = 0; !invocation->tail && i < G_N_ELEMENTS(with_command); i++) {
		if (invocation_flag(invocation, with_command[i])) {
			usage_error(error, invocation, "--%s needs a command after --", with_command[i]);
			return FALSE;
		}
	}
	if (invocation->tail && invocation_flag(invocation, "detach")) {
		usage_error(error, invocation, "--detach can't be given with a command");
		return FALSE;
	}
	if (invocation->tail && invocation_flag(invocation, "json")) {
		usage_error(error, invocation, "--json can't be given with a command: the output is its own");
		return FALSE;
	}
	return TRUE;
}

/* Building an image takes a while: not for a VM that no host could ever take. The daemon has the last word; this only
 * says whether to ask it before the build. */
static gboolean larger_than_hosts(struct client *client, JsonNode *body)
{
	g_autoptr(JsonNode) answer = client_get(client, NULL, "/v1/hosts");
	g_autoptr(GPtrArray) hosts = answer ? view_objects(answer, "hosts") : g_ptr_array_new();
	JsonObject *vm = json_node_get_object(body);

	for (guint i = 0; i < hosts->len; i++)
		if (view_number(hosts->pdata[i], NULL, "memory_bytes") >= view_number(vm, NULL, "memory_bytes"))
			return FALSE;
	return hosts->len > 0;
}

static gboolean prepare_image(struct client *client, const struct invocation *invocation, JsonNode *body,
			      GError **error)
{
	const char *image = invocation_argument(invocation, 0);
	g_autoptr(JsonNode) answer = NULL;

	if (strcmp(view_text(json_node_get_object(body), NULL, "engine"), "sim") == 0)
		return TRUE;
	answer = client_get(client, error, "/v1/images/%s", image);
	if (!answer)
		return FALSE;
	if (strcmp(view_text(json_node_get_object(answer), "status", "state"), "ready") == 0 ||
	    larger_than_hosts(client, body))
		return TRUE;
	return image_make_ready(client, image, error);
}

static JsonNode *create(struct client *client, JsonNode *body, guint64 wait_ms, GError **error)
{
	g_autofree char *path =
		wait_ms ? g_strdup_printf("/v1/vms?wait_ms=%" G_GUINT64_FORMAT, wait_ms) : g_strdup("/v1/vms");

	return client_call(
		client, &(struct client_request) { .method = "POST", .path = path, .body = body, .wait_ms = wait_ms },
		error);
}

/* Gone when we return: its stream's end removes it, this waits until it is done. */
static void remove_throwaway(struct client *client, const char *name)
{
	g_autofree char *path = g_strdup_printf("/v1/vms/%s?force=true&wait_ms=%u", name, REMOVE_WAIT_MS);
	g_autoptr(JsonNode) answer = client_call(
		client, &(struct client_request) { .method = "DELETE", .path = path, .wait_ms = REMOVE_WAIT_MS }, NULL);
}

static int run_command(struct client *client, const struct invocation *invocation, JsonNode *body, GError **error)
{
	struct exec_request request = { 0 };
	g_autoptr(JsonNode) view = NULL;
	const char *name;
	int status;

	if (!exec_request_init(&request, invocation, error)) {
		exec_request_clear(&request);
		return -1;
	}
	view = create(client, body, 0, error);
	if (!view) {
		exec_request_clear(&request);
		return -1;
	}
	name = view_text(json_node_get_object(view), NULL, "name");
	request.remove = !invocation_flag(invocation, "keep");
	status = vm_exec(client, name, &request, error);
	exec_request_clear(&request);
	if (request.remove)
		remove_throwaway(client, name);
	/* It was accepted: whatever Polder could not do since is Polder's failure, not the caller's. */
	return error && *error && status < STATUS_POLDER_FAILED ? STATUS_POLDER_FAILED : status;
}

static int run_stay(struct client *client, const struct invocation *invocation, JsonNode *body, GError **error)
{
	g_autoptr(JsonNode) view = create(client, body, VM_START_WAIT_MS, error);
	gboolean attach =
		!invocation_flag(invocation, "detach") && !invocation_flag(invocation, "json") &&
		((isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) || invocation_flag(invocation, "interactive"));
	const char *name;

	if (!view || !vm_check_running(view, error))
		return -1;
	name = view_text(json_node_get_object(view), NULL, "name");
	if (attach)
		return vm_attach(client, name, error);
	if (invocation_flag(invocation, "json"))
		view_json(view);
	else
		puts(name);
	return 0;
}

/* ---- Several at once ---- */

static JsonObject *object_copy(JsonObject *object)
{
	JsonObject *copy = json_object_new();
	JsonObjectIter iter;
	const char *member;
	JsonNode *value;

	json_object_iter_init(&iter, object);
	while (json_object_iter_next(&iter, &member, &value))
		json_object_set_member(copy, member, json_node_copy(value));
	return copy;
}

/* The bodies of `count` VMs: NAME-1 …, all of one gang when asked. Caller unrefs. */
static JsonNode *batch_request(const struct invocation *invocation, JsonNode *body, guint64 count)
{
	const char *name = invocation_option(invocation, "name");
	g_autoptr(JsonObject) request = json_object_new();
	g_autofree char *gang = g_strdup_printf("%s-%08x", name ? name : "gang", g_random_int());
	JsonArray *vms = json_array_new();

	json_object_set_array_member(request, "vms", vms);
	for (guint64 i = 0; i < count; i++) {
		JsonObject *own = object_copy(json_node_get_object(body));

		if (name) {
			g_autofree char *numbered = g_strdup_printf("%s-%" G_GUINT64_FORMAT, name, i + 1);

			json_object_set_string_member(own, "name", numbered);
		}
		if (invocation_flag(invocation, "gang")) {
			json_object_set_string_member(own, "gang", gang);
			json_object_set_int_member(own, "gang_size", (gint64)count);
		}
		json_array_add_object_element(vms, own);
	}
	return json_node_init_object(json_node_alloc(), request);
}

/* Names on stdout; those that were not created as one error, the first one's reason standing for all. */
static int batch_report(JsonNode *answer, GError **error)
{
	g_autoptr(GPtrArray) vms = view_objects(answer, "vms");
	JsonObject *first = NULL;
	guint refused = 0;

	for (guint i = 0; i < vms->len; i++) {
		JsonObject *vm = vms->pdata[i];

		if (json_object_get_boolean_member_with_default(vm, "created", FALSE)) {
			puts(view_text(vm, NULL, "name"));
			continue;
		}
		refused++;
		first = first ? first : vm;
	}
	if (!first)
		return 0;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_NO_CAPACITY, "%u of %u VMs were not created; %s: %s", refused,
		    vms->len, view_text(first, NULL, "name"), view_text(first, NULL, "detail"));
	return -1;
}

static int run_many(struct client *client, const struct invocation *invocation, JsonNode *body, guint64 count,
		    GError **error)
{
	g_autoptr(JsonNode) batch = batch_request(invocation, body, count);
	g_autoptr(JsonNode) answer = client_call(
		client, &(struct client_request) { .method = "POST", .path = "/v1/batch/vms", .body = batch }, error);

	if (!answer)
		return -1;
	if (!invocation_flag(invocation, "json"))
		return batch_report(answer, error);
	view_json(answer);
	return 0;
}

/* ---- Only asking ---- */

static int run_dry(struct client *client, const struct invocation *invocation, JsonNode *body, GError **error)
{
	g_autoptr(JsonNode) answer = client_call(
		client, &(struct client_request) { .method = "POST", .path = "/v1/vms?dry_run=true", .body = body },
		error);

	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json"))
		view_json(answer);
	else
		explanation_print(json_node_get_object(answer));
	return explanation_refuses(json_node_get_object(answer))
		       ? polder_error_info(POLDER_ERROR_NO_CAPACITY)->exit_status
		       : 0;
}

static gboolean read_count(const struct invocation *invocation, guint64 *count, GError **error)
{
	const char *text = invocation_option(invocation, "count");

	*count = 0;
	if (!text) {
		if (!invocation_flag(invocation, "gang"))
			return TRUE;
		usage_error(error, invocation, "--gang needs --count: how many belong together");
		return FALSE;
	}
	if (invocation->tail) {
		usage_error(error, invocation, "--count can't be given with a command");
		return FALSE;
	}
	if (g_ascii_string_to_unsigned(text, 10, 1, LIMIT_API_BATCH_VMS, count, NULL))
		return TRUE;
	usage_error(error, invocation, "--count '%s' is not a number from 1 to %u", text, LIMIT_API_BATCH_VMS);
	return FALSE;
}

int verb_run(struct invocation *invocation, GError **error)
{
	gboolean dry = invocation_flag(invocation, "dry-run");
	struct client *client = NULL;
	g_autoptr(JsonNode) body = NULL;
	guint64 count;
	int status = -1;

	if (!check_usage(invocation, error) || !names_check(invocation, error) ||
	    !read_count(invocation, &count, error))
		return -1;
	body = create_request(invocation, invocation_argument(invocation, 0), error);
	if (body && invocation->tail && !invocation_flag(invocation, "keep"))
		json_object_set_boolean_member(json_node_get_object(body), "ephemeral", TRUE);
	client = body ? client_open(invocation, error) : NULL;
	if (client && dry)
		status = run_dry(client, invocation, body, error);
	else if (client && prepare_image(client, invocation, body, error))
		status = invocation->tail ? run_command(client, invocation, body, error)
			 : count          ? run_many(client, invocation, body, count, error)
					  : run_stay(client, invocation, body, error);
	client_close(client);
	return status;
}
