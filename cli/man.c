#include "cli/command.h"

#include <string.h>

#include "cli/text.h"

/* Text as roff takes it: no escapes, no requests, '-' as people type it. */
static void append(GString *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		g_string_append(out, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			g_string_append(out, "\\e");
		else if (*text == '-')
			g_string_append(out, "\\-");
		else
			g_string_append_c(out, *text);
		if (*text == '\n' && (text[1] == '.' || text[1] == '\''))
			g_string_append(out, "\\&");
	}
}

static void section(GString *out, const char *request, const char *title)
{
	g_string_append_printf(out, "%s \"", request);
	append(out, title);
	g_string_append(out, "\"\n");
}

static void item(GString *out, const char *left, const char *doc)
{
	g_string_append(out, ".TP\n.B ");
	append(out, left);
	g_string_append_c(out, '\n');
	append(out, doc);
	g_string_append_c(out, '\n');
}

static void options(GString *out, const struct option *list)
{
	for (; list && list->name; list++) {
		char letter[] = { '-', list->letter, ',', ' ', '\0' };
		g_autofree char *left = g_strdup_printf("%s--%s%s%s", list->letter ? letter : "", list->name,
							list->value ? " " : "", list->value ? list->value : "");

		item(out, left, list->doc);
	}
}

static void examples(GString *out, const char *text)
{
	g_string_append(out, ".PP\n.nf\n");
	append(out, text);
	g_string_append(out, "\n.fi\n");
}

static void statuses(GString *out, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line; line++) {
		g_auto(GStrv) parts = g_strsplit(*line, "    ", 2);

		item(out, parts[0], parts[1]);
	}
}

static void body(GString *out, const struct command *command)
{
	g_auto(GStrv) parts = g_strsplit(command->help, "\n\n", -1);

	for (char **part = parts; *part; part++) {
		g_string_append(out, ".PP\n");
		append(out, *part);
		g_string_append_c(out, '\n');
	}
	options(out, command->options);
	if (command->examples)
		examples(out, command->examples);
	if (command->statuses)
		statuses(out, command->statuses);
}

static void common(GString *out)
{
	section(out, ".SH", "OPTIONS OF EVERY COMMAND");
	options(out, global_options);
	section(out, ".SH", "EXIT STATUS");
	for (const struct fact *fact = common_statuses; fact->name; fact++)
		item(out, fact->name, fact->doc);
	section(out, ".SH", "ENVIRONMENT");
	for (const struct fact *fact = environment; fact->name; fact++)
		item(out, fact->name, fact->doc);
}

static void header(GString *out, const char *page, const char *doc)
{
	g_autofree char *title = g_ascii_strup(page, -1);

	g_string_append(out, ".TH \"");
	append(out, title);
	g_string_append(out, "\" 1 \"\" \"Polder " POLDER_VERSION "\" \"User commands\"\n.SH NAME\n");
	append(out, page);
	g_string_append(out, " \\- ");
	append(out, doc);
	g_string_append(out, "\n.SH SYNOPSIS\n");
}

static char *page_of(const struct command *command)
{
	g_autofree char *synopsis = command_synopsis(command);
	g_autofree char *page = g_strdup_printf("polder-%s%s%s", command->noun ? command->noun : "",
						command->noun ? "-" : "", command->verb);
	GString *out = g_string_new(NULL);

	header(out, page, command->doc);
	append(out, synopsis);
	g_string_append_c(out, '\n');
	section(out, ".SH", "DESCRIPTION");
	body(out, command);
	common(out);
	return g_string_free(out, FALSE);
}

char *man_page(const struct command *command)
{
	GString *out;

	if (command)
		return page_of(command);
	out = g_string_new(NULL);
	header(out, "polder", "turn one machine into many");
	append(out, "polder [OPTION]… COMMAND …\n");
	section(out, ".SH", "COMMANDS");
	for (const struct command *each = commands; each->verb; each++) {
		g_autofree char *synopsis = command_synopsis(each);
		g_autofree char *doc = g_strdup_printf("%s.", each->doc);

		section(out, ".SS", synopsis);
		append(out, doc);
		g_string_append_c(out, '\n');
		body(out, each);
	}
	common(out);
	return g_string_free(out, FALSE);
}
