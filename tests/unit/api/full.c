/* Goal: on a full disk writes are refused with 507 and what to do; what was there stays, and room makes it work again. */
#include "tests/unit/api/fixture.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define CREATES_MAX 400u /* the write-ahead log may have room of its own for some */

static void fill(const char *path)
{
	static const char zeros[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	g_assert_cmpint(fd, >=, 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
}

static void test_full(void)
{
	g_autofree char *parent = g_dir_make_tmp("polder-full-XXXXXX", NULL);
	g_autofree char *filler = g_build_filename(parent, "filler", NULL);
	const struct fixture_options options = { .parent = parent };
	g_autoptr(JsonObject) kept = NULL, still = NULL, problem = NULL, after = NULL;
	struct fixture fixture;
	guint status = 201;

	/* A mount that only this process sees. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("polder-test", parent, "tmpfs", 0, "size=2m") < 0) {
		g_rmdir(parent);
		g_test_skip("mounting a small file system needs root");
		return;
	}
	fixture_init_with(&fixture, &options);
	fixture.hold_statuses = TRUE; /* the only writes are the API's and control's */
	kept = http_expect(&fixture, "POST /v1/vms", "{\"name\":\"kept\",\"image\":\"tiny\",\"engine\":\"sim\"}", 201,
			   NULL);
	fill(filler);
	for (guint i = 0; i < CREATES_MAX && status != 507; i++) {
		g_autoptr(JsonNode) answer =
			http(&fixture, "POST", "/v1/images", "{\"name\":\"x\",\"firmware\":\"/rom\"}", &status);

		if (status == 507)
			problem = json_node_dup_object(answer);
		else
			g_assert_true(status == 201 || status == 409);
		if (status == 201) {
			g_autoptr(JsonNode) removed = http(&fixture, "DELETE", "/v1/images/x", NULL, &status);

			if (status == 507)
				problem = json_node_dup_object(removed);
		}
	}
	g_assert_cmpuint(status, ==, 507);
	g_assert_cmpstr(json_object_get_string_member(problem, "code"), ==, "storage-full");
	g_assert_nonnull(strstr(json_object_get_string_member(problem, "detail"), "make room"));
	still = http_expect(&fixture, "GET /v1/vms/kept", NULL, 200, NULL);
	g_assert_cmpint(g_unlink(filler), ==, 0);
	after = http_expect(&fixture, "POST /v1/vms", "{\"name\":\"after\",\"image\":\"tiny\",\"engine\":\"sim\"}", 201,
			    NULL);
	fixture_clear(&fixture);
	g_assert_cmpint(umount(parent), ==, 0);
	g_assert_cmpint(g_rmdir(parent), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/full", test_full);
	return g_test_run();
}
