/* polder exec, polder console. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

#define STATUS_POLDER_FAILED  125
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_THERE      127

#define EXEC_WAIT_MS 60000u

gboolean exec_request_init(struct exec_request *request, const struct invocation *invocation, GError **error)
{
	*request = (struct exec_request) {
		.argv = invocation->tail,
		.env = invocation_options(invocation, "env"),
		.workdir = invocation_option(invocation, "workdir"),
		.tty = invocation_flag(invocation, "tty"),
		.wait_ms = EXEC_WAIT_MS,
	};
	/* A terminal nobody can type at would be of no use. */
	request->interactive = request->tty || invocation_flag(invocation, "interactive");
	for (const char **env = request->env; *env; env++) {
		if (!strchr(*env, '=') || **env == '=') {
			usage_error(error, invocation, "--env '%s' is not NAME=VALUE", *env);
			return FALSE;
		}
	}
	if (request->argv && !*request->argv[0]) {
		usage_error(error, invocation, "the command after -- is empty");
		return FALSE;
	}
	if (g_strv_length(request->argv) > LIMIT_EXEC_ARGS) {
		usage_error(error, invocation, "more than %u arguments can't be passed on", LIMIT_EXEC_ARGS);
		return FALSE;
	}
	return TRUE;
}

void exec_request_clear(struct exec_request *request)
{
	g_clear_pointer(&request->env, g_free);
}

static gboolean add_strings(JsonBuilder *builder, const char *member, char **strings, GError **error)
{
	json_builder_set_member_name(builder, member);
	json_builder_begin_array(builder);
	for (; *strings; strings++) {
		if (!g_utf8_validate(*strings, -1, NULL)) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
				    "an argument is not UTF-8 and can't be passed on: put it in a script");
			return FALSE;
		}
		json_builder_add_string_value(builder, *strings);
	}
	json_builder_end_array(builder);
	return TRUE;
}

/* STREAM_OPEN's JSON. Caller frees. */
static char *open_json(const struct exec_request *request, GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(JsonNode) root = NULL;
	guint rows, columns;
	char *text;

	json_builder_begin_object(builder);
	if (!add_strings(builder, "argv", request->argv, error) ||
	    !add_strings(builder, "env", (char **)request->env, error))
		return NULL;
	if (request->workdir) {
		json_builder_set_member_name(builder, "cwd");
		json_builder_add_string_value(builder, request->workdir);
	}
	if (request->tty) {
		if (!terminal_size(STDIN_FILENO, &rows, &columns))
			terminal_size(STDOUT_FILENO, &rows, &columns);
		json_builder_set_member_name(builder, "tty");
		json_builder_add_boolean_value(builder, TRUE);
		json_builder_set_member_name(builder, "rows");
		json_builder_add_int_value(builder, rows);
		json_builder_set_member_name(builder, "cols");
		json_builder_add_int_value(builder, columns);
	}
	json_builder_end_object(builder);
	root = json_builder_get_root(builder);
	text = json_to_string(root, FALSE);
	/* The daemon takes it as one message. */
	if (strlen(text) > STREAM_OPEN_BYTES_MAX) {
		g_free(text);
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE,
			    "the command with its environment is longer than %u bytes: put it in a script",
			    (unsigned)STREAM_OPEN_BYTES_MAX);
		return NULL;
	}
	return text;
}

/* The guest's refusals are worded as "ARGV0: why", and only these are about the command; all others are sentences, which
 * may well end alike. */
static int refused(const char *reason, const char *argv0, GError **error)
{
	static const char *const not_executable[] = { ": Permission denied", ": Exec format error",
						      ": Is a directory" };
	g_autofree char *printable = text_printable(argv0);
	const char *why = g_str_has_prefix(reason, printable) ? reason + strlen(printable) : "";

	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "%s", reason);
	if (strcmp(why, ": not found") == 0)
		return STATUS_NOT_THERE;
	for (gsize i = 0; i < G_N_ELEMENTS(not_executable); i++)
		if (strcmp(why, not_executable[i]) == 0)
			return STATUS_NOT_EXECUTABLE;
	return STATUS_POLDER_FAILED;
}

int vm_exec(struct client *client, const char *name, const struct exec_request *request, GError **error)
{
	g_autofree char *open = open_json(request, error);
	g_autofree char *path = g_strdup_printf("/v1/vms/%s/exec?wait_ms=%" G_GUINT64_FORMAT "%s", name,
						request->wait_ms, request->remove ? "&remove=true" : "");
	g_autofree char *what = g_strdup_printf("VM %s", name);
	struct stream_config config = {
		.path = path,
		.open = open,
		.what = what,
		.fd_in = STDIN_FILENO,
		.fd_out = STDOUT_FILENO,
		.fd_err = STDERR_FILENO,
		.forward_input = request->interactive,
		.tty = request->tty,
		.raw = request->tty && isatty(STDIN_FILENO),
	};
	struct stream_result result;
	g_autoptr(GError) broken = NULL;
	int status = 0;

	if (!open)
		return -1;
	if (!stream_run(client, &config, &result, &broken)) {
		/* No such VM is the caller's mistake; nothing else may look like the command's own status. */
		status = g_error_matches(broken, POLDER_ERROR, POLDER_ERROR_NOT_FOUND)
				 ? polder_error_exit_status(broken)
				 : STATUS_POLDER_FAILED;
		g_propagate_error(error, g_steal_pointer(&broken));
		return status;
	}
	status = result.end == STREAM_END_REFUSED ? refused(result.reason, request->argv[0], error)
						  : (int)(result.status & 0xff);
	g_free(result.reason);
	return status;
}

/* The console's terminal in the guest gets our size, as far as the guest has an agent and stty: by a command of its own,
 * which waits until the guest is ready. Nobody waits for it; the newest size replaces one not yet told. */
struct resizer {
	struct client *client;
	const char *name;
	GSubprocess *command;
};

static void resizer_clear(struct resizer *resizer)
{
	if (resizer->command)
		g_subprocess_force_exit(resizer->command);
	g_clear_object(&resizer->command);
}

static void tell_size(guint rows, guint columns, gpointer user_data)
{
	struct resizer *resizer = user_data;
	g_autofree char *rows_text = g_strdup_printf("%u", rows), *columns_text = g_strdup_printf("%u", columns);
	const char *const argv[] = { "/proc/self/exe", "exec", "--socket", client_socket(resizer->client),
				     resizer->name,    "--",   "stty",     "-F",
				     "/dev/ttyS0",     "rows", rows_text,  "cols",
				     columns_text,     NULL };

	resizer_clear(resizer);
	resizer->command =
		g_subprocess_newv(argv, G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, NULL);
}

int vm_attach(struct client *client, const char *name, GError **error)
{
	struct resizer resizer = { .client = client, .name = name };
	g_autofree char *path = g_strdup_printf("/v1/vms/%s/console", name);
	g_autofree char *what = g_strdup_printf("VM %s", name);
	gboolean terminal = isatty(STDIN_FILENO);
	struct stream_config config = {
		.path = path,
		.what = what,
		.fd_in = STDIN_FILENO,
		.fd_out = STDOUT_FILENO,
		.fd_err = STDERR_FILENO,
		.forward_input = TRUE,
		.raw = terminal,
		.detach_key = terminal,
		.resized = terminal ? tell_size : NULL,
		.user_data = &resizer,
	};
	struct stream_result result;
	gboolean done;

	if (terminal)
		fprintf(stderr, "polder: attached to VM %s; Ctrl-] detaches and leaves it running\n", name);
	done = stream_run(client, &config, &result, error);
	resizer_clear(&resizer);
	if (!done)
		return -1;
	switch (result.end) {
	case STREAM_END_DETACHED:
		fprintf(stderr, "\npolder: detached; 'polder console %s' attaches again\n", name);
		break;
	case STREAM_END_EXIT:
		fprintf(stderr, "\npolder: VM %s ended\n", name);
		break;
	case STREAM_END_REFUSED:
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "%s", result.reason);
		g_free(result.reason);
		return -1;
	case STREAM_END_SIGNAL:
		return (int)result.status;
	case STREAM_END_BROKEN:
		break;
	}
	return 0;
}

int verb_exec(struct invocation *invocation, GError **error)
{
	struct exec_request request = { 0 };
	struct client *client = NULL;
	const char *wait = invocation_option(invocation, "wait");
	int status = -1;

	if (!exec_request_init(&request, invocation, error) || !names_check(invocation, error))
		goto out;
	if (wait && !duration_parse(wait, &request.wait_ms, error))
		goto out;
	if (invocation_flag(invocation, "json")) {
		status = usage_error(error, invocation, "--json can't be given: the output is the command's own");
		goto out;
	}
	client = client_open(invocation, error);
	if (client)
		status = vm_exec(client, invocation_argument(invocation, 0), &request, error);
out:
	client_close(client);
	exec_request_clear(&request);
	return status;
}

int verb_console(struct invocation *invocation, GError **error)
{
	struct client *client;
	int status;

	if (!names_check(invocation, error))
		return -1;
	if (invocation_flag(invocation, "json"))
		return usage_error(error, invocation, "--json can't be given: the output is the console's own");
	client = client_open(invocation, error);
	if (!client)
		return -1;
	status = vm_attach(client, invocation_argument(invocation, 0), error);
	client_close(client);
	return status;
}
