/* Shell completion from the command table. Names of VMs, images and hosts are asked for when needed, never starting a
 * daemon for it. */
#include "cli/command.h"

#include <string.h>

static const char *lister(enum value_kind kind)
{
	switch (kind) {
	case VALUE_VM:
		return "ps";
	case VALUE_IMAGE:
		return "image ls";
	case VALUE_HOST:
		return "host ls";
	case VALUE_TEXT:
	case VALUE_FILE:
	case VALUE_DIRECTORY:
	case VALUE_CHOICE:
	case VALUE_COMMAND:
		break;
	}
	return NULL;
}

/* Every verb of `noun`; for NULL every plain verb and every noun, once. Space-separated; caller frees. */
static char *words(const char *noun)
{
	GString *out = g_string_new(NULL);
	const char *last = NULL;

	for (const struct command *command = commands; command->verb; command++) {
		const char *word = noun || !command->noun ? command->verb : command->noun;

		if (noun ? g_strcmp0(command->noun, noun) != 0 : g_strcmp0(word, last) == 0)
			continue;
		last = word;
		g_string_append_printf(out, "%s%s", out->len ? " " : "", word);
	}
	return g_string_free(out, FALSE);
}

static void option_words(GString *out, const struct option *list)
{
	for (; list && list->name; list++) {
		g_string_append_printf(out, " --%s", list->name);
		if (list->letter)
			g_string_append_printf(out, " -%c", list->letter);
	}
}

/* Is this row the first of its noun? */
static gboolean begins_noun(const struct command *command)
{
	return command->noun && (command == commands || g_strcmp0(command[-1].noun, command->noun) != 0);
}

/* ---- bash ---- */

static void bash_reply(GString *out, enum value_kind kind, const char *const *choices)
{
	g_autofree char *all = choices ? g_strjoinv(" ", (char **)choices) : NULL;

	if (all)
		g_string_append_printf(out, "COMPREPLY=($(compgen -W '%s' -- \"$cur\"))", all);
	else if (lister(kind))
		g_string_append_printf(out, "COMPREPLY=($(compgen -W \"$(_polder_names %s)\" -- \"$cur\"))",
				       lister(kind));
	else if (kind == VALUE_FILE)
		g_string_append(out, "COMPREPLY=($(compgen -f -- \"$cur\"))");
	else if (kind == VALUE_DIRECTORY)
		g_string_append(out, "COMPREPLY=($(compgen -d -- \"$cur\"))");
	else if (kind == VALUE_COMMAND) {
		g_autofree char *verbs = words(NULL);

		g_string_append_printf(out, "COMPREPLY=($(compgen -W '%s' -- \"$cur\"))", verbs);
	} else
		g_string_append(out, "COMPREPLY=()");
}

static void bash_values(GString *out, const struct option *list, const char *pattern)
{
	for (; list && list->name; list++) {
		if (!list->value)
			continue;
		g_string_append_printf(out, "\t\"%s --%s\"", pattern, list->name);
		if (list->letter)
			g_string_append_printf(out, " | \"%s -%c\"", pattern, list->letter);
		g_string_append(out, ")\n\t\t");
		bash_reply(out, list->kind, list->choices);
		g_string_append(out, "\n\t\treturn\n\t\t;;\n");
	}
}

static void bash_takes_value(GString *out)
{
	g_string_append(out, "_polder_takes_value() {\n\tcase \"$1 $2\" in\n");
	for (const struct option *option = global_options; option->name; option++)
		if (option->value)
			g_string_append_printf(out, "\t*\" --%s\") return 0 ;;\n", option->name);
	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *name = command_name(command);

		for (const struct option *option = command->options; option && option->name; option++) {
			if (!option->value)
				continue;
			g_string_append_printf(out, "\t\"%s --%s\"", name, option->name);
			if (option->letter)
				g_string_append_printf(out, " | \"%s -%c\"", name, option->letter);
			g_string_append(out, ") return 0 ;;\n");
		}
	}
	g_string_append(out, "\tesac\n\treturn 1\n}\n");
}

static void bash_commands(GString *out)
{
	g_autofree char *verbs = words(NULL);

	g_string_append(out, "\tcase \"$command\" in\n");
	g_string_append_printf(out, "\t\"\")\n\t\tCOMPREPLY=($(compgen -W '%s", verbs);
	option_words(out, global_options);
	g_string_append(out, "' -- \"$cur\"))\n\t\t;;\n");
	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *name = command_name(command);

		if (begins_noun(command)) {
			g_autofree char *of_noun = words(command->noun);

			g_string_append_printf(out,
					       "\t\"%s\")\n\t\tCOMPREPLY=($(compgen -W '%s' -- \"$cur\"))\n\t\t;;\n",
					       command->noun, of_noun);
		}
		g_string_append_printf(out, "\t\"%s\")\n\t\tif [[ $cur == -* ]]; then\n\t\t\tCOMPREPLY=($(compgen -W '",
				       name);
		option_words(out, command->options);
		option_words(out, global_options);
		g_string_append(out, "' -- \"$cur\"))\n\t\telse\n\t\t\t");
		bash_reply(out, command->argument.name ? command->argument.kind : VALUE_TEXT,
			   command->argument.choices);
		g_string_append(out, "\n\t\tfi\n\t\t;;\n");
	}
	g_string_append(out, "\tesac\n");
}

static char *bash_script(void)
{
	GString *out = g_string_new("# bash completion for polder, made by 'polder completion bash'\n\n"
				    "_polder_names() {\n"
				    "\tPOLDER_NO_START=1 polder \"$@\" --quiet 2>/dev/null\n"
				    "}\n\n");

	bash_takes_value(out);
	g_string_append(out, "\n_polder() {\n"
			     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
			     "\tlocal command=\"\" word i\n"
			     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			     "\t\tword=${COMP_WORDS[i]}\n"
			     "\t\tif [[ $word == -- ]]; then\n"
			     "\t\t\tCOMPREPLY=($(compgen -c -f -- \"$cur\"))\n"
			     "\t\t\treturn\n"
			     "\t\tfi\n"
			     "\t\tif [[ $word == -* ]]; then\n"
			     "\t\t\t_polder_takes_value \"$command\" \"$word\" && ((i++))\n"
			     "\t\t\tcontinue\n"
			     "\t\tfi\n"
			     "\t\tcase \"$command\" in\n"
			     "\t\t\"\") command=$word ;;\n");
	for (const struct command *command = commands; command->verb; command++)
		if (begins_noun(command))
			g_string_append_printf(out, "\t\t%s) command=\"%s $word\" ;;\n", command->noun, command->noun);
	g_string_append(out, "\t\tesac\n\tdone\n\tcase \"$command $prev\" in\n");
	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *name = command_name(command);

		bash_values(out, command->options, name);
	}
	for (const struct option *option = global_options; option->name; option++) {
		if (!option->value)
			continue;
		g_string_append_printf(out, "\t*\" --%s\")\n\t\t", option->name);
		bash_reply(out, option->kind, option->choices);
		g_string_append(out, "\n\t\treturn\n\t\t;;\n");
	}
	g_string_append(out, "\tesac\n");
	bash_commands(out);
	g_string_append(out, "}\n\ncomplete -F _polder polder\n");
	return g_string_free(out, FALSE);
}

/* ---- zsh ---- */

/* A description inside _arguments' brackets and single quotes. Caller frees. */
static char *zsh_quote(const char *text)
{
	GString *out = g_string_new(NULL);

	for (; *text; text++) {
		if (*text == '\'')
			g_string_append(out, "'\\''");
		else if (strchr("[]:\\", *text))
			g_string_append_printf(out, "\\%c", *text);
		else
			g_string_append_c(out, *text);
	}
	return g_string_free(out, FALSE);
}

/* The action part of an _arguments spec. */
static void zsh_action(GString *out, enum value_kind kind, const char *const *choices)
{
	g_autofree char *all = choices ? g_strjoinv(" ", (char **)choices) : NULL;

	if (all)
		g_string_append_printf(out, "(%s)", all);
	else if (lister(kind))
		g_string_append_printf(out, "{_polder_names %s}", lister(kind));
	else if (kind == VALUE_FILE)
		g_string_append(out, "_files");
	else if (kind == VALUE_DIRECTORY)
		g_string_append(out, "_files -/");
	else if (kind == VALUE_COMMAND) {
		g_autofree char *verbs = words(NULL);

		g_string_append_printf(out, "(%s)", verbs);
	} else
		g_string_append_c(out, ' ');
}

static void zsh_options(GString *out, const struct option *list)
{
	for (; list && list->name; list++) {
		g_autofree char *doc = zsh_quote(list->doc);

		for (int form = 0; form < (list->letter ? 2 : 1); form++) {
			const char dash_letter[] = { '-', list->letter, '\0' };
			g_autofree char *name = form ? g_strdup(dash_letter) : g_strdup_printf("--%s", list->name);

			g_string_append_printf(out, " \\\n\t\t\t'%s%s[%s]", list->repeat ? "*" : "", name, doc);
			if (list->value) {
				g_string_append_printf(out, ":%s:", list->value);
				zsh_action(out, list->kind, list->choices);
			}
			g_string_append_c(out, '\'');
		}
	}
}

static void zsh_describe(GString *out, const char *noun)
{
	const char *last = NULL;

	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *doc = zsh_quote(command->doc);
		const char *word = noun || !command->noun ? command->verb : command->noun;

		if (noun ? g_strcmp0(command->noun, noun) != 0 : g_strcmp0(word, last) == 0)
			continue;
		last = word;
		g_string_append_printf(out, " '%s:%s'", word, noun || !command->noun ? doc : command->group);
	}
}

static void zsh_command(GString *out, const struct command *command)
{
	const struct argument *argument = &command->argument;

	g_string_append(out, "\t\t_arguments -s");
	zsh_options(out, command->options);
	zsh_options(out, global_options);
	if (argument->name) {
		g_string_append_printf(out, " \\\n\t\t\t'%s:%s:", argument->max > 1 ? "*" : "1", argument->name);
		zsh_action(out, argument->kind, argument->choices);
		g_string_append_c(out, '\'');
	}
	if (command->tail != TAIL_NONE)
		g_string_append(out, " \\\n\t\t\t'*:command:_normal'");
	g_string_append(out, "\n\t\t;;\n");
}

static char *zsh_script(void)
{
	GString *out = g_string_new("#compdef polder\n# zsh completion for polder, made by 'polder completion zsh'\n\n"
				    "_polder_names() {\n"
				    "\tlocal -a names\n"
				    "\tnames=(${(f)\"$(POLDER_NO_START=1 polder \"$@\" --quiet 2>/dev/null)\"})\n"
				    "\tcompadd -a names\n"
				    "}\n\n"
				    "_polder() {\n\tlocal command\n\tlocal -a verbs\n"
				    "\tif (( CURRENT == 2 )); then\n\t\tverbs=(");

	zsh_describe(out, NULL);
	g_string_append(out, ")\n\t\t_describe command verbs\n\t\treturn\n\tfi\n"
			     "\tcommand=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n"
			     "\tcase $command in\n");
	for (const struct command *command = commands; command->verb; command++) {
		if (!begins_noun(command))
			continue;
		g_string_append_printf(out, "\t%s)\n\t\tif (( CURRENT == 2 )); then\n\t\t\tverbs=(", command->noun);
		zsh_describe(out, command->noun);
		g_string_append(out,
				")\n\t\t\t_describe verb verbs\n\t\t\treturn\n\t\tfi\n"
				"\t\tcommand=\"$command $words[2]\"\n\t\tshift words\n\t\t(( CURRENT-- ))\n\t\t;;\n");
	}
	g_string_append(out, "\tesac\n\tcase $command in\n");
	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *name = command_name(command);

		g_string_append_printf(out, "\t'%s')\n", name);
		zsh_command(out, command);
	}
	g_string_append(out, "\tesac\n}\n\nif [[ $funcstack[1] == _polder ]]; then\n\t_polder \"$@\"\nelse\n"
			     "\tcompdef _polder polder\nfi\n");
	return g_string_free(out, FALSE);
}

/* ---- fish ---- */

static char *fish_quote(const char *text)
{
	GString *out = g_string_new("'");

	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			g_string_append_c(out, '\\');
		g_string_append_c(out, *text);
	}
	g_string_append_c(out, '\'');
	return g_string_free(out, FALSE);
}

static void fish_action(GString *out, enum value_kind kind, const char *const *choices)
{
	g_autofree char *all = choices ? g_strjoinv(" ", (char **)choices) : NULL;

	if (all)
		g_string_append_printf(out, " -xa '%s'", all);
	else if (lister(kind))
		g_string_append_printf(out, " -xa '(POLDER_NO_START=1 polder %s --quiet 2>/dev/null)'", lister(kind));
	else if (kind == VALUE_DIRECTORY)
		g_string_append(out, " -xa '(__fish_complete_directories)'");
	else if (kind == VALUE_FILE)
		g_string_append(out, " -rF");
	else if (kind == VALUE_COMMAND) {
		g_autofree char *verbs = words(NULL);

		g_string_append_printf(out, " -xa '%s'", verbs);
	} else
		g_string_append(out, " -x");
}

static void fish_options(GString *out, const struct option *list, const char *condition)
{
	for (; list && list->name; list++) {
		g_autofree char *doc = fish_quote(list->doc);

		g_string_append_printf(out, "complete -c polder%s -l %s", condition, list->name);
		if (list->letter)
			g_string_append_printf(out, " -s %c", list->letter);
		if (list->value)
			fish_action(out, list->kind, list->choices);
		g_string_append_printf(out, " -d %s\n", doc);
	}
}

static char *fish_script(void)
{
	GString *out =
		g_string_new("# fish completion for polder, made by 'polder completion fish'\ncomplete -c polder -f\n");

	fish_options(out, global_options, "");
	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *doc = fish_quote(command->doc);
		g_autofree char *of_noun = command->noun ? words(command->noun) : NULL;
		g_autofree char *condition = NULL;

		if (begins_noun(command))
			g_string_append_printf(out, "complete -c polder -n __fish_use_subcommand -a %s -d '%s'\n",
					       command->noun, command->group);
		if (command->noun) {
			g_string_append_printf(out,
					       "complete -c polder -n '__fish_seen_subcommand_from %s; and not "
					       "__fish_seen_subcommand_from %s' -a %s -d %s\n",
					       command->noun, of_noun, command->verb, doc);
			condition = g_strdup_printf(
				" -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s'",
				command->noun, command->verb);
		} else {
			g_string_append_printf(out, "complete -c polder -n __fish_use_subcommand -a %s -d %s\n",
					       command->verb, doc);
			condition = g_strdup_printf(" -n '__fish_seen_subcommand_from %s'", command->verb);
		}
		fish_options(out, command->options, condition);
		if (command->argument.name) {
			g_string_append_printf(out, "complete -c polder%s", condition);
			fish_action(out, command->argument.kind, command->argument.choices);
			g_string_append_c(out, '\n');
		}
	}
	return g_string_free(out, FALSE);
}

char *completion_script(const char *shell)
{
	if (strcmp(shell, "zsh") == 0)
		return zsh_script();
	if (strcmp(shell, "fish") == 0)
		return fish_script();
	return bash_script();
}
