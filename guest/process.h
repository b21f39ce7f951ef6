/* Starting programs in the guest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process_config {
	char *const *argv; /* argv[0] is looked up in PATH */
	char *const *env;  /* "K=V" on top of the defaults (PATH, HOME, TERM, USER, SHELL), or NULL */
	const char *cwd;   /* NULL: "/" */
	int stdio[3];      /* become stdin, stdout, stderr */
	bool tty;          /* stdio[0] becomes the controlling terminal */
};

/* process_spawn(config, error, error_bytes): start it as leader of its own session. Its pid once it really executes,
 * or -1 with a line for people ("nosuch: not found"). */
pid_t process_spawn(const struct process_config *config, char *error, size_t error_bytes);

/* process_pipe(fds): a pipe whose ends close on exec. process_unblock(fd): make it non-blocking. process_close: close *fd
 * if it is open and set it to -1. */
bool process_pipe(int fds[2]);
void process_unblock(int fd);
void process_close(int *fd);
