/* Why a plan is what it is, in one line for people. Every text is the caller's to free. */
#pragma once

#include <glib.h>

#include "core/allocation/explain.h"
#include "daemon/control/accounts.h"

/* reason_size(bytes): "512M", "22.9G": three or four digits, rounded down. */
char *reason_size(guint64 bytes);

/* What is known of a decision. */
struct reason_case {
	struct accounts *accounts;
	const struct demand *demand;
	const struct account_request *request;
	struct allocation_decision decision;
	gboolean explained; /* the rest is known too */
	guint32 runner_up;  /* host, or ALLOCATION_NONE */
	double runner_up_cost;
	guint32 n_feasible;
	guint32 ruled_out[ALLOCATION_CONSTRAINTS];
	struct allocation_relief relief;
	enum allocation_dimension tightest;
	guint32 tightest_left;
};

/* reason_explain(accounts, demand, request, out): look at every host. The decision is filled in too. */
void reason_explain(struct accounts *accounts, const struct demand *demand, const struct account_request *request,
		    struct reason_case *out);

/* reason_placed: "host h1: the only host; 2 vCPUs and 512M fit (22.9G free of 23.4G)"; before it is charged. */
char *reason_placed(const struct reason_case *why);
/* reason_refused: "no host has 9999T of memory free: h1 has 22.3G". The case must be explained. */
char *reason_refused(const struct reason_case *why);
/* reason_constraint(demand, constraint, n): "12 lack memory", "3 break anti-affinity group=db". */
char *reason_constraint(const struct demand *demand, enum allocation_constraint constraint, guint n);
/* reason_counts: "12 lack memory, 3 break anti-affinity group=db": what ruled the others out, or "". */
char *reason_counts(const struct reason_case *why);
/* reason_relief: "it would fit with at most 2G of memory (h3)"; "" when no single change is known. */
char *reason_relief(const struct reason_case *why);
/* reason_amount(dimension, amount): "2 vCPUs", "3G of memory". */
char *reason_amount(enum allocation_dimension dimension, guint64 amount);

/* reason_start: why a VM that was stopped may start on `host` (a number), on which it stays; reason_held: why it may not:
 * "host h1 has 1G of memory free and the VM takes 3G". reason_stopped: why nothing is asked of the host. */
char *reason_start(const struct accounts *accounts, guint host, const struct demand *demand);
char *reason_held(const struct accounts *accounts, guint host, const struct demand *demand,
		  const struct account_request *request);
char *reason_stopped(const char *host);
/* reason_reserve(accounts, host, percent, left): the host has only `left` (thousandths of a CPU) to keep for a VM. */
char *reason_reserve(const struct accounts *accounts, guint host, guint64 percent, guint64 left);
/* reason_pool: "pool gold is at its limit of 16 vCPUs: 2 vCPUs are left and the VM takes 4". */
char *reason_pool(const struct accounts *accounts, const struct account_request *request,
		  const struct allocation_pool_verdict *verdict);
