/* polder-vm: the small parent of one QEMU. It holds a lock in the VM's run directory, keeps the guest's serial console
 * and waits; when QEMU ends it writes down why. Libc only: there is one of these per VM.
 *
 *   polder-vm (first process) ──fork──▶ supervisor (setsid, lock, sockets) ──fork──▶ QEMU (own uid, dies with us)
 *        │ waits for one byte                │ 'K' once QEMU was executed
 *        └─ exit 0 / 1 ◀────────────────────┘
 *
 * In the run directory:
 *   launch        flock()ed by who starts us; we inherit that (--launch-fd) and let go of it once we hold `lock`: so at no
 *                 moment of a start does nobody hold anything
 *   lock          a POSIX record lock of the supervisor, from before QEMU exists until after its end is written down
 *   child         QEMU's pid
 *   exit          why QEMU ended: status=, signalled=, ended_at_us=, last= (key=value lines)
 *   qmp.sock guest.sock stream.sock   QEMU's, listening before it starts
 *   console.sock  ours */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- options.c: the command line ---- */

struct options {
	const char *dir; /* the run directory: exists, ours, 0700 */
	const char *log; /* the console log; its directory exists */
	bool has_ids, has_kvm_gid;
	uid_t uid; /* what QEMU runs as when we are root */
	gid_t gid, kvm_gid;
	int launch_fd;     /* closed once the lock is held; -1: none was handed to us */
	char **child_argv; /* QEMU's, NULL-terminated; argv[0] is looked up in PATH */
};

/* options_parse(options, argc, argv): false after one line on stderr. */
bool options_parse(struct options *options, int argc, char **argv);

/* complain(what, …): one line "polder-vm: …" on stderr, with errno's text appended when `error` is not 0. */
void complain(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- rundir.c: what is in the run directory ---- */

struct rundir {
	int fd;      /* the directory: everything is reached through it, so that dropped privileges can't lose it */
	int lock_fd; /* held until the process ends */
	int exit_fd; /* exit.new, written full of blanks at start: a full disk can't lose the exit record */
};

/* rundir_open(rundir, path): open, enter and lock. False after one line on stderr, also when another polder-vm holds
 * the lock; then nothing was changed. */
bool rundir_open(struct rundir *rundir, const char *path);

/* rundir_listen(name): a listening, non-blocking unix socket `name` in the run directory (the working directory), 0600;
 * one left over is replaced. -1 after one line on stderr. */
int rundir_listen(const char *name);

/* rundir_write_child(rundir, pid): the file `child`. */
bool rundir_write_child(const struct rundir *rundir, pid_t pid);

/* rundir_write_exit(rundir, wait_status, last): make the exit record durable. `last`: one printable line, may be "". */
bool rundir_write_exit(const struct rundir *rundir, int wait_status, const char *last);

/* rundir_remove_sockets(rundir): every socket we made. */
void rundir_remove_sockets(const struct rundir *rundir);

/* ---- log.c: the console log ---- */

struct log {
	int dir_fd;     /* of the log's directory */
	char name[256]; /* in that directory; rotated to NAME.1 at LIMIT_CONSOLE_LOG_BYTES */
	int fd;         /* -1: could not be opened; tried again at the next write */
	uint64_t bytes; /* in the current file */
	uint64_t
		lost_bytes; /* not written since the last success (full disk): said in the log once writing works again */
};

/* log_init(log, path): open or create, append. False after one line on stderr when even the directory is not there. */
bool log_init(struct log *log, const char *path);

/* log_write(log, data, bytes): never fails; what can't be written is counted and lost. */
void log_write(struct log *log, const char *data, size_t bytes);

/* ---- console.c: the guest's serial line, its clients and its log ---- */

#define CONSOLE_RING_BYTES 16384u
#define CONSOLE_CLIENTS    8u
#define CONSOLE_POLL_FDS   (2u + CONSOLE_CLIENTS)

struct console {
	int guest_fd;  /* our end of the socketpair; -1 once QEMU closed its end */
	int listen_fd; /* console.sock */
	int clients[CONSOLE_CLIENTS];
	struct log *log;
	char ring[CONSOLE_RING_BYTES]; /* the last output, for new clients */
	size_t ring_next, ring_bytes;
	char input[4096]; /* typed by clients, not yet taken by the guest; clients wait while it is not empty */
	size_t input_bytes;
};

/* console_init(console, guest_fd, listen_fd, log): takes ownership of both fds; makes guest_fd non-blocking. */
void console_init(struct console *console, int guest_fd, int listen_fd, struct log *log);

/* console_poll(console, fds): fill CONSOLE_POLL_FDS entries; unused ones have fd -1. */
void console_poll(const struct console *console, struct pollfd *fds);

/* console_dispatch(console, fds): act on what poll answered for those entries. Never blocks. */
void console_dispatch(struct console *console, const struct pollfd *fds);

/* console_drain(console): take what the guest wrote before it ended, then hang up on every client. */
void console_drain(struct console *console);

/* ---- child.c: QEMU ---- */

#define CHILD_FD_FIRST        10 /* QMP, guest agent, stream, console: 10, 11, 12, 13 in QEMU */
#define CHILD_FDS             4
#define CHILD_ERROR_BYTES     4096u
#define CHILD_LAST_LINE_BYTES 400u

struct child {
	pid_t pid;
	int error_fd;                   /* its stdout and stderr; -1 once closed */
	char errors[CHILD_ERROR_BYTES]; /* ring of what it said last */
	size_t errors_next, errors_bytes;
};

/* child_start(child, options, fds): fork, drop privileges, execute. `fds` become CHILD_FD_FIRST … in QEMU (still the
 * caller's to close). Returns once the program was really executed; false after one line on stderr. */
bool child_start(struct child *child, const struct options *options, const int fds[CHILD_FDS]);

/* child_read_errors(child): take what is there of its output. Never blocks. */
void child_read_errors(struct child *child);

/* child_last_line(child, line): the last line it wrote that is not empty, printable ASCII; "" when it said nothing. */
void child_last_line(const struct child *child, char line[CHILD_LAST_LINE_BYTES]);

/* privileges_drop(): keep our uid and CAP_KILL (the kernel checks it when our death is to kill QEMU, which has another
 * uid), give up every other capability for good. */
bool privileges_drop(void);
