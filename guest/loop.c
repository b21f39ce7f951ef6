#include "guest/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define LOOP_WATCHES_MAX 512

struct watch {
	struct watch *next;
	int fd;
	short events;
	bool dead; /* freed at the end of the round: callbacks may remove any watch */
	watch_func ready;
	void *data;
};

struct timer {
	struct timer *next;
	uint64_t due_ms;
	bool dead;
	timer_func due;
	void *data;
};

struct child {
	struct child *next;
	pid_t pid;
	child_func ended;
	void *data;
};

struct loop {
	struct watch *watches;
	struct timer *timers;
	struct child *children;
	unsigned watch_count;
};

uint64_t loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

struct loop *loop_new(void)
{
	return calloc(1, sizeof(struct loop));
}

/* Free what was removed since the last round (all of it when `all`). */
static void sweep(struct loop *loop, bool all)
{
	for (struct watch **at = &loop->watches; *at;) {
		struct watch *watch = *at;
		if (watch->dead || all) {
			*at = watch->next;
			free(watch);
			loop->watch_count--;
		} else {
			at = &watch->next;
		}
	}
	for (struct timer **at = &loop->timers; *at;) {
		struct timer *timer = *at;
		if (timer->dead || all) {
			*at = timer->next;
			free(timer);
		} else {
			at = &timer->next;
		}
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	sweep(loop, true);
	while (loop->children) {
		struct child *child = loop->children;
		loop->children = child->next;
		free(child);
	}
	free(loop);
}

static int nearest_ms(const struct loop *loop, int timeout_ms)
{
	uint64_t now = loop_now_ms();

	for (const struct timer *timer = loop->timers; timer; timer = timer->next) {
		uint64_t left = timer->due_ms > now ? timer->due_ms - now : 0;
		if (!timer->dead && (timeout_ms < 0 || left < (uint64_t)timeout_ms))
			timeout_ms = left;
	}
	return timeout_ms;
}

void loop_run_once(struct loop *loop, int timeout_ms)
{
	struct pollfd fds[LOOP_WATCHES_MAX];
	struct watch *watches[LOOP_WATCHES_MAX];
	unsigned count = 0;

	sweep(loop, false);
	for (struct watch *watch = loop->watches; watch; watch = watch->next) {
		if (!watch->events)
			continue;
		watches[count] = watch;
		fds[count++] = (struct pollfd) { .fd = watch->fd, .events = watch->events };
	}
	if (poll(fds, count, nearest_ms(loop, timeout_ms)) < 0)
		count = 0;
	/* A watch changed by an earlier callback of this round is only called for what it still wants. */
	for (unsigned i = 0; i < count; i++) {
		short wanted = watches[i]->events | POLLERR | POLLHUP | POLLNVAL;
		if (!watches[i]->dead && watches[i]->events && (fds[i].revents & wanted))
			watches[i]->ready(watches[i]->data, fds[i].revents & wanted);
	}
	uint64_t now = loop_now_ms();
	for (struct timer *timer = loop->timers; timer; timer = timer->next) {
		if (timer->dead || timer->due_ms > now)
			continue;
		timer->dead = true;
		timer->due(timer->data);
	}
}

struct watch *loop_watch(struct loop *loop, int fd, short events, watch_func ready, void *data)
{
	struct watch *watch = loop->watch_count < LOOP_WATCHES_MAX ? calloc(1, sizeof(*watch)) : NULL;

	if (!watch)
		return NULL;
	*watch = (struct watch) { .next = loop->watches, .fd = fd, .events = events, .ready = ready, .data = data };
	loop->watches = watch;
	loop->watch_count++;
	return watch;
}

void loop_watch_set(struct watch *watch, short events)
{
	watch->events = events;
}

void loop_unwatch(struct watch *watch)
{
	if (watch)
		watch->dead = true;
}

struct timer *loop_timer(struct loop *loop, unsigned ms, timer_func due, void *data)
{
	struct timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return NULL;
	*timer = (struct timer) { .next = loop->timers, .due_ms = loop_now_ms() + ms, .due = due, .data = data };
	loop->timers = timer;
	return timer;
}

void loop_untimer(struct timer *timer)
{
	if (timer)
		timer->dead = true;
}

bool loop_child(struct loop *loop, pid_t pid, child_func ended, void *data)
{
	struct child *child = malloc(sizeof(*child));

	if (!child)
		return false;
	*child = (struct child) { .next = loop->children, .pid = pid, .ended = ended, .data = data };
	loop->children = child;
	return true;
}

void loop_unchild(struct loop *loop, pid_t pid)
{
	for (struct child **at = &loop->children; *at; at = &(*at)->next) {
		struct child *child = *at;
		if (child->pid != pid)
			continue;
		*at = child->next;
		free(child);
		return;
	}
}

void loop_reap(struct loop *loop)
{
	for (;;) {
		siginfo_t info = { 0 };
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == EINTR)
			continue;
		pid_t pid = info.si_pid;
		if (!pid)
			return;
		int status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
		for (struct child *child = loop->children; child; child = child->next) {
			if (child->pid != pid)
				continue;
			child_func ended = child->ended;
			void *data = child->data;
			loop_unchild(loop, pid);
			ended(data, pid, status);
			break;
		}
		waitpid(pid, NULL, 0);
	}
}
