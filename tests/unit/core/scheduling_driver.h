/* A small platform for scheduling strategies: keeps core/scheduling's contract by scanning everything at every event. Slow,
 * plain, and independent of the lab's engine. */
#pragma once

#include <glib.h>

#include "core/scheduling/scheduling.h"

/* What a vCPU does: bursts of run_ns, then sleeps sleep_ns; or a job of run_ns at every multiple of period_ns, late ones one
 * after the other. run_ns 0: it never blocks. */
struct guest {
	gint64 run_ns, sleep_ns, period_ns;
	gint64 first_ns; /* when it wakes first */
	gint64 stop_ns;  /* no burst begins from here on; 0: goes on */
	gboolean dodges; /* sleeps from just before each tick of 10 ms to just after it */

	/* What became of it. */
	gint64 service_ns, job_left_ns, next_ns, woken_ns;
	gint64 wait_greatest_ns;
	guint64 runs, jobs_ok, jobs_tardy;
	gint64 tardiness_greatest_ns;
	gboolean runnable, queued;
	gint64 deadline_ns;
};

struct driver {
	const struct scheduling_strategy *ops;
	struct scheduling_system system;
	struct strategy_values values;
	struct guest *guests;
	gint64 *slice_end_ns; /* of each CPU */
	guint64 sequence, events;
	/* The end is the first event past it, and that happens; the ends of bursts that were expected when they began (again)
	 * are events. */
	gboolean whole_events;
	gint64 past_ns;
	gboolean starting;    /* those that wake at 0 are all queued before the first is chosen */
	gint64 first_miss_ns; /* −1: none */
	GString *log;         /* of one CPU: a letter for each log_ns, '.' when it idles; NULL: none */
	gint64 log_ns, logged_ns, next_tick_ns;
	/* After place(), before join(): a test may set what it wants. */
	void (*placed)(struct driver *driver, struct scheduling_entity *entity);
	void (*after_event)(struct driver *driver);
	gpointer data;
};

/* driver_new(ops, n_cpus, n): n vCPUs, each a VM of its own (driver_gang changes that), of normal weight; CPUs without
 * siblings, in one LLC. Set entities and guests, then run. */
struct driver *driver_new(const struct scheduling_strategy *ops, guint n_cpus, guint n);
void driver_free(struct driver *driver);
/* VMs of `size` vCPUs each. */
void driver_gang(struct driver *driver, guint size);
void driver_set(struct driver *driver, const gchar *parameter, const gchar *value);
/* Admits all (and asserts that it could), then runs until then; may be called again. */
void driver_run(struct driver *driver, gint64 until_ns);

/* ---- Inside: scheduling_driver_queue.c ---- */

struct scheduling_queue *driver_queue_of(struct driver *driver, const struct scheduling_entity *entity);
void driver_enqueue(struct driver *driver, struct scheduling_entity *entity);
struct scheduling_entity *driver_head(struct driver *driver, guint queue);
void driver_off_cpu(struct driver *driver, struct scheduling_entity *entity);
void driver_block(struct driver *driver, struct scheduling_entity *entity);
void driver_dispatch(struct driver *driver, guint cpu, struct scheduling_entity *entity, gint64 until_ns);
void driver_look(struct driver *driver, guint cpu); /* an idle CPU for work */
void driver_wake(struct driver *driver, struct scheduling_entity *entity, enum scheduling_why why);
void driver_settle(struct driver *driver); /* blocks, releases and orders anew what an operation changed */
