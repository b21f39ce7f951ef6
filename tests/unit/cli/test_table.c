/* Columns line up, and nothing a guest wrote reaches the terminal as a command. */
#include "cli/table.h"

#include <string.h>
#include <unistd.h>

#include "cli/progress.h"

static const char *const headings[] = { "NAME", "STATE", "REASON", NULL };

static void test_aligned(void)
{
	struct table *table = table_new(headings);
	g_autofree char *text = NULL;

	table_add(table, (const char *const[]) { "web", "running", "-" });
	table_add(table, (const char *const[]) { "a-longer-name", "off", "why" });
	text = table_render(table, 0);
	g_assert_cmpstr(text, ==,
			"NAME           STATE    REASON\n"
			"web            running  -\n"
			"a-longer-name  off      why\n");
	table_free(table);
}

static void test_cut(void)
{
	struct table *table = table_new(headings);
	g_autofree char *text = NULL;

	table_add(table, (const char *const[]) { "web", "running", "a very long reason" });
	text = table_render(table, 16);
	g_assert_cmpstr(text, ==, "NAME  STATE    R\nweb   running  a\n");
	table_free(table);
}

static void test_wide_characters(void)
{
	struct table *table = table_new((const char *const[]) { "A", "B", NULL });
	g_autofree char *text = NULL;

	table_add(table, (const char *const[]) { "日本", "x" });
	table_add(table, (const char *const[]) { "é", "y" });
	text = table_render(table, 0);
	g_assert_cmpstr(text, ==, "A     B\n日本  x\né     y\n");
	table_free(table);
}

static void test_printable(void)
{
	g_autofree char *escape = text_printable("a\x1b[2Jb\nc\rd\x07");
	g_autofree char *invalid = text_printable("\xff\xfe!");

	g_assert_cmpstr(escape, ==, "a?[2Jb?c?d?");
	g_assert_true(g_utf8_validate(invalid, -1, NULL));
	g_assert_true(g_str_has_suffix(invalid, "!"));
}

static char *drain(int fd)
{
	char buffer[4096];
	ssize_t got = read(fd, buffer, sizeof(buffer) - 1);

	g_assert_cmpint(got, >=, 0);
	buffer[got] = '\0';
	return g_strdup(buffer);
}

static void test_plain_progress(void)
{
	struct progress *progress;
	g_autofree char *text = NULL;
	int pipe_fds[2];

	g_assert_cmpint(pipe(pipe_fds), ==, 0);
	progress = progress_new(pipe_fds[1], "Building", 0);
	progress_update(progress, 5, "kernel");
	progress_update(progress, 10, "kernel");
	progress_update(progress, 50, "modules\x1b");
	progress_free(progress);
	close(pipe_fds[1]);
	text = drain(pipe_fds[0]);
	g_assert_cmpstr(text, ==, "Building: kernel (5%)\nBuilding: modules? (50%)\n");
	close(pipe_fds[0]);
}

/* A count gets a line for each ten in a hundred, not one for each step. */
static void test_counting_progress(void)
{
	struct progress *progress;
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	int pipe_fds[2];

	g_assert_cmpint(pipe(pipe_fds), ==, 0);
	progress = progress_new(pipe_fds[1], "Evaluating", 0);
	for (int i = 1; i <= 200; i++) {
		g_autofree char *step = g_strdup_printf("%d of 200", i);

		progress_update(progress, i / 2, step);
	}
	progress_free(progress);
	close(pipe_fds[1]);
	text = drain(pipe_fds[0]);
	lines = g_strsplit(text, "\n", -1);
	g_assert_cmpstr(lines[0], ==, "Evaluating: 1 of 200 (0%)");
	g_assert_cmpstr(lines[1], ==, "Evaluating: 20 of 200 (10%)");
	g_assert_cmpuint(g_strv_length(lines), ==, 12); /* the last is empty */
	close(pipe_fds[0]);
}

static void test_quick_is_silent(void)
{
	struct progress *progress;
	g_autofree char *text = NULL;
	int pipe_fds[2];

	g_assert_cmpint(pipe(pipe_fds), ==, 0);
	progress = progress_new(pipe_fds[1], "Building", 3600000);
	progress_update(progress, 5, "kernel");
	progress_free(progress);
	close(pipe_fds[1]);
	text = drain(pipe_fds[0]);
	g_assert_cmpstr(text, ==, "");
	close(pipe_fds[0]);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/table/aligned", test_aligned);
	g_test_add_func("/table/cut", test_cut);
	g_test_add_func("/table/wide-characters", test_wide_characters);
	g_test_add_func("/table/printable", test_printable);
	g_test_add_func("/progress/plain", test_plain_progress);
	g_test_add_func("/progress/counting-progress", test_counting_progress);
	g_test_add_func("/progress/quick-is-silent", test_quick_is_silent);
	return g_test_run();
}
