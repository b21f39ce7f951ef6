/* Private to replay: what is measured beside the placing. */
#pragma once

#include <glib.h>

/* Who shares hosts: the sum over VMs of the share of their host's used vCPUs that is their own tenant's. */
struct sharing;
struct sharing *sharing_new(void);
void sharing_free(struct sharing *sharing);
void sharing_place(struct sharing *sharing, guint32 host, guint32 tenant, guint32 cpus_milli);
void sharing_remove(struct sharing *sharing, guint32 host, guint32 tenant, guint32 cpus_milli);
double sharing_sum(const struct sharing *sharing);

/* A histogram of durations: 16 steps for each doubling. */
#define METER_STEPS 16
struct durations {
	guint64 count[64 * METER_STEPS];
	guint64 n;
};
void durations_add(struct durations *durations, guint64 ns);
double durations_quantile(const struct durations *durations, double quantile); /* 0 when there are none */
guint64 meter_now_ns(void);
