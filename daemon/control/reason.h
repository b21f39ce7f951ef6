/* Why a plan is what it is, in one line for people. */
#pragma once

#include <glib.h>

#include "core/allocation/allocation.h"
#include "daemon/model/nouns.h"

/* The hosts that were looked at, in the order allocation saw them. `names` and `engines` (comma-separated lists) are
 * parallel to `hosts`; hosts that are away have engines NULL. Borrowed. */
struct reason_hosts {
	const struct allocation_host *hosts;
	const char *const *names;
	const char *const *engines;
	gsize n_hosts;
	gsize n_present;
};

/* reason_size(bytes): "512M", "22.9G": three or four digits, rounded down. Caller frees. */
char *reason_size(guint64 bytes);

/* reason_placed: "host h1: the only host; 2 vCPUs and 512M fit (22.9G free of 23.4G)". Caller frees. */
char *reason_placed(const struct reason_hosts *hosts, const struct vm *vm, const struct allocation_decision *decision);

/* reason_refused: "no host has 9999T of memory free: h1 has 22.3G". Caller frees. */
char *reason_refused(const struct reason_hosts *hosts, const struct vm *vm, const struct allocation_request *request,
		     const struct allocation_decision *decision);

/* reason_start: why a VM that was stopped may start on `host` (an index of `hosts`), on which it stays; reason_held: why it
 * may not: "host h1 has 1G of memory free and the VM takes 3G". reason_stopped: why nothing is asked of the host. */
char *reason_start(const struct reason_hosts *hosts, gsize host, const struct vm *vm);
char *reason_held(const struct reason_hosts *hosts, gsize host, const struct vm *vm,
		  const struct allocation_request *request);
char *reason_stopped(const struct reason_hosts *hosts, gsize host);
