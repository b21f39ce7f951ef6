#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FD_ABOVE 64 /* beyond every fixed number, so that moving one fd can't overwrite another */

static bool capabilities_keep(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	for (unsigned i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = (uint32_t)(keep >> (32 * i));
	return syscall(SYS_capset, &header, data) == 0;
}

bool privileges_drop(void)
{
	uint64_t keep = 0;

	if (geteuid() == 0) {
		keep = 1ull << CAP_KILL;
		for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
			if (cap != CAP_KILL)
				prctl(PR_CAPBSET_DROP, cap);
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (capabilities_keep(keep))
		return true;
	complain(errno, "drop capabilities");
	return false;
}

static bool become_user(const struct options *options)
{
	if (geteuid() != 0 || !options->has_ids)
		return true;
	return setgroups(options->has_kvm_gid ? 1 : 0, &options->kvm_gid) == 0 &&
	       setresgid(options->gid, options->gid, options->gid) == 0 &&
	       setresuid(options->uid, options->uid, options->uid) == 0;
}

static bool place_fds(const int fds[CHILD_FDS], int error_fd)
{
	int high[CHILD_FDS];

	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(error_fd, 1) < 0 || dup2(error_fd, 2) < 0)
		return false;
	for (int i = 0; i < CHILD_FDS; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_ABOVE);
		if (high[i] < 0)
			return false;
	}
	for (int i = 0; i < CHILD_FDS; i++)
		if (dup2(high[i], CHILD_FD_FIRST + i) < 0)
			return false;
	return true;
}

/* In the child: never returns. What fails is written to report_fd, which closes by itself when the program starts. */
static void execute(const struct options *options, const int fds[CHILD_FDS], int error_fd, int report_fd, pid_t parent)
{
	struct rlimit no_core = { 0, 0 };
	sigset_t none;
	const char *step = "move its file descriptors";

	/* Both may sit where place_fds() puts QEMU's. */
	error_fd = fcntl(error_fd, F_DUPFD_CLOEXEC, FD_ABOVE);
	report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, FD_ABOVE);
	if (error_fd < 0 || report_fd < 0 || !place_fds(fds, error_fd))
		goto failed;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	setpgid(0, 0);
	setrlimit(RLIMIT_CORE, &no_core); /* a core holds the guest's memory */
	step = "take its user and group";
	if (!become_user(options))
		goto failed;
	step = "set no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		goto failed;
	/* Changing the uid clears this, so it comes last; a parent that died before is noticed by hand. */
	step = "ask to die with its parent";
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		goto failed;
	step = "execute";
	execvp(options->child_argv[0], options->child_argv);
failed:
	dprintf(report_fd, "%s %s: %s", step, options->child_argv[0], strerror(errno));
	_exit(127);
}

bool child_start(struct child *child, const struct options *options, const int fds[CHILD_FDS])
{
	int error_pipe[2], report_pipe[2];
	char report[300];
	ssize_t n;

	memset(child, 0, sizeof(*child));
	if (pipe2(error_pipe, O_CLOEXEC) < 0 || pipe2(report_pipe, O_CLOEXEC) < 0) {
		complain(errno, "make a pipe");
		return false;
	}
	pid_t self = getpid();
	child->pid = fork();
	if (child->pid < 0) {
		complain(errno, "fork");
		return false;
	}
	if (child->pid == 0)
		execute(options, fds, error_pipe[1], report_pipe[1], self);
	close(error_pipe[1]);
	close(report_pipe[1]);
	child->error_fd = error_pipe[0];
	fcntl(child->error_fd, F_SETFL, O_NONBLOCK);
	while ((n = read(report_pipe[0], report, sizeof(report) - 1)) < 0 && errno == EINTR)
		continue;
	close(report_pipe[0]);
	if (n == 0)
		return true;
	report[n > 0 ? n : 0] = '\0';
	complain(0, "%s", report);
	return false;
}

void child_read_errors(struct child *child)
{
	char data[1024];
	ssize_t n = read(child->error_fd, data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(child->error_fd);
		child->error_fd = -1;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		child->errors[child->errors_next] = data[i];
		child->errors_next = (child->errors_next + 1) % CHILD_ERROR_BYTES;
	}
	child->errors_bytes += (size_t)n;
	if (child->errors_bytes > CHILD_ERROR_BYTES)
		child->errors_bytes = CHILD_ERROR_BYTES;
}

void child_last_line(const struct child *child, char line[CHILD_LAST_LINE_BYTES])
{
	size_t bytes = 0, start = CHILD_ERROR_BYTES + child->errors_next - child->errors_bytes;
	bool ended = false;

	for (size_t i = 0; i < child->errors_bytes; i++) {
		unsigned char c = (unsigned char)child->errors[(start + i) % CHILD_ERROR_BYTES];
		if (c == '\n' || c == '\r') {
			ended = true;
			continue;
		}
		if (ended)
			bytes = 0;
		ended = false;
		if (bytes < CHILD_LAST_LINE_BYTES - 1)
			line[bytes++] = c >= ' ' && c < 0x7f ? (char)c : '?';
	}
	line[bytes] = '\0';
}
