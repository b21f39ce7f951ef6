/* guest-exec and guest-exec-status: start a program, collect what it prints, tell how it ended. */
#include "guest/qga_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/process.h"

#define EXECS_MAX         64     /* running, or ended and not yet asked for */
#define CAPTURE_BYTES_MAX 262144 /* of each of stdout and stderr: both as base64 fit one reply */
#define ARGUMENTS_MAX     256

struct capture {
	int fd;
	struct watch *watch;
	struct buffer bytes;
	bool truncated;
};

struct exec {
	struct exec *next;
	struct qga_execs *execs;
	pid_t pid;
	bool ended;
	int status; /* 0–255, or 128 + signal */
	struct capture out, err;
	int in_fd;
	struct watch *in_watch;
	struct buffer input;
};

struct qga_execs {
	struct exec *first; /* newest first */
	unsigned count;
};

struct qga_execs *qga_execs_new(void)
{
	return calloc(1, sizeof(struct qga_execs));
}

static void capture_close(struct capture *capture)
{
	loop_unwatch(capture->watch);
	capture->watch = NULL;
	process_close(&capture->fd);
}

static void input_close(struct exec *exec)
{
	loop_unwatch(exec->in_watch);
	exec->in_watch = NULL;
	process_close(&exec->in_fd);
	buffer_clear(&exec->input);
}

static void exec_free(struct exec *exec)
{
	for (struct exec **at = &exec->execs->first; *at; at = &(*at)->next) {
		if (*at != exec)
			continue;
		*at = exec->next;
		exec->execs->count--;
		break;
	}
	capture_close(&exec->out);
	capture_close(&exec->err);
	buffer_clear(&exec->out.bytes);
	buffer_clear(&exec->err.bytes);
	input_close(exec);
	free(exec);
}

void qga_execs_free(struct qga_execs *execs, struct loop *loop)
{
	while (execs && execs->first) {
		struct exec *exec = execs->first;
		if (!exec->ended) {
			kill(-exec->pid, SIGKILL);
			loop_unchild(loop, exec->pid);
		}
		exec_free(exec);
	}
	free(execs);
}

/* Read what is there; false once there will be no more. */
static bool capture_read(struct capture *capture)
{
	static char bytes[16384];

	for (;;) {
		ssize_t count = read(capture->fd, bytes, sizeof(bytes));
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count < 0 && errno == EAGAIN;
		size_t room = CAPTURE_BYTES_MAX - buffer_bytes(&capture->bytes);
		size_t kept = (size_t)count < room ? (size_t)count : room;
		buffer_append(&capture->bytes, bytes, kept);
		capture->truncated = capture->truncated || kept < (size_t)count;
		if ((size_t)count < sizeof(bytes))
			return true;
	}
}

static void capture_ready(void *data, short revents)
{
	struct capture *capture = data;

	if (!capture_read(capture))
		capture_close(capture);
}

static void input_ready(void *data, short revents)
{
	struct exec *exec = data;

	if (buffer_write(&exec->input, exec->in_fd) < 0 || !buffer_bytes(&exec->input))
		input_close(exec);
}

/* What it wrote before its end is in the pipes by now. What a grandchild may still write is not waited for. */
static void exec_ended(void *data, pid_t pid, int status)
{
	struct exec *exec = data;

	exec->ended = true;
	exec->status = status;
	if (exec->out.fd >= 0)
		capture_read(&exec->out);
	if (exec->err.fd >= 0)
		capture_read(&exec->err);
	capture_close(&exec->out);
	capture_close(&exec->err);
	input_close(exec);
}

/* Make room by forgetting the oldest that has ended and nobody asked for. */
static bool execs_make_room(struct qga_execs *execs)
{
	struct exec *oldest = NULL;

	if (execs->count < EXECS_MAX)
		return true;
	for (struct exec *exec = execs->first; exec; exec = exec->next)
		if (exec->ended)
			oldest = exec;
	if (oldest)
		exec_free(oldest);
	return oldest != NULL;
}

/* QEMU before 8.0 has a boolean; later also "none", "stdout", "stderr", "separated", "merged". */
static bool capture_wanted(struct qga_call *call, bool *out, bool *err, bool *merged)
{
	static const char *const modes[] = { "none", "stdout", "stderr", "separated", "merged" };
	const struct json *value = json_member(call->args, "capture-output");
	unsigned mode = 0;

	if (value && value->type == JSON_BOOL) {
		mode = value->boolean ? 3 : 0;
	} else if (value) {
		while (value->type == JSON_STRING && mode < 5 && strcmp(modes[mode], value->string))
			mode++;
		if (value->type != JSON_STRING || mode == 5) {
			qga_fail(call, "guest-exec: capture-output must be a boolean or a known mode");
			return false;
		}
	}
	*merged = mode == 4;
	*out = mode == 1 || mode >= 3;
	*err = mode == 2 || mode == 3;
	return true;
}

struct plumbing {
	int in[2], out[2], err[2]; /* pipes, -1 where there is none */
	int null;
};

static void plumbing_close(struct plumbing *plumbing)
{
	for (int i = 0; i < 2; i++) {
		process_close(&plumbing->in[i]);
		process_close(&plumbing->out[i]);
		process_close(&plumbing->err[i]);
	}
	process_close(&plumbing->null);
}

static void capture_start(struct capture *capture, struct loop *loop, int *fd)
{
	buffer_init(&capture->bytes, CAPTURE_BYTES_MAX);
	capture->fd = *fd;
	*fd = -1;
	if (capture->fd < 0)
		return;
	process_unblock(capture->fd);
	capture->watch = loop_watch(loop, capture->fd, POLLIN, capture_ready, capture);
}

static struct exec *exec_new(struct qga_call *call, pid_t pid, struct plumbing *plumbing)
{
	struct exec *exec = calloc(1, sizeof(*exec));

	if (!exec || !loop_child(call->loop, pid, exec_ended, exec)) {
		free(exec);
		return NULL;
	}
	exec->execs = call->execs;
	exec->pid = pid;
	exec->next = call->execs->first;
	call->execs->first = exec;
	call->execs->count++;
	capture_start(&exec->out, call->loop, &plumbing->out[0]);
	capture_start(&exec->err, call->loop, &plumbing->err[0]);
	buffer_init(&exec->input, QGA_REQUEST_BYTES_MAX);
	exec->in_fd = plumbing->in[1];
	plumbing->in[1] = -1;
	return exec;
}

static void feed_input(struct exec *exec, struct loop *loop, const unsigned char *input, size_t bytes)
{
	if (exec->in_fd < 0)
		return;
	process_unblock(exec->in_fd);
	buffer_append(&exec->input, input, bytes);
	exec->in_watch = loop_watch(loop, exec->in_fd, POLLOUT, input_ready, exec);
	if (!exec->in_watch)
		input_close(exec);
}

static pid_t spawn(struct qga_call *call, char **argv, char **env, struct plumbing *plumbing, const bool want[4])
{
	plumbing->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (plumbing->null < 0 || (want[0] && !process_pipe(plumbing->in)) ||
	    (want[1] && !process_pipe(plumbing->out)) || (want[2] && !process_pipe(plumbing->err))) {
		qga_fail(call, "guest-exec: %s", strerror(errno));
		return -1;
	}
	int out = want[1] ? plumbing->out[1] : plumbing->null;
	struct process_config config = {
		.argv = argv,
		.env = env,
		.stdio = { want[0] ? plumbing->in[0] : plumbing->null, out,
			   want[3]   ? out
			   : want[2] ? plumbing->err[1]
				     : plumbing->null },
	};
	char error[200];
	pid_t pid = process_spawn(&config, error, sizeof(error));
	if (pid < 0)
		qga_fail(call, "guest-exec: %s", error);
	return pid;
}

static void exec_start(struct qga_call *call, char **argv, char **env)
{
	struct plumbing plumbing = { { -1, -1 }, { -1, -1 }, { -1, -1 }, -1 };
	const char *text = qga_string(call, "input-data", NULL);
	size_t input_bytes = 0;
	unsigned char *input = text ? json_base64_decode(text, &input_bytes) : NULL;
	bool want[4] = { text != NULL };

	if (text && !input)
		qga_fail(call, "guest-exec: input-data is not base64");
	else if (!execs_make_room(call->execs))
		qga_fail(call, "guest-exec: %u commands run already", EXECS_MAX);
	else if (capture_wanted(call, &want[1], &want[2], &want[3])) {
		pid_t pid = spawn(call, argv, env, &plumbing, want);
		struct exec *exec = pid > 0 ? exec_new(call, pid, &plumbing) : NULL;
		if (exec) {
			feed_input(exec, call->loop, input, input_bytes);
			buffer_printf(call->reply, "{\"pid\":%d}", pid);
		} else if (pid > 0) {
			kill(-pid, SIGKILL);
			qga_fail(call, "guest-exec: out of memory");
		}
	}
	plumbing_close(&plumbing);
	free(input);
}

void qga_exec(struct qga_call *call)
{
	const struct json *arg = json_member(call->args, "arg"), *env = json_member(call->args, "env");
	char **rest = arg ? json_strings(arg, ARGUMENTS_MAX) : NULL;
	char **environment = env ? json_strings(env, ARGUMENTS_MAX) : NULL;
	char *argv[ARGUMENTS_MAX + 2] = { json_member(call->args, "path")->string };

	if ((arg && !rest) || (env && !environment)) {
		qga_fail(call, "guest-exec: arg and env must be arrays of at most %d strings", ARGUMENTS_MAX);
	} else {
		for (size_t i = 0; rest && rest[i]; i++)
			argv[i + 1] = rest[i];
		exec_start(call, argv, environment);
	}
	free(rest);
	free(environment);
}

static void put_capture(struct buffer *reply, const char *name, const struct capture *capture)
{
	if (!buffer_bytes(&capture->bytes))
		return;
	buffer_printf(reply, ",\"%s-data\":", name);
	json_put_base64(reply, buffer_peek(&capture->bytes), buffer_bytes(&capture->bytes));
	if (capture->truncated)
		buffer_printf(reply, ",\"%s-truncated\":true", name);
}

void qga_exec_status(struct qga_call *call)
{
	int64_t pid = qga_integer(call, "pid", 0);
	struct exec *exec = call->execs->first;

	while (exec && exec->pid != pid)
		exec = exec->next;
	if (!exec) {
		qga_fail(call, "guest-exec-status: no command with pid %lld", (long long)pid);
		return;
	}
	if (!exec->ended) {
		buffer_printf(call->reply, "{\"exited\":false}");
		return;
	}
	buffer_printf(call->reply, "{\"exited\":true,\"%s\":%d", exec->status > 128 ? "signal" : "exitcode",
		      exec->status > 128 ? exec->status - 128 : exec->status);
	put_capture(call->reply, "out", &exec->out);
	put_capture(call->reply, "err", &exec->err);
	buffer_append(call->reply, "}", 1);
	exec_free(exec);
}
