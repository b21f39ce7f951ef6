#include "guest/agent_qga.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/port.h"
#include "guest/qga_command.h"

struct qga {
	struct loop *loop;
	const struct qga_host *host;
	struct port *port;
	struct qga_execs *execs;
	struct qga_files *files;
	/* The reader: where in a request we are. Requests need not end with a newline, so brackets are counted. */
	struct buffer in;
	unsigned depth;
	bool in_string, escaped;
	bool discarding; /* until the next newline or 0xFF: what came was no request */
};

static void qga_info(struct qga_call *call);

static void qga_sync(struct qga_call *call)
{
	buffer_printf(call->reply, "%lld", (long long)qga_integer(call, "id", 0));
}

static void qga_sync_delimited(struct qga_call *call)
{
	call->sentinel = true;
	qga_sync(call);
}

static void qga_ping(struct qga_call *call)
{
	buffer_append(call->reply, "{}", 2);
}

static const struct qga_command commands[] = {
	{ "guest-sync", qga_sync, { { "id", 'i', true } } },
	{ "guest-sync-delimited", qga_sync_delimited, { { "id", 'i', true } } },
	{ "guest-ping", qga_ping, {} },
	{ "guest-info", qga_info, {} },
	{ "guest-get-time", qga_get_time, {} },
	{ "guest-set-time", qga_set_time, { { "time", 'i', false } } },
	{ "guest-shutdown", qga_shutdown, { { "mode", 's', false } } },
	{ "guest-exec",
	  qga_exec,
	  { { "path", 's', true },
	    { "arg", 'a', false },
	    { "env", 'a', false },
	    { "input-data", 's', false },
	    { "capture-output", '*', false } } },
	{ "guest-exec-status", qga_exec_status, { { "pid", 'i', true } } },
	{ "guest-file-open", qga_file_open, { { "path", 's', true }, { "mode", 's', false } } },
	{ "guest-file-close", qga_file_close, { { "handle", 'i', true } } },
	{ "guest-file-read", qga_file_read, { { "handle", 'i', true }, { "count", 'i', false } } },
	{ "guest-file-write",
	  qga_file_write,
	  { { "handle", 'i', true }, { "buf-b64", 's', true }, { "count", 'i', false } } },
	{ "guest-file-seek",
	  qga_file_seek,
	  { { "handle", 'i', true }, { "offset", 'i', true }, { "whence", '*', true } } },
	{ "guest-file-flush", qga_file_flush, { { "handle", 'i', true } } },
	{ "guest-network-get-interfaces", qga_network_get_interfaces, {} },
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void qga_info(struct qga_call *call)
{
	buffer_printf(call->reply, "{\"version\":\"polder-%s\",\"supported_commands\":[", POLDER_VERSION);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		buffer_printf(call->reply, "%s{\"name\":\"%s\",\"enabled\":true,\"success-response\":%s}", i ? "," : "",
			      commands[i].name, commands[i].run == qga_shutdown ? "false" : "true");
	buffer_append(call->reply, "]}", 2);
}

void qga_fail(struct qga_call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(call->error, sizeof(call->error), format, args);
	va_end(args);
}

const char *qga_string(const struct qga_call *call, const char *name, const char *otherwise)
{
	const struct json *value = json_member(call->args, name);

	return value ? value->string : otherwise;
}

int64_t qga_integer(const struct qga_call *call, const char *name, int64_t otherwise)
{
	const struct json *value = json_member(call->args, name);

	return value ? value->integer : otherwise;
}

static bool is_type(const struct json *value, char type)
{
	switch (type) {
	case 's':
		return value->type == JSON_STRING;
	case 'i':
		return value->type == JSON_INTEGER;
	case 'b':
		return value->type == JSON_BOOL;
	case 'a':
		return value->type == JSON_ARRAY;
	default:
		return true;
	}
}

/* Every declared argument of its type, every required one there, no others. */
static bool check_arguments(struct qga_call *call, const struct qga_command *command)
{
	size_t matched = 0, given = 0;

	if (call->args && call->args->type != JSON_OBJECT) {
		qga_fail(call, "%s: arguments must be an object", command->name);
		return false;
	}
	for (size_t i = 0; i < QGA_ARGUMENTS_MAX && command->arguments[i].name; i++) {
		const struct qga_argument *argument = &command->arguments[i];
		const struct json *value = json_member(call->args, argument->name);
		if (value && !is_type(value, argument->type))
			qga_fail(call, "%s: argument '%s' has the wrong type", command->name, argument->name);
		else if (!value && argument->required)
			qga_fail(call, "%s: argument '%s' is missing", command->name, argument->name);
		if (call->error[0])
			return false;
		matched += value != NULL;
	}
	for (const struct json *child = call->args ? call->args->children : NULL; child; child = child->next)
		given++;
	if (given != matched)
		qga_fail(call, "%s: an argument is unknown", command->name);
	return given == matched;
}

static void put_error(struct buffer *out, const char *class, const char *description)
{
	buffer_printf(out, "{\"error\":{\"class\":\"%s\",\"desc\":", class);
	json_put_string(out, description);
	buffer_append(out, "}", 1);
}

/* QMP rule, kept by the stock agent: a request's "id" comes back in the reply. */
static void put_id(struct buffer *out, const struct json *request)
{
	const struct json *id = json_member(request, "id");

	if (id && id->type == JSON_INTEGER)
		buffer_printf(out, ",\"id\":%lld", (long long)id->integer);
	if (id && id->type == JSON_STRING) {
		buffer_append(out, ",\"id\":", 6);
		json_put_string(out, id->string);
	}
}

static const struct qga_command *find_command(const struct json *request)
{
	const struct json *name = json_member(request, "execute");

	for (size_t i = 0; name && name->type == JSON_STRING && i < COMMAND_COUNT; i++)
		if (!strcmp(commands[i].name, name->string))
			return &commands[i];
	return NULL;
}

static void send_reply(struct qga *qga, const struct qga_call *call, struct buffer *value, const struct json *request)
{
	struct buffer reply;
	struct buffer *out = port_out(qga->port);

	buffer_init(&reply, QGA_REPLY_BYTES_MAX);
	if (call->sentinel && !call->error[0])
		buffer_append(&reply, "\xff", 1);
	if (call->error[0]) {
		put_error(&reply, "GenericError", call->error);
	} else {
		buffer_append(&reply, "{\"return\":", 10);
		buffer_append(&reply, buffer_bytes(value) ? buffer_peek(value) : "{}",
			      buffer_bytes(value) ? buffer_bytes(value) : 2);
	}
	put_id(&reply, request);
	buffer_append(&reply, "}\n", 2);
	if (reply.overflow || value->overflow) {
		buffer_clear(&reply);
		put_error(&reply, "GenericError", "the reply is too long");
		buffer_append(&reply, "}\n", 2);
	}
	buffer_append(out, buffer_peek(&reply), buffer_bytes(&reply));
	buffer_clear(&reply);
	port_flush(qga->port);
}

static void run_command(struct qga *qga, const struct qga_command *command, const struct json *request)
{
	struct buffer value;
	struct qga_call call = { .args = json_member(request, "arguments"),
				 .reply = &value,
				 .loop = qga->loop,
				 .execs = qga->execs,
				 .files = qga->files,
				 .host = qga->host };

	buffer_init(&value, QGA_REPLY_BYTES_MAX);
	if (check_arguments(&call, command))
		command->run(&call);
	if (!call.silent)
		send_reply(qga, &call, &value, request);
	buffer_clear(&value);
}

static void refuse(struct qga *qga, const struct json *request, const char *class, const char *description)
{
	struct buffer *out = port_out(qga->port);

	put_error(out, class, description);
	put_id(out, request);
	buffer_append(out, "}\n", 2);
	port_flush(qga->port);
}

static void handle_request(struct qga *qga, const char *text, size_t bytes)
{
	const char *error;
	struct json *request = json_parse(text, bytes, &error);
	const struct json *name = json_member(request, "execute");
	const struct qga_command *command = find_command(request);
	char description[200];

	if (command) {
		run_command(qga, command, request);
	} else if (name && name->type == JSON_STRING) {
		snprintf(description, sizeof(description), "The command %.100s has not been found", name->string);
		refuse(qga, request, "CommandNotFound", description);
	} else {
		snprintf(description, sizeof(description), "JSON parse error, %s",
			 request ? "no \"execute\" string" : error);
		refuse(qga, request, "GenericError", description);
	}
	json_free(request);
}

static void reset_reader(struct qga *qga, bool discarding)
{
	buffer_clear(&qga->in);
	qga->depth = 0;
	qga->in_string = qga->escaped = false;
	qga->discarding = discarding;
}

/* Follow one byte of a request; true when it ends the request. */
static bool follow(struct qga *qga, char c)
{
	if (qga->in_string) {
		if (qga->escaped)
			qga->escaped = false;
		else if (c == '\\')
			qga->escaped = true;
		else if (c == '"')
			qga->in_string = false;
		return false;
	}
	if (c == '"')
		qga->in_string = true;
	else if (c == '{' || c == '[')
		qga->depth++;
	else if (c == '}' || c == ']')
		qga->depth -= qga->depth > 0;
	return qga->depth == 0;
}

static void qga_byte(struct qga *qga, char c)
{
	bool idle = buffer_bytes(&qga->in) == 0;

	if (c == '\xff') {
		reset_reader(qga, false);
	} else if (qga->discarding) {
		qga->discarding = c != '\n';
	} else if (idle && strchr(" \t\r\n", c) && c) {
		return;
	} else if (idle && c != '{') {
		refuse(qga, NULL, "GenericError", "JSON parse error, a request must be an object");
		reset_reader(qga, true);
	} else if (!buffer_append(&qga->in, &c, 1)) {
		refuse(qga, NULL, "GenericError", "JSON parse error, the request is too long");
		reset_reader(qga, true);
	} else if (follow(qga, c)) {
		handle_request(qga, buffer_peek(&qga->in), buffer_bytes(&qga->in));
		reset_reader(qga, false);
	}
}

static void qga_input(void *data, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		qga_byte(data, bytes[i]);
}

static void qga_hangup(void *data)
{
	reset_reader(data, false);
}

struct qga *qga_new(struct loop *loop, int fd, const struct qga_host *host)
{
	static const struct port_events events = { .input = qga_input, .hangup = qga_hangup };
	struct qga *qga = calloc(1, sizeof(*qga));

	if (!qga)
		return NULL;
	*qga = (struct qga) { .loop = loop, .host = host, .execs = qga_execs_new(), .files = qga_files_new() };
	buffer_init(&qga->in, QGA_REQUEST_BYTES_MAX);
	qga->port = port_new(loop, fd, 4 * QGA_REPLY_BYTES_MAX, &events, qga);
	if (qga->execs && qga->files && qga->port)
		return qga;
	qga_free(qga);
	return NULL;
}

void qga_free(struct qga *qga)
{
	if (!qga)
		return;
	qga_execs_free(qga->execs, qga->loop);
	qga_files_free(qga->files);
	port_free(qga->port);
	buffer_clear(&qga->in);
	free(qga);
}

void qga_wake(struct qga *qga)
{
	port_wake(qga->port);
}
