/* The error table: complete, names unique, unknown codes harmless. */
#include "daemon/model/error.h"

#include <gio/gio.h>

static void test_table(void)
{
	for (int code = 0; code < POLDER_ERROR_COUNT; code++) {
		const struct polder_error_info *info = polder_error_info(code);

		g_assert_nonnull(info->name);
		g_assert_nonnull(info->title);
		g_assert_cmpint(info->http_status, >=, 400);
		g_assert_cmpint(info->http_status, <, 600);
		g_assert_cmpint(info->exit_status, >=, 1);
		g_assert_cmpint(info->exit_status, <=, 4);
		g_assert_cmpint(polder_error_from_name(info->name), ==, code);
	}
	g_assert_true(polder_error_info(-1) == polder_error_info(POLDER_ERROR_FAILED));
	g_assert_true(polder_error_info(POLDER_ERROR_COUNT) == polder_error_info(POLDER_ERROR_FAILED));
	g_assert_cmpint(polder_error_from_name(NULL), ==, POLDER_ERROR_FAILED);
	g_assert_cmpint(polder_error_from_name("nonsense"), ==, POLDER_ERROR_FAILED);
}

static void test_exit_status(void)
{
	g_autoptr(GError) missing = g_error_new(POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "x");
	g_autoptr(GError) full = g_error_new(POLDER_ERROR, POLDER_ERROR_NO_CAPACITY, "x");
	g_autoptr(GError) foreign = g_error_new(G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "x");

	g_assert_cmpint(polder_error_exit_status(missing), ==, 3);
	g_assert_cmpint(polder_error_exit_status(full), ==, 4);
	g_assert_cmpint(polder_error_exit_status(foreign), ==, 1);
	g_assert_cmpint(polder_error_exit_status(NULL), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/error/table", test_table);
	g_test_add_func("/error/exit-status", test_exit_status);
	return g_test_run();
}
