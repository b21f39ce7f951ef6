/* Invocations: what is understood, what is wrong usage, and what the person is told then. */
#include "cli/command.h"

#include <string.h>

#include "daemon/model/error.h"

static gboolean parse(struct invocation *invocation, const char *line, GError **error)
{
	/* The words live as long as the test. */
	char **argv = g_strsplit(line, " ", -1);

	g_test_queue_destroy((GDestroyNotify)g_strfreev, argv);
	return invocation_init(invocation, argv, error);
}

static void must(struct invocation *invocation, const char *line)
{
	g_autoptr(GError) error = NULL;

	parse(invocation, line, &error);
	g_assert_no_error(error);
}

static void must_refuse(const char *line, const char *says)
{
	g_autoptr(GError) error = NULL;
	struct invocation invocation;

	if (parse(&invocation, line, &error))
		g_error("accepted: %s", line);
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
	if (!strstr(error->message, says))
		g_error("'%s' lacks '%s'", error->message, says);
	g_assert_nonnull(strstr(error->message, "--help'"));
	g_assert_null(strchr(error->message, '\n'));
	invocation_clear(&invocation);
}

static void test_options_anywhere(void)
{
	static const char *const lines[] = {
		"polder run --memory 9999T tiny",
		"polder run tiny --memory 9999T",
		"polder run tiny --memory=9999T",
		"polder run tiny -m 9999T",
		"polder run tiny -m9999T",
		"polder run tiny --memory 9999T -- sh -c true",
		"polder --json run tiny --memory 9999T",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
		struct invocation invocation;

		must(&invocation, lines[i]);
		g_assert_cmpstr(invocation.command->verb, ==, "run");
		g_assert_cmpstr(invocation_option(&invocation, "memory"), ==, "9999T");
		g_assert_cmpstr(invocation_argument(&invocation, 0), ==, "tiny");
		g_assert_null(invocation_argument(&invocation, 1));
		invocation_clear(&invocation);
	}
}

static void test_tail(void)
{
	struct invocation invocation;

	must(&invocation, "polder exec web -it -- ls --help -- x");
	g_assert_true(invocation_flag(&invocation, "interactive"));
	g_assert_true(invocation_flag(&invocation, "tty"));
	g_assert_false(invocation.help);
	g_assert_cmpstr(invocation.tail[0], ==, "ls");
	g_assert_cmpuint(g_strv_length(invocation.tail), ==, 4);
	invocation_clear(&invocation);
}

static void test_repeated(void)
{
	struct invocation invocation;
	g_autofree const char **ports = NULL;

	must(&invocation, "polder run -p 80:80 tiny --publish=81:81 -p82:82");
	ports = invocation_options(&invocation, "publish");
	g_assert_cmpuint(g_strv_length((char **)ports), ==, 3);
	g_assert_cmpstr(ports[2], ==, "82:82");
	invocation_clear(&invocation);
}

static void test_nouns(void)
{
	struct invocation invocation;

	must(&invocation, "polder host show");
	g_assert_cmpstr(invocation.command->noun, ==, "host");
	g_assert_cmpstr(invocation.command->verb, ==, "show");
	invocation_clear(&invocation);
	must(&invocation, "polder image show tiny --json");
	g_assert_cmpstr(invocation.command->noun, ==, "image");
	g_assert_true(invocation_flag(&invocation, "json"));
	invocation_clear(&invocation);
	must(&invocation, "polder host --help");
	g_assert_true(invocation.help);
	g_assert_cmpstr(invocation.noun, ==, "host");
	invocation_clear(&invocation);
	must(&invocation, "polder --version");
	g_assert_true(invocation.version);
	invocation_clear(&invocation);
}

static void test_wrong_usage(void)
{
	must_refuse("polder", "no command");
	must_refuse("polder rnu", "'run'");
	must_refuse("polder hots", "'host'");
	must_refuse("polder xyzzy", "xyzzy");
	must_refuse("polder host", "needs a verb");
	must_refuse("polder host shwo", "'show'");
	must_refuse("polder run", "IMAGE is missing");
	must_refuse("polder run tiny --memroy 5", "--memory");
	must_refuse("polder run tiny --memory", "needs a SIZE");
	must_refuse("polder run tiny -m", "needs a SIZE");
	must_refuse("polder run tiny -Z", "-Z");
	must_refuse("polder run tiny --memory 1G --memory 2G", "twice");
	must_refuse("polder run tiny --detach=yes", "no value");
	must_refuse("polder run tiny --restart sometimes", "never, on-failure, always");
	must_refuse("polder run tiny uname -a", "-- uname");
	must_refuse("polder exec web ls -l", "-- ls");
	must_refuse("polder exec web", "after --");
	must_refuse("polder run tiny --", "must follow");
	must_refuse("polder ps extra", "too many");
	must_refuse("polder ps -- ls", "takes no command");
	must_refuse("polder show a b", "too many");
	must_refuse("polder completion tcsh", "bash, zsh, fish");
}

static void test_nearest(void)
{
	static const char *const words[] = { "run", "resume", "rm", "pause", NULL };

	g_assert_cmpstr(nearest("rusume", words), ==, "resume");
	g_assert_cmpstr(nearest("puase", words), ==, "pause");
	g_assert_cmpstr(nearest("rn", words), ==, "run");
	g_assert_null(nearest("frobnicate", words));
	g_assert_null(nearest("a-word-that-is-longer-than-any-command-could-be", words));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/command/options-anywhere", test_options_anywhere);
	g_test_add_func("/command/tail", test_tail);
	g_test_add_func("/command/repeated", test_repeated);
	g_test_add_func("/command/nouns", test_nouns);
	g_test_add_func("/command/wrong-usage", test_wrong_usage);
	g_test_add_func("/command/nearest", test_nearest);
	return g_test_run();
}
