/* The one poll loop: file descriptors, timers, and the ends of child processes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct watch;
struct timer;

typedef void (*watch_func)(void *data, short revents);
typedef void (*timer_func)(void *data);
/* A child's end. It is still a zombie: its process group can be signalled without hitting a stranger.
 * status: 0–255, or 128 + signal. */
typedef void (*child_func)(void *data, pid_t pid, int status);

struct loop *loop_new(void);
void loop_free(struct loop *loop); /* watches, timers and child entries end with it; their fds stay open */

/* loop_run_once(loop, timeout_ms): wait for at most timeout_ms (-1: no bound) and call what is due. */
void loop_run_once(struct loop *loop, int timeout_ms);

/* loop_watch(…): call `ready` while fd has any of `events` (or an error). NULL when too many are watched already. */
struct watch *loop_watch(struct loop *loop, int fd, short events, watch_func ready, void *data);
void loop_watch_set(struct watch *watch, short events); /* 0: not polled at all, not even for errors */
void loop_unwatch(struct watch *watch);                 /* NULL is fine */

/* loop_timer(…): call `due` once, ms from now. It ends itself then. */
struct timer *loop_timer(struct loop *loop, unsigned ms, timer_func due, void *data);
void loop_untimer(struct timer *timer); /* NULL is fine */

/* loop_child(…): call `ended` once when `pid` has ended. FALSE when memory is short. */
bool loop_child(struct loop *loop, pid_t pid, child_func ended, void *data);
void loop_unchild(struct loop *loop, pid_t pid);

/* loop_reap(loop): collect every child that has ended, ours or adopted. Call on SIGCHLD. */
void loop_reap(struct loop *loop);

uint64_t loop_now_ms(void);
