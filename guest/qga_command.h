/* Private to the guest agent: how a command is described and answered. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest/agent_qga.h"
#include "guest/buffer.h"
#include "guest/json.h"

struct qga_execs;
struct qga_files;

struct qga_call {
	const struct json *args; /* an object with the declared members only, or NULL */
	struct buffer *reply;    /* append the value of "return"; nothing appended means {} */
	char error[256];         /* set: the call failed */
	struct loop *loop;
	struct qga_execs *execs;
	struct qga_files *files;
	const struct qga_host *host;
	bool sentinel; /* 0xFF goes before the reply */
	bool silent;   /* no reply at all */
};

void qga_fail(struct qga_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Arguments, already of the declared type. */
const char *qga_string(const struct qga_call *call, const char *name, const char *otherwise);
int64_t qga_integer(const struct qga_call *call, const char *name, int64_t otherwise);

struct qga_argument {
	const char *name;
	char type; /* s string, i integer, b boolean, a array of strings, * anything */
	bool required;
};

#define QGA_ARGUMENTS_MAX 5
struct qga_command {
	const char *name;
	void (*run)(struct qga_call *call);
	struct qga_argument arguments[QGA_ARGUMENTS_MAX];
};

/* qga_exec.c */
struct qga_execs *qga_execs_new(void);
void qga_execs_free(struct qga_execs *execs, struct loop *loop);
void qga_exec(struct qga_call *call);
void qga_exec_status(struct qga_call *call);

/* qga_file.c */
struct qga_files *qga_files_new(void);
void qga_files_free(struct qga_files *files);
void qga_file_open(struct qga_call *call);
void qga_file_close(struct qga_call *call);
void qga_file_read(struct qga_call *call);
void qga_file_write(struct qga_call *call);
void qga_file_seek(struct qga_call *call);
void qga_file_flush(struct qga_call *call);

/* qga_system.c */
void qga_get_time(struct qga_call *call);
void qga_set_time(struct qga_call *call);
void qga_shutdown(struct qga_call *call);
void qga_network_get_interfaces(struct qga_call *call);
