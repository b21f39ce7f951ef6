/* polder version, daemon, completion, man, help. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/dirs.h"
#include "daemon/model/error.h"

int verb_version(struct invocation *invocation, GError **error)
{
	struct client *client = client_open(invocation, error);
	g_autoptr(JsonNode) answer = client ? client_get(client, error, "/v1/version") : NULL;
	JsonObject *version;

	client_close(client);
	if (!answer)
		return -1;
	version = json_node_get_object(answer);
	if (invocation_flag(invocation, "json")) {
		JsonObject *mine = json_object_new();

		json_object_set_string_member(mine, "version", POLDER_VERSION);
		json_object_set_object_member(version, "client", mine);
		view_json(answer);
		return 0;
	}
	printf("polder  " POLDER_VERSION "\n");
	printf("daemon  %s, %s, pid %" G_GINT64_FORMAT " (agent %" G_GINT64_FORMAT "), %s\n",
	       view_text(version, NULL, "version"), view_text(version, "daemon", "scope"),
	       view_number(version, "daemon", "pid"), view_number(version, "daemon", "agent_pid"),
	       view_text(version, "daemon", "socket"));
	return 0;
}

int verb_daemon(struct invocation *invocation, GError **error)
{
	g_autofree char *tool = dirs_tool("polderd");
	const char *root = invocation_option(invocation, "root"), *socket = invocation_option(invocation, "socket");
	const char *argv[6] = { tool };
	int n = 1;

	if (root) {
		argv[n++] = "--root";
		argv[n++] = root;
	}
	if (socket) {
		argv[n++] = "--socket";
		argv[n++] = socket;
	}
	execv(tool, (char **)argv);
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "can't execute %s: %s; build or install it", tool,
		    g_strerror(errno));
	return -1;
}

/* Text asked for: as the one document, a string, with --json. */
static int print(const struct invocation *invocation, const char *name, char *text)
{
	if (invocation_flag(invocation, "json")) {
		g_autoptr(JsonObject) object = json_object_new();
		g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);

		json_object_set_string_member(object, name, text);
		view_json(node);
	} else
		fputs(text, stdout);
	g_free(text);
	return 0;
}

int verb_completion(struct invocation *invocation, GError **error)
{
	return print(invocation, "completion", completion_script(invocation_argument(invocation, 0)));
}

/* The command that the arguments name: NULL and TRUE when there are none, or just a noun (then *noun). */
static gboolean named(const struct invocation *invocation, const struct command **command, const char **noun,
		      GError **error)
{
	const char *first = invocation_argument(invocation, 0), *second = invocation_argument(invocation, 1);

	*command = NULL;
	*noun = NULL;
	if (!first)
		return TRUE;
	if (command_is_noun(first) && !second) {
		*noun = first;
		return TRUE;
	}
	*command = second ? command_find(first, second) : command_find(NULL, first);
	if (*command)
		return TRUE;
	usage_error(error, invocation, "there is no command '%s%s%s'", first, second ? " " : "", second ? second : "");
	return FALSE;
}

int verb_man(struct invocation *invocation, GError **error)
{
	const struct command *command;
	const char *noun;

	if (!named(invocation, &command, &noun, error))
		return -1;
	if (noun)
		return usage_error(error, invocation, "'%s' alone has no page: add its verb", noun);
	return print(invocation, "man", man_page(command));
}

int verb_help(struct invocation *invocation, GError **error)
{
	const struct command *command;
	const char *noun;

	if (!named(invocation, &command, &noun, error))
		return -1;
	return print(invocation, "help", command ? help_command(command) : noun ? help_noun(noun) : help_overview());
}
