/* polder image, and having an image ready for a VM. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/nouns.h"
#include "daemon/model/units.h"

#define POLL_MS  200
#define QUIET_MS 500

static const struct view_part list_parts[] = { { .noun = &image_noun },
					       { .noun = &image_status_noun, .member = "status" },
					       { NULL } };
static const struct view_part show_parts[] = { { .noun = &image_noun },
					       { .noun = &image_status_noun, .member = "status", .heading = "Status" },
					       { NULL } };

static JsonNode *image_get(struct client *client, const char *image, GError **error)
{
	return client_get(client, error, "/v1/images/%s", image);
}

static gboolean state_is(JsonNode *answer, const char *state)
{
	return strcmp(view_text(json_node_get_object(answer), "status", "state"), state) == 0;
}

/* Has the build that was asked for last come to its end? */
static gboolean built(JsonNode *answer)
{
	JsonObject *image = json_node_get_object(answer);

	return view_number(image, "status", "build") >= view_number(image, NULL, "build") &&
	       (state_is(answer, "ready") || state_is(answer, "failed"));
}

/* Show how the build gets on until it has ended; the image as it is then, or NULL. */
static JsonNode *follow(struct client *client, const char *image, GError **error)
{
	g_autofree char *title = g_strdup_printf("Building image %s", image);
	struct progress *progress = progress_new(STDERR_FILENO, title, QUIET_MS);
	g_autoptr(JsonNode) answer = NULL;

	for (;;) {
		JsonObject *status;

		answer = image_get(client, image, error);
		if (!answer || built(answer))
			break;
		status = json_node_get_object(answer);
		progress_update(progress, (int)view_number(status, "status", "progress_percent"),
				view_text(status, "status", "step"));
		g_clear_pointer(&answer, json_node_unref);
		client_pass(POLL_MS);
	}
	progress_free(progress);
	return g_steal_pointer(&answer);
}

static gboolean check_ready(JsonNode *answer, const char *image, GError **error)
{
	const char *reason = view_text(json_node_get_object(answer), "status", "reason");

	if (state_is(answer, "ready"))
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "image %s could not be built: %s", image,
		    *reason ? reason : "no reason given; see the daemon's log");
	return FALSE;
}

gboolean image_build(struct client *client, const char *image, GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/images/%s/build", image);
	g_autoptr(JsonNode) asked =
		client_call(client, &(struct client_request) { .method = "POST", .path = path }, error);
	g_autoptr(JsonNode) ended = asked ? follow(client, image, error) : NULL;

	return ended && check_ready(ended, image, error);
}

gboolean image_make_ready(struct client *client, const char *image, GError **error)
{
	g_autoptr(JsonNode) answer = image_get(client, image, error);
	g_autoptr(JsonNode) ended = NULL;

	if (!answer)
		return FALSE;
	if (state_is(answer, "ready"))
		return TRUE;
	if (!state_is(answer, "building"))
		return image_build(client, image, error);
	ended = follow(client, image, error);
	return ended && check_ready(ended, image, error);
}

static int show(struct client *client, const struct invocation *invocation, const char *image, GError **error)
{
	g_autoptr(JsonNode) answer = image_get(client, image, error);

	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json"))
		view_json(answer);
	else
		view_show(json_node_get_object(answer), show_parts);
	return 0;
}

/* The document, or one line. */
static int tell(struct client *client, const struct invocation *invocation, const char *image, const char *what,
		GError **error)
{
	if (invocation_flag(invocation, "json"))
		return show(client, invocation, image, error);
	printf("image %s is %s\n", image, what);
	return 0;
}

int verb_image_ls(struct invocation *invocation, GError **error)
{
	struct client *client = client_open(invocation, error);
	g_autoptr(JsonNode) answer = client ? client_get(client, error, "/v1/images") : NULL;

	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	else if (answer && invocation_flag(invocation, "quiet"))
		view_names(answer, "images");
	else if (answer)
		view_list(answer, "images", list_parts, invocation_flag(invocation, "wide"));
	client_close(client);
	return answer ? 0 : -1;
}

int verb_image_show(struct invocation *invocation, GError **error)
{
	struct client *client = names_check(invocation, error) ? client_open(invocation, error) : NULL;
	int status = client ? show(client, invocation, invocation_argument(invocation, 0), error) : -1;

	client_close(client);
	return status;
}

int verb_image_build(struct invocation *invocation, GError **error)
{
	const char *image = invocation_argument(invocation, 0);
	struct client *client = names_check(invocation, error) ? client_open(invocation, error) : NULL;
	int status = -1;

	if (client && image_build(client, image, error))
		status = tell(client, invocation, image, "ready", error);
	client_close(client);
	return status;
}

/* The body of POST /v1/images. Caller unrefs. */
static JsonNode *add_request(const struct invocation *invocation)
{
	static const char *const files[] = { "kernel", "initrd", "firmware" };
	g_autoptr(JsonObject) request = json_object_new();
	const char *cmdline = invocation_option(invocation, "cmdline");

	json_object_set_string_member(request, "name", invocation_argument(invocation, 0));
	for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
		const char *file = invocation_option(invocation, files[i]);
		g_autofree char *path = file ? g_canonicalize_filename(file, NULL) : NULL;

		if (path)
			json_object_set_string_member(request, files[i], path);
	}
	if (cmdline)
		json_object_set_string_member(request, "cmdline", cmdline);
	return json_node_init_object(json_node_alloc(), request);
}

int verb_image_add(struct invocation *invocation, GError **error)
{
	const char *image = invocation_argument(invocation, 0);
	g_autoptr(JsonNode) body = NULL, added = NULL, ended = NULL;
	struct client *client;
	int status = -1;

	if (!names_check(invocation, error))
		return -1;
	if (!invocation_option(invocation, "kernel") && !invocation_option(invocation, "firmware"))
		return usage_error(error, invocation, "--kernel or --firmware is needed");
	body = add_request(invocation);
	client = client_open(invocation, error);
	if (!client)
		return -1;
	added = client_call(client, &(struct client_request) { .method = "POST", .path = "/v1/images", .body = body },
			    error);
	/* Adding it asked for its build. */
	ended = added ? follow(client, image, error) : NULL;
	if (ended && check_ready(ended, image, error))
		status = tell(client, invocation, image, "ready", error);
	else if (ended)
		g_prefix_error(error, "added (undo with 'polder image rm %s'), but ", image);
	client_close(client);
	return status;
}

int verb_image_rm(struct invocation *invocation, GError **error)
{
	struct client *client = names_check(invocation, error) ? client_open(invocation, error) : NULL;
	g_autoptr(JsonObject) object = json_object_new();
	g_autoptr(JsonNode) root = json_node_init_object(json_node_alloc(), object);
	JsonArray *removed = json_array_new();
	int status = client ? 0 : -1;

	json_object_set_array_member(object, "removed", removed);
	for (guint i = 0; client && i < invocation->arguments->len; i++) {
		const char *image = invocation->arguments->pdata[i];
		g_autofree char *path = g_strdup_printf("/v1/images/%s", image);
		g_autoptr(GError) failure = NULL;
		g_autofree char *printable = NULL;
		g_autoptr(JsonNode) answer =
			client_call(client, &(struct client_request) { .method = "DELETE", .path = path }, &failure);

		if (answer) {
			json_array_add_string_element(removed, image);
			if (!invocation_flag(invocation, "json"))
				printf("image %s is removed\n", image);
			continue;
		}
		/* As with VMs: every one is tried, the first failure decides. */
		if (!status)
			status = polder_error_exit_status(failure);
		printable = text_printable(failure->message);
		fprintf(stderr, "polder: %s\n", printable);
	}
	if (!status && invocation_flag(invocation, "json"))
		view_json(root);
	client_close(client);
	return status;
}
