/* polder run: a new VM, or one command in a throwaway VM. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/units.h"

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

static gboolean add_cpus(JsonObject *request, const struct invocation *invocation, GError **error)
{
	const char *text = invocation_option(invocation, "cpus");
	guint64 cpus;

	if (!text)
		return TRUE;
	if (!g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT32, &cpus, NULL)) {
		usage_error(error, invocation, "--cpus '%s' is not a number from 1", text);
		return FALSE;
	}
	json_object_set_int_member(request, "cpus", (gint64)cpus);
	return TRUE;
}

static gboolean add_memory(JsonObject *request, const struct invocation *invocation, GError **error)
{
	const char *text = invocation_option(invocation, "memory");
	guint64 bytes;

	if (!text)
		return TRUE;
	if (!size_parse(text, &bytes, error)) {
		g_prefix_error(error, "--memory: ");
		return FALSE;
	}
	json_object_set_int_member(request, "memory_bytes", (gint64)MIN(bytes, (guint64)G_MAXINT64));
	return TRUE;
}

static gboolean add_publish(JsonObject *request, const struct invocation *invocation, GError **error)
{
	g_autofree const char **ports = invocation_options(invocation, "publish");
	JsonArray *array;

	if (!ports[0])
		return TRUE;
	array = json_array_new();
	json_object_set_array_member(request, "publish", array);
	for (const char **port = ports; *port; port++) {
		if (!publish_check(*port, error)) {
			g_prefix_error(error, "--publish: ");
			return FALSE;
		}
		json_array_add_string_element(array, *port);
	}
	return TRUE;
}

/* The body of POST /v1/vms. Caller unrefs. */
static JsonNode *create_request(const struct invocation *invocation, GError **error)
{
	static const char *const texts[] = { "name", "engine", "pool", "network", "restart", "cmdline" };
	g_autoptr(JsonObject) request = json_object_new();
	const char *name = invocation_option(invocation, "name");

	if (name && !name_check(name, error)) {
		g_prefix_error(error, "--name: ");
		return NULL;
	}
	json_object_set_string_member(request, "image", invocation_argument(invocation, 0));
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		const char *text = invocation_option(invocation, texts[i]);

		if (text && !g_utf8_validate(text, -1, NULL)) {
			usage_error(error, invocation, "--%s is not UTF-8", texts[i]);
			return NULL;
		}
		if (text)
			json_object_set_string_member(request, texts[i], text);
	}
	if (!add_cpus(request, invocation, error) || !add_memory(request, invocation, error) ||
	    !add_publish(request, invocation, error))
		return NULL;
	if (invocation->tail && !invocation_flag(invocation, "keep"))
		json_object_set_boolean_member(request, "ephemeral", TRUE);
	return json_node_init_object(json_node_alloc(), request);
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

int verb_run(struct invocation *invocation, GError **error)
{
	struct client *client = NULL;
	g_autoptr(JsonNode) body = NULL;
	int status = -1;

	if (!check_usage(invocation, error) || !names_check(invocation, error))
		return -1;
	body = create_request(invocation, error);
	client = body ? client_open(invocation, error) : NULL;
	if (client && prepare_image(client, invocation, body, error))
		status = invocation->tail ? run_command(client, invocation, body, error)
					  : run_stay(client, invocation, body, error);
	client_close(client);
	return status;
}
