#include "guest/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRONMENT_MAX 512

enum stage { STAGE_SETUP, STAGE_CHDIR, STAGE_EXEC };
struct failure {
	enum stage stage;
	int error;
};

bool process_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC) == 0)
		return true;
	fds[0] = fds[1] = -1;
	return false;
}

void process_unblock(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void process_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The defaults, overridden and extended by `more`. */
static void build_environment(char **environment, char *const *more)
{
	static const char *const defaults[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "SHELL=/bin/sh", "TERM=linux", NULL
	};
	size_t count = 0;

	for (size_t i = 0; defaults[i]; i++) {
		size_t name = strcspn(defaults[i], "=") + 1;
		bool given = false;
		for (size_t k = 0; more && more[k]; k++)
			given = given || !strncmp(more[k], defaults[i], name);
		if (!given)
			environment[count++] = (char *)defaults[i];
	}
	for (size_t k = 0; more && more[k] && count < ENVIRONMENT_MAX - 1; k++)
		environment[count++] = more[k];
	environment[count] = NULL;
}

/* Above every descriptor we are about to overwrite. */
static bool place_stdio(const int from[3])
{
	int high[3];

	for (int i = 0; i < 3; i++) {
		high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 10);
		if (high[i] < 0)
			return false;
	}
	for (int i = 0; i < 3; i++)
		if (dup2(high[i], i) < 0)
			return false;
	return true;
}

static void reset_signals(void)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &plain, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_main(const struct process_config *config, char **environment, int report)
{
	struct failure failure = { STAGE_SETUP, 0 };

	reset_signals();
	setsid();
	report = fcntl(report, F_DUPFD_CLOEXEC, 20);
	if (!place_stdio(config->stdio) || (config->tty && ioctl(0, TIOCSCTTY, 0) < 0))
		goto failed;
	failure.stage = STAGE_CHDIR;
	if (chdir(config->cwd ? config->cwd : "/") < 0)
		goto failed;
	failure.stage = STAGE_EXEC;
	environ = environment;
	execvp(config->argv[0], config->argv);
failed:
	failure.error = errno;
	_exit(write(report, &failure, sizeof(failure)) == sizeof(failure) ? 127 : 126);
}

static void describe(const struct process_config *config, const struct failure *failure, char *error, size_t bytes)
{
	const char *what =
		failure->stage == STAGE_EXEC && failure->error == ENOENT ? "not found" : strerror(failure->error);

	snprintf(error, bytes, "%s%s: %s", failure->stage == STAGE_CHDIR ? "working directory " : "",
		 failure->stage == STAGE_CHDIR ? config->cwd : config->argv[0], what);
}

pid_t process_spawn(const struct process_config *config, char *error, size_t error_bytes)
{
	char *environment[ENVIRONMENT_MAX];
	struct failure failure;
	int report[2];

	build_environment(environment, config->env);
	if (!process_pipe(report)) {
		snprintf(error, error_bytes, "%s: pipe: %s", config->argv[0], strerror(errno));
		return -1;
	}
	pid_t pid = fork();
	if (pid == 0)
		child_main(config, environment, report[1]);
	if (pid < 0)
		snprintf(error, error_bytes, "%s: fork: %s", config->argv[0], strerror(errno));
	close(report[1]);
	ssize_t got = 0;
	if (pid > 0)
		do
			got = read(report[0], &failure, sizeof(failure));
		while (got < 0 && errno == EINTR);
	close(report[0]);
	if (got == sizeof(failure)) {
		waitpid(pid, NULL, 0);
		describe(config, &failure, error, error_bytes);
		return -1;
	}
	return pid;
}
