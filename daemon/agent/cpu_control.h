/* Keeps what VMs wish of CPUs (weight, limit, reservation, latency), by the scheduling strategy at work. */
#pragma once

#include "daemon/agent/cpu_record.h"
#include "daemon/agent/vms.h"

struct cpu_control;

struct cpu_control_config {
	struct store *store; /* borrowed, as everything here: must outlive it */
	struct vms *vms;
	const struct dirs *dirs;
	guint n_cpus;
	struct cpu_record_host host; /* for the recording */
	/* Once: what of it this host can't do and why, NULL-terminated; borrowed for the call. */
	void (*described)(const char *const *limits, gpointer user_data);
	gpointer user_data;
};

/* cpu_control_new(config): begins with undoing what a crash left behind. While nobody wishes anything it looks
 * once a second, and only while VMs run, to record what their vCPUs wanted. */
struct cpu_control *cpu_control_new(const struct cpu_control_config *config);
void cpu_control_free(struct cpu_control *control); /* what is enforced stays; waits for the worker; NULL is fine */

/* cpu_control_changed(control): a VM or its wishes may have changed: look soon. */
void cpu_control_changed(struct cpu_control *control);

/* cpu_control_recording(control, error): what was recorded, likewise, as cpu_record_copy() gives it. */
int cpu_control_recording(struct cpu_control *control, GError **error);

/* cpu_control_figures(control, error): what each vCPU got, as JSON in a file of its own, owned by the caller. -1 without
 * error: not yet, ask again in a moment. */
int cpu_control_figures(struct cpu_control *control, GError **error);
