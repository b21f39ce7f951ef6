#include "cli/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t raw_fd = -1;

gboolean terminal_size(int fd, guint *rows, guint *columns)
{
	struct winsize size;

	*rows = 24;
	*columns = 80;
	if (ioctl(fd, TIOCGWINSZ, &size) != 0 || !size.ws_row || !size.ws_col)
		return FALSE;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return TRUE;
}

/* Also called in signal handlers: tcsetattr() is safe there. */
void terminal_restore(void)
{
	int fd = raw_fd;

	if (fd < 0)
		return;
	raw_fd = -1;
	tcsetattr(fd, TCSADRAIN, &saved);
}

static void restore_and_die(int number)
{
	terminal_restore();
	/* SA_RESETHAND gave the default action back. */
	raise(number);
}

/* What somebody handles or ignores already stays his; the event loop's handlers lead to an orderly end of their own. */
static void catch_fatal_signals(void)
{
	static const int fatal[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS,
				     SIGFPE, SIGILL, SIGPIPE, SIGALRM, SIGXCPU, SIGSYS };
	struct sigaction action = { .sa_handler = restore_and_die, .sa_flags = SA_RESETHAND | SA_NODEFER };
	struct sigaction old;

	for (gsize i = 0; i < G_N_ELEMENTS(fatal); i++)
		if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(fatal[i], &action, NULL);
}

gboolean terminal_raw(int fd)
{
	static gboolean at_exit;
	struct termios raw;

	if (tcgetattr(fd, &saved) != 0)
		return FALSE;
	catch_fatal_signals();
	if (!at_exit)
		atexit(terminal_restore);
	at_exit = TRUE;
	raw = saved;
	cfmakeraw(&raw);
	raw_fd = fd;
	if (tcsetattr(fd, TCSADRAIN, &raw) != 0) {
		raw_fd = -1;
		return FALSE;
	}
	return TRUE;
}
