#include "cli/command.h"

#include <string.h>

#include "cli/text.h"

#define WIDTH 100

const struct fact common_statuses[] = {
	{ "0", "done" },
	{ "1", "failed" },
	{ "2", "wrong usage, or a value that is malformed or out of range" },
	{ "3", "not found" },
	{ "4", "conflict: name taken, wrong state, or no host can take it" },
	{ NULL, NULL },
};

const struct fact environment[] = {
	{ "POLDER_SOCKET", "As --socket." },
	{ "POLDER_ROOT", "As --root." },
	{ "POLDER_CPU_CORRECTION",
	  "1: a daemon that is started corrects vCPU weights by what was got (experimental)." },
	{ "POLDER_ACCELERATOR", "kvm or tcg, whatever a daemon's self-test of KVM says when it starts." },
	{ "POLDER_NO_START", "When set, no daemon is started." },
	{ NULL, NULL },
};

/* `text` wrapped to WIDTH columns, each line after `indent` spaces; the first continues at `column`. */
static void wrap(GString *out, const char *text, guint indent, guint column)
{
	g_auto(GStrv) words = g_strsplit(text, " ", -1);
	guint at = column;

	for (char **word = words; *word; word++) {
		guint length = (guint)g_utf8_strlen(*word, -1);

		if (at > indent && at + 1 + length > WIDTH) {
			g_string_append_printf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (word != words) {
			g_string_append_c(out, ' ');
			at++;
		}
		g_string_append(out, *word);
		at += length;
	}
	g_string_append_c(out, '\n');
}

static void row(GString *out, const char *left, const char *doc, guint width)
{
	guint used = (guint)g_utf8_strlen(left, -1);

	g_string_append_printf(out, "  %s", left);
	if (used > width) {
		g_string_append_c(out, '\n');
		used = 0;
		g_string_append(out, "  ");
	}
	g_string_append_printf(out, "%*s", (int)(width - used) + 2, "");
	wrap(out, doc, width + 4, width + 4);
}

static char *option_left(const struct option *option)
{
	char letter[] = { '-', option->letter, ',', ' ', '\0' };

	return g_strdup_printf("%s--%s%s%s", option->letter ? letter : "    ", option->name, option->value ? " " : "",
			       option->value ? option->value : "");
}

static void options(GString *out, const char *heading, const struct option *list)
{
	if (!list)
		return;
	g_string_append_printf(out, "\n%s:\n", heading);
	for (; list->name; list++) {
		g_autofree char *left = option_left(list);

		row(out, left, list->doc, 24);
	}
}

char *command_synopsis(const struct command *command)
{
	g_autofree char *name = command_name(command);
	GString *out = g_string_new(NULL);
	const struct argument *argument = &command->argument;

	g_string_append_printf(out, "polder %s%s", name, command->options ? " [OPTION]…" : "");
	if (argument->name)
		g_string_append_printf(out, " %s%s%s%s", argument->min ? "" : "[", argument->name,
				       argument->max > 2 ? "…" : "", argument->min ? "" : "]");
	if (command->tail == TAIL_OPTIONAL)
		g_string_append(out, " [-- COMMAND…]");
	if (command->tail == TAIL_REQUIRED)
		g_string_append(out, " -- COMMAND…");
	return g_string_free(out, FALSE);
}

static void paragraphs(GString *out, const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, "\n\n", -1);

	for (char **part = parts; *part; part++) {
		g_string_append_c(out, '\n');
		wrap(out, *part, 0, 0);
	}
}

static void statuses(GString *out, const struct command *command)
{
	g_string_append(out, "\nExit status:\n");
	for (const struct fact *fact = common_statuses; fact->name; fact++)
		row(out, fact->name, fact->doc, 9);
	if (command->statuses) {
		g_auto(GStrv) lines = g_strsplit(command->statuses, "\n", -1);

		for (char **line = lines; *line; line++) {
			g_auto(GStrv) parts = g_strsplit(*line, "    ", 2);

			row(out, parts[0], parts[1], 9);
		}
	}
}

char *help_command(const struct command *command)
{
	GString *out = g_string_new(NULL);
	g_autofree char *synopsis = command_synopsis(command);

	g_string_append_printf(out, "%s\n\nUsage: %s\n", command->doc, synopsis);
	paragraphs(out, command->help);
	if (command->argument.name) {
		g_string_append(out, "\nArgument:\n");
		row(out, command->argument.name, command->argument.doc, 24);
	}
	options(out, "Options", command->options);
	options(out, "Options of every command", global_options);
	if (command->examples) {
		g_auto(GStrv) lines = g_strsplit(command->examples, "\n", -1);

		g_string_append(out, "\nExamples:\n");
		for (char **line = lines; *line; line++)
			g_string_append_printf(out, "  %s\n", *line);
	}
	statuses(out, command);
	return g_string_free(out, FALSE);
}

static void list(GString *out, const char *group, const char *noun)
{
	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *name = command_name(command);

		if ((!group || g_strcmp0(command->group, group) == 0) && (!noun || g_strcmp0(command->noun, noun) == 0))
			row(out, name, command->doc, 19);
	}
}

char *help_noun(const char *noun)
{
	GString *out = g_string_new(NULL);

	g_string_append_printf(out, "Usage: polder %s VERB\n\n", noun);
	list(out, NULL, noun);
	g_string_append_printf(out, "\n'polder %s VERB --help' tells more.\n", noun);
	return g_string_free(out, FALSE);
}

char *help_overview(void)
{
	GString *out = g_string_new("Polder turns one machine into many.\n\n"
				    "Usage: polder [OPTION]… COMMAND …\n");
	const char *group = NULL;

	for (const struct command *command = commands; command->verb; command++) {
		if (g_strcmp0(command->group, group) == 0)
			continue;
		group = command->group;
		g_string_append_printf(out, "\n%s:\n", group);
		list(out, group, NULL);
	}
	options(out, "Options", global_options);
	g_string_append(out, "\nBegin with:  polder run tiny -- uname -a\n"
			     "'polder COMMAND --help' tells more about a command.\n");
	return g_string_free(out, FALSE);
}
