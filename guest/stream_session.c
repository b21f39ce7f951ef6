#include "guest/stream_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest/json.h"
#include "guest/process.h"

#define ARGUMENTS_MAX      256
#define CREDIT_BATCH_BYTES 32768 /* tell the sender at least this often */
#define KILL_AFTER_MS      2000  /* from SIGHUP to SIGKILL of a session whose client is gone */
#define TTY_DRAIN_MS       500   /* a terminal's last output takes a moment from the line discipline to us */

struct output {
	struct stream_session *session;
	uint8_t kind;
	int fd;
	struct watch *watch;
	size_t left; /* once the child has ended: bytes of it still in the pipe; what comes after is another's */
};

struct stream_session {
	struct stream_agent *agent;
	uint32_t id;
	pid_t pid; /* 0 once it was reaped */
	int status;
	bool tty, closing, eof_wanted, eof_given;
	int in_fd; /* with a terminal: its master, as out.fd (a duplicate, so that each has its own watch) */
	struct watch *in_watch;
	struct buffer in;
	uint32_t in_credit;      /* consumed and not yet told */
	uint32_t unacknowledged; /* output bytes sent and not yet consumed there */
	struct output out, err;
	struct timer *timer;
};

static void session_free(struct stream_session *session);

static void send_frame(struct stream_session *session, uint8_t kind, const void *payload, size_t bytes)
{
	if (!session->closing)
		stream_agent_send(session->agent, session->id, kind, payload, bytes);
}

static void output_close(struct output *output)
{
	loop_unwatch(output->watch);
	output->watch = NULL;
	process_close(&output->fd);
}

static void input_close(struct stream_session *session)
{
	loop_unwatch(session->in_watch);
	session->in_watch = NULL;
	process_close(&session->in_fd);
}

/* The session ends when its program has ended and all it wrote was sent. */
static bool finish_if_done(struct stream_session *session)
{
	uint32_t status = session->status;

	if (session->pid || (!session->closing && (session->out.fd >= 0 || session->err.fd >= 0)))
		return false;
	send_frame(session, STREAM_EXIT, &status, sizeof(status));
	session_free(session);
	return true;
}

static size_t output_room(const struct stream_session *session)
{
	if (stream_agent_crowded(session->agent))
		return 0;
	size_t room = STREAM_WINDOW - session->unacknowledged;
	return room < STREAM_PAYLOAD_MAX ? room : STREAM_PAYLOAD_MAX;
}

static void output_poll(struct output *output)
{
	if (output->watch)
		loop_watch_set(output->watch, output_room(output->session) ? POLLIN : 0);
}

/* Read and send one frame; false when there is nothing (more) to read now. */
static bool output_step(struct output *output)
{
	struct stream_session *session = output->session;
	uint8_t bytes[STREAM_PAYLOAD_MAX];
	size_t room = output_room(session);
	bool bounded = !session->pid && !session->tty;

	if (bounded && output->left < room)
		room = output->left;
	ssize_t count = room ? read(output->fd, bytes, room) : 0;
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (count > 0) {
		session->unacknowledged += count;
		output->left -= bounded ? count : 0;
		send_frame(session, output->kind, bytes, count);
	}
	/* The terminal's master fails with EIO when its last user has closed it. */
	if ((room && count <= 0) || (bounded && !output->left)) {
		output_close(output);
		return false;
	}
	return count > 0;
}

static void outputs_poll(struct stream_session *session)
{
	output_poll(&session->out);
	output_poll(&session->err);
}

static void output_ready(void *data, short revents)
{
	struct output *output = data;
	struct stream_session *session = output->session;

	output_step(output);
	if (!finish_if_done(session))
		outputs_poll(session);
}

static void tty_drained(void *data)
{
	struct stream_session *session = data;

	session->timer = NULL;
	output_close(&session->out);
	finish_if_done(session);
}

static void count_left(struct output *output)
{
	int left = 0;

	if (output->fd < 0)
		return;
	ioctl(output->fd, FIONREAD, &left);
	output->left = left;
	if (!left)
		output_close(output);
}

static void child_ended(void *data, pid_t pid, int status)
{
	struct stream_session *session = data;

	if (session->closing)
		kill(-pid, SIGKILL); /* what is left of its group; the zombie still keeps the number ours */
	session->pid = 0;
	session->status = status;
	input_close(session);
	if (session->tty && session->out.fd >= 0 && !session->closing) {
		session->timer = loop_timer(stream_agent_loop(session->agent), TTY_DRAIN_MS, tty_drained, session);
	} else if (!session->tty) {
		count_left(&session->out);
		count_left(&session->err);
	}
	finish_if_done(session);
}

static void give_credit(struct stream_session *session)
{
	bool idle = buffer_bytes(&session->in) == 0;

	if (!session->in_credit || (!idle && session->in_credit < CREDIT_BATCH_BYTES))
		return;
	send_frame(session, STREAM_CREDIT, &session->in_credit, sizeof(session->in_credit));
	session->in_credit = 0;
}

/* A terminal has no end of input: as a person would, type the end-of-file character. */
static void give_eof(struct stream_session *session)
{
	session->eof_given = true;
	if (!session->tty)
		input_close(session);
	else if (session->in_fd >= 0 && write(session->in_fd, "\004", 1) < 0)
		session->eof_given = errno != EAGAIN;
	if (!session->eof_given)
		loop_watch_set(session->in_watch, POLLOUT);
}

static void input_write(struct stream_session *session)
{
	size_t before = buffer_bytes(&session->in);

	/* A program that has closed its stdin is not an error: what was for it is dropped, and counts as consumed. */
	if (session->in_fd < 0 || buffer_write(&session->in, session->in_fd) < 0)
		buffer_clear(&session->in);
	session->in_credit += before - buffer_bytes(&session->in);
	if (session->in_watch)
		loop_watch_set(session->in_watch, buffer_bytes(&session->in) ? POLLOUT : 0);
	if (session->eof_wanted && !session->eof_given && !buffer_bytes(&session->in))
		give_eof(session);
	give_credit(session);
}

static void input_ready(void *data, short revents)
{
	input_write(data);
}

static void take_input(struct stream_session *session, const uint8_t *payload, size_t bytes)
{
	static const char overrun[] = "stdin was sent beyond its window";

	if (session->eof_wanted)
		return;
	if (buffer_bytes(&session->in) + session->in_credit + bytes > STREAM_WINDOW) {
		send_frame(session, STREAM_REFUSED, overrun, sizeof(overrun) - 1);
		stream_session_close(session);
		return;
	}
	buffer_append(&session->in, payload, bytes);
	input_write(session);
}

static void take_eof(struct stream_session *session)
{
	session->eof_wanted = true;
	input_write(session);
}

static void take_credit(struct stream_session *session, uint32_t bytes)
{
	session->unacknowledged -= bytes < session->unacknowledged ? bytes : session->unacknowledged;
	outputs_poll(session);
}

static void take_signal(struct stream_session *session, uint32_t number)
{
	pid_t group = session->pid;

	if (session->tty && session->in_fd >= 0)
		group = tcgetpgrp(session->in_fd);
	if (session->pid && group > 1 && number >= 1 && number < NSIG)
		kill(-group, number);
}

void stream_session_frame(struct stream_session *session, uint8_t kind, const uint8_t *payload, size_t bytes)
{
	uint32_t number = 0;
	uint16_t size[2];

	if (bytes == 4)
		memcpy(&number, payload, 4);
	if (kind == STREAM_STDIN) {
		take_input(session, payload, bytes);
	} else if (kind == STREAM_STDIN_EOF) {
		take_eof(session);
	} else if (kind == STREAM_CREDIT && bytes == 4) {
		take_credit(session, number);
	} else if (kind == STREAM_SIGNAL && bytes == 4) {
		take_signal(session, number);
	} else if (kind == STREAM_RESIZE && bytes == 4 && session->tty && session->in_fd >= 0) {
		memcpy(size, payload, 4);
		struct winsize window = { .ws_row = size[0], .ws_col = size[1] };
		ioctl(session->in_fd, TIOCSWINSZ, &window);
	}
}

void stream_session_resume(struct stream_session *session)
{
	outputs_poll(session);
}

static void kill_late(void *data)
{
	struct stream_session *session = data;

	session->timer = NULL;
	if (session->pid)
		kill(-session->pid, SIGKILL);
}

void stream_session_close(struct stream_session *session)
{
	session->closing = true;
	loop_untimer(session->timer);
	session->timer = NULL;
	if (session->pid) {
		kill(-session->pid, SIGHUP);
		kill(-session->pid, SIGCONT);
		session->timer = loop_timer(stream_agent_loop(session->agent), KILL_AFTER_MS, kill_late, session);
	}
	/* Closing the master hangs up the terminal's other process groups too. */
	input_close(session);
	buffer_clear(&session->in);
	output_close(&session->out);
	output_close(&session->err);
	finish_if_done(session);
}

void stream_session_kill(struct stream_session *session)
{
	session->closing = true;
	if (session->pid) {
		kill(-session->pid, SIGKILL);
		loop_unchild(stream_agent_loop(session->agent), session->pid);
	}
	session_free(session);
}

static void session_free(struct stream_session *session)
{
	stream_agent_gone(session->agent, session);
	loop_untimer(session->timer);
	input_close(session);
	buffer_clear(&session->in);
	output_close(&session->out);
	output_close(&session->err);
	free(session);
}

/* ---- Opening ---- */

/* What OPEN asks for. Vectors are ours, their strings the JSON's. */
struct request {
	struct json *json;
	char **argv, **env;
	const char *cwd;
	bool tty;
	uint16_t rows, columns;
};

static void request_clear(struct request *request)
{
	free(request->argv);
	free(request->env);
	json_free(request->json);
}

static uint16_t bounded_size(const struct json *json, const char *name, uint16_t otherwise)
{
	const struct json *value = json_member(json, name);

	return value && value->type == JSON_INTEGER && value->integer > 0 && value->integer <= 10000 ? value->integer
												     : otherwise;
}

static const char *request_parse(struct request *request, const char *text, size_t bytes)
{
	const char *problem = NULL;

	request->json = json_parse(text, bytes, &problem);
	if (!request->json)
		return problem;
	const struct json *env = json_member(request->json, "env"), *cwd = json_member(request->json, "cwd");
	const struct json *tty = json_member(request->json, "tty");
	request->argv = json_strings(json_member(request->json, "argv"), ARGUMENTS_MAX);
	if (!request->argv || !request->argv[0])
		return "argv must be an array of 1 to 256 strings";
	request->env = json_strings(env, ARGUMENTS_MAX);
	if (env && env->type != JSON_NULL && !request->env)
		return "env must be an array of at most 256 strings";
	for (size_t i = 0; request->env && request->env[i]; i++)
		if (strchr(request->env[i], '=') <= request->env[i])
			return "env must hold \"NAME=value\" strings";
	request->cwd = cwd && cwd->type == JSON_STRING && cwd->string[0] ? cwd->string : NULL;
	request->tty = tty && tty->type == JSON_BOOL && tty->boolean;
	request->rows = bounded_size(request->json, "rows", 24);
	request->columns = bounded_size(request->json, "cols", 80);
	return NULL;
}

/* ours[i] is our end of the child's descriptor i; with a terminal ours[0] and ours[1] are its master. */
struct plumbing {
	int ours[3], theirs[3];
};

static bool plumb_tty(struct plumbing *plumbing, const struct request *request)
{
	struct winsize size = { .ws_row = request->rows, .ws_col = request->columns };

	if (openpty(&plumbing->ours[0], &plumbing->theirs[0], NULL, NULL, &size) < 0)
		return false;
	fcntl(plumbing->ours[0], F_SETFD, FD_CLOEXEC);
	fcntl(plumbing->theirs[0], F_SETFD, FD_CLOEXEC);
	plumbing->ours[1] = fcntl(plumbing->ours[0], F_DUPFD_CLOEXEC, 0);
	plumbing->theirs[1] = fcntl(plumbing->theirs[0], F_DUPFD_CLOEXEC, 0);
	plumbing->theirs[2] = fcntl(plumbing->theirs[0], F_DUPFD_CLOEXEC, 0);
	return plumbing->ours[1] >= 0 && plumbing->theirs[1] >= 0 && plumbing->theirs[2] >= 0;
}

static bool plumb_pipes(struct plumbing *plumbing)
{
	for (int i = 0; i < 3; i++) {
		int fds[2];
		if (!process_pipe(fds))
			return false;
		plumbing->ours[i] = fds[i == 0];
		plumbing->theirs[i] = fds[i != 0];
	}
	return true;
}

static void output_start(struct stream_session *session, struct output *output, uint8_t kind, int *fd)
{
	*output = (struct output) { .session = session, .kind = kind, .fd = *fd };
	*fd = -1;
	if (output->fd < 0)
		return;
	process_unblock(output->fd);
	output->watch = loop_watch(stream_agent_loop(session->agent), output->fd, POLLIN, output_ready, output);
	if (!output->watch)
		output_close(output);
}

static void session_start(struct stream_session *session, struct plumbing *plumbing)
{
	uint32_t pid = session->pid;

	send_frame(session, STREAM_OPENED, &pid, sizeof(pid));
	buffer_init(&session->in, STREAM_WINDOW);
	session->in_fd = plumbing->ours[0];
	plumbing->ours[0] = -1;
	process_unblock(session->in_fd);
	session->in_watch = loop_watch(stream_agent_loop(session->agent), session->in_fd, 0, input_ready, session);
	output_start(session, &session->out, STREAM_STDOUT, &plumbing->ours[1]);
	output_start(session, &session->err, STREAM_STDERR, &plumbing->ours[2]);
	outputs_poll(session);
}

static struct stream_session *session_spawn(struct stream_agent *agent, const struct request *request,
					    struct plumbing *plumbing, char *error, size_t error_bytes)
{
	struct stream_session *session = calloc(1, sizeof(*session));
	struct process_config config = {
		.argv = request->argv, .env = request->env, .cwd = request->cwd, .tty = request->tty
	};

	memcpy(config.stdio, plumbing->theirs, sizeof(config.stdio));
	snprintf(error, error_bytes, "out of memory in the guest");
	pid_t pid = session ? process_spawn(&config, error, error_bytes) : -1;
	if (pid > 0 && loop_child(stream_agent_loop(agent), pid, child_ended, session)) {
		session->agent = agent;
		session->pid = pid;
		session->tty = request->tty;
		return session;
	}
	if (pid > 0)
		kill(-pid, SIGKILL);
	free(session);
	return NULL;
}

struct stream_session *stream_session_open(struct stream_agent *agent, uint32_t id, const char *text, size_t bytes,
					   char *error, size_t error_bytes)
{
	struct plumbing plumbing = { { -1, -1, -1 }, { -1, -1, -1 } };
	struct request request = { 0 };
	struct stream_session *session = NULL;
	const char *problem = request_parse(&request, text, bytes);

	if (problem)
		snprintf(error, error_bytes, "malformed request: %s", problem);
	else if (!(request.tty ? plumb_tty(&plumbing, &request) : plumb_pipes(&plumbing)))
		snprintf(error, error_bytes, "no %s left in the guest: %s", request.tty ? "terminal" : "pipe",
			 strerror(errno));
	else
		session = session_spawn(agent, &request, &plumbing, error, error_bytes);
	if (session) {
		session->id = id;
		session_start(session, &plumbing);
	}
	for (int i = 0; i < 3; i++) {
		process_close(&plumbing.ours[i]);
		process_close(&plumbing.theirs[i]);
	}
	request_clear(&request);
	return session;
}
