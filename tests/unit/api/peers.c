/* Goal: only root, who started the daemon, and the members of its group are served; others read why not. */
#include "tests/unit/api/fixture.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER 0x6fff0001u
#define GROUP    0x6fff0002u

/* In a child that has given up being root: ask, and copy what is answered to `out`. */
static void G_GNUC_NORETURN ask(const struct sockaddr_un *address, gid_t primary, const gid_t *more, int out)
{
	static const char request[] = "GET /v1/vms HTTP/1.1\r\nHost: x\r\n\r\n";
	char buffer[4096];
	ssize_t got;
	int fd;

	if (setgroups(more ? 1 : 0, more) < 0 || setresgid(primary, primary, primary) < 0 ||
	    setresuid(STRANGER, STRANGER, STRANGER) < 0)
		_exit(10);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		_exit(100 + errno % 100); /* for who reads the failed assertion */
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		_exit(12);
	while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		if (write(out, buffer, (gsize)got) != got)
			_exit(13);
	}
	_exit(0);
}

static void assert_answer(struct fixture *fixture, gid_t primary, const gid_t *more, const char *status,
			  const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char buffer[4096] = "";
	int report[2], result = 0;
	gsize bytes = 0;
	pid_t pid;

	g_strlcpy(address.sun_path, fixture->dirs.socket, sizeof(address.sun_path));
	g_assert_cmpint(pipe(report), ==, 0);
	pid = fork();
	if (pid == 0)
		ask(&address, primary, more, report[1]);
	g_assert_cmpint(pid, >, 0);
	close(report[1]);
	fixture_wait(waitpid(pid, &result, WNOHANG) == pid);
	g_assert_cmpint(result, ==, 0);
	for (ssize_t got; (got = read(report[0], buffer + bytes, sizeof(buffer) - 1 - bytes)) > 0;)
		bytes += (gsize)got;
	close(report[0]);
	if (!g_str_has_prefix(buffer, status) || !strstr(buffer, text))
		g_test_message("instead of %s: %s", status, buffer);
	g_assert_true(g_str_has_prefix(buffer, status));
	g_assert_nonnull(strstr(buffer, text));
}

static void test_peers(void)
{
	const struct fixture_options options = { .group_gid = GROUP };
	const gid_t group = GROUP, other = GROUP + 1;
	struct fixture fixture;
	g_autoptr(JsonObject) mine = NULL;

	if (geteuid() != 0) {
		g_test_skip("becoming another user needs root");
		return;
	}
	fixture_init_with(&fixture, &options);
	/* As if the socket were open to everyone: only the check is left. */
	g_assert_cmpint(chmod(fixture.dir, 0711), ==, 0);
	g_assert_cmpint(chmod(fixture.dirs.run, 0711), ==, 0);
	g_assert_cmpint(chmod(fixture.dirs.socket, 0666), ==, 0);
	mine = http_expect(&fixture, "GET /v1/vms", NULL, 200, NULL);
	assert_answer(&fixture, STRANGER, NULL, "HTTP/1.1 403", "user 1878982657 may not use this daemon");
	assert_answer(&fixture, STRANGER, &other, "HTTP/1.1 403", "\"code\":\"denied\"");
	assert_answer(&fixture, GROUP, NULL, "HTTP/1.1 200", "\"vms\":[]");
	assert_answer(&fixture, STRANGER, &group, "HTTP/1.1 200", "\"vms\":[]");
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/peers", test_peers);
	return g_test_run();
}
