/* The terminal is as before, whichever way the process ends. */
#include "cli/terminal.h"

#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static gboolean is_raw(int fd)
{
	struct termios state;

	g_assert_cmpint(tcgetattr(fd, &state), ==, 0);
	return !(state.c_lflag & (ICANON | ECHO | ISIG));
}

static void open_terminal(int *main_fd, int *fd)
{
	struct winsize size = { .ws_row = 33, .ws_col = 101 };

	g_assert_cmpint(openpty(main_fd, fd, NULL, NULL, &size), ==, 0);
	g_assert_false(is_raw(*fd));
}

static void test_restore(void)
{
	int main_fd, fd;
	guint rows, columns;

	open_terminal(&main_fd, &fd);
	g_assert_true(terminal_size(fd, &rows, &columns));
	g_assert_cmpuint(rows, ==, 33);
	g_assert_cmpuint(columns, ==, 101);
	g_assert_true(terminal_raw(fd));
	g_assert_true(is_raw(fd));
	terminal_restore();
	g_assert_false(is_raw(fd));
	terminal_restore();
	close(fd);
	close(main_fd);
}

static void test_no_terminal(void)
{
	guint rows, columns;
	int fds[2];

	g_assert_cmpint(pipe(fds), ==, 0);
	g_assert_false(terminal_raw(fds[0]));
	g_assert_false(terminal_size(fds[0], &rows, &columns));
	g_assert_cmpuint(rows, ==, 24);
	g_assert_cmpuint(columns, ==, 80);
	close(fds[0]);
	close(fds[1]);
}

/* A child makes the terminal raw and ends by `number` (0: by exit). */
static void end_by(int number)
{
	int main_fd, fd, status;
	pid_t pid;

	open_terminal(&main_fd, &fd);
	pid = fork();
	if (pid == 0) {
		signal(number ? number : SIGTERM, SIG_DFL);
		if (!terminal_raw(fd) || !is_raw(fd))
			_exit(99);
		if (number)
			raise(number);
		exit(0);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	if (number)
		g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == number);
	else
		g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	g_assert_false(is_raw(fd));
	close(fd);
	close(main_fd);
}

static void test_every_end(void)
{
	static const int signals[] = { 0, SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGALRM };

	for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
		end_by(signals[i]);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/terminal/restore", test_restore);
	g_test_add_func("/terminal/no-terminal", test_no_terminal);
	g_test_add_func("/terminal/every-end", test_every_end);
	return g_test_run();
}
