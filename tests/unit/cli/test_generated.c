/* Help, manual pages and completion are in step with the command table: every command and option is in each of them, and
 * the shells take what they are given. */
#include "cli/command.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_contains(const char *text, const char *what)
{
	if (!strstr(text, what))
		g_error("'%s' is not in: %s", what, text);
}

static void test_table(void)
{
	for (const struct command *command = commands; command->verb; command++) {
		g_assert_true(command_find(command->noun, command->verb) == command);
		g_assert_nonnull(command->carry_out);
		g_assert_nonnull(command->group);
		g_assert_false(g_str_has_suffix(command->doc, "."));
		g_assert_true(g_str_has_suffix(command->help, "."));
		g_assert_true(!command->argument.name == !command->argument.max);
		/* A word is a noun or a verb, never both. */
		g_assert_true(command->noun || !command_is_noun(command->verb));
		for (const struct option *option = command->options; option && option->name; option++) {
			g_assert_true(g_str_has_suffix(option->doc, "."));
			g_assert_true((option->kind == VALUE_CHOICE) == (option->choices != NULL));
			for (const struct option *global = global_options; global->name; global++) {
				g_assert_cmpstr(option->name, !=, global->name);
				g_assert_true(!option->letter || option->letter != global->letter);
			}
			for (const struct option *other = command->options; other != option; other++) {
				g_assert_cmpstr(option->name, !=, other->name);
				g_assert_true(!option->letter || option->letter != other->letter);
			}
		}
	}
}

static void test_help(void)
{
	g_autofree char *overview = help_overview();

	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *name = command_name(command);
		g_autofree char *line = g_strdup_printf("\n  %s ", name);
		g_autofree char *text = help_command(command);
		g_autofree char *synopsis = command_synopsis(command);
		g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

		assert_contains(overview, line);
		assert_contains(overview, command->doc);
		assert_contains(text, synopsis);
		for (const struct option *option = command->options; option && option->name; option++) {
			g_autofree char *shown = g_strdup_printf("--%s", option->name);

			assert_contains(text, shown);
		}
		for (char **at = lines; *at; at++)
			g_assert_cmpint(g_utf8_strlen(*at, -1), <=, 100);
		if (command->noun) {
			g_autofree char *noun = help_noun(command->noun);

			assert_contains(noun, command->doc);
		}
	}
}

static void test_man(void)
{
	g_autofree char *all = man_page(NULL);

	g_assert_true(g_str_has_prefix(all, ".TH \"POLDER\" 1"));
	for (const struct command *command = commands; command->verb; command++) {
		g_autofree char *page = man_page(command);
		g_autofree char *name = command_name(command);
		g_autofree char *heading = g_strdup_printf(".SS \"polder %s", name);

		assert_contains(all, heading);
		assert_contains(page, ".SH SYNOPSIS");
		for (const struct option *option = command->options; option && option->name; option++) {
			g_autofree char *shown = g_strdup_printf("\\-\\-%s", option->name);
			g_auto(GStrv) parts = g_strsplit(option->name, "-", -1);
			g_autofree char *joined = g_strjoinv("\\-", parts);
			g_autofree char *escaped = g_strdup_printf("\\-\\-%s", joined);

			assert_contains(all, escaped);
			assert_contains(page, escaped);
		}
	}
}

static void test_completion_complete(void)
{
	static const char *const shells[] = { "bash", "zsh", "fish" };

	for (gsize i = 0; i < G_N_ELEMENTS(shells); i++) {
		g_autofree char *script = completion_script(shells[i]);

		for (const struct command *command = commands; command->verb; command++) {
			assert_contains(script, command->verb);
			for (const struct option *option = command->options; option && option->name; option++)
				assert_contains(script, option->name);
		}
	}
}

/* Ask bash itself what it would offer for `line` (its last word is being typed). Caller frees. */
static char *bash_offers(const char *script_path, const char *line)
{
	g_autofree char *code = g_strdup_printf("source %s; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
						"_polder; echo \" ${COMPREPLY[*]} \"",
						script_path, line);
	const char *argv[] = { "bash", "--norc", "-c", code, NULL };
	g_autoptr(GError) error = NULL;
	char *output = NULL;
	int status;

	g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, &status, &error);
	g_assert_no_error(error);
	g_assert_cmpint(status, ==, 0);
	return output;
}

static void test_bash(void)
{
	static const struct {
		const char *line, *offered;
	} cases[] = {
		{ "polder ru", " run " },
		{ "polder ''", " image " },
		{ "polder host ''", " ls show " },
		{ "polder run --mem", " --memory " },
		{ "polder run --restart ''", " never on-failure always " },
		{ "polder run --memory 1G tiny --pub", " --publish " },
		{ "polder --socket x host sh", " show " },
		{ "polder completion ''", " bash zsh fish " },
		{ "polder stop --ti", " --timeout " },
	};
	g_autofree char *path = g_build_filename(g_get_tmp_dir(), "polder-completion-XXXXXX", NULL);
	g_autofree char *script = completion_script("bash");
	g_autofree char *bash = g_find_program_in_path("bash");
	int fd;

	if (!bash) {
		g_test_skip("no bash");
		return;
	}
	fd = g_mkstemp(path);
	g_close(fd, NULL);
	g_assert_true(g_file_set_contents(path, script, -1, NULL));
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *offers = bash_offers(path, cases[i].line);

		if (!strstr(offers, cases[i].offered))
			g_error("for '%s' bash offers '%s', not '%s'", cases[i].line, offers, cases[i].offered);
	}
	g_unlink(path);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/generated/table", test_table);
	g_test_add_func("/generated/help", test_help);
	g_test_add_func("/generated/man", test_man);
	g_test_add_func("/generated/completion", test_completion_complete);
	g_test_add_func("/generated/bash", test_bash);
	return g_test_run();
}
