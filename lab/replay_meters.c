#include "lab/replay_meters.h"

#include <time.h>

struct share {
	guint32 tenant, n_vms;
	guint64 cpus;
};

struct host {
	guint64 cpus;
	guint64 sum; /* over tenants: VMs × vCPUs */
	struct share *share;
	guint32 n, room;
};

struct sharing {
	struct host *host;
	guint32 n_hosts;
	double sum;
};

struct sharing *sharing_new(void)
{
	return g_new0(struct sharing, 1);
}

void sharing_free(struct sharing *sharing)
{
	if (!sharing)
		return;
	for (guint32 i = 0; i < sharing->n_hosts; i++)
		g_free(sharing->host[i].share);
	g_free(sharing->host);
	g_free(sharing);
}

static struct host *host_of(struct sharing *sharing, guint32 number)
{
	if (number >= sharing->n_hosts) {
		guint32 room = MAX(number + 1, sharing->n_hosts * 2);
		sharing->host = g_renew(struct host, sharing->host, room);
		for (guint32 i = sharing->n_hosts; i < room; i++)
			sharing->host[i] = (struct host) { 0 };
		sharing->n_hosts = room;
	}
	return &sharing->host[number];
}

static struct share *share_of(struct host *host, guint32 tenant)
{
	guint32 i = 0;

	while (i < host->n && host->share[i].tenant != tenant)
		i++;
	if (i == host->n) {
		if (host->n == host->room) {
			host->room = MAX(4, host->room * 2);
			host->share = g_renew(struct share, host->share, host->room);
		}
		host->share[host->n++] = (struct share) { tenant, 0, 0 };
	}
	return &host->share[i];
}

static double host_part(const struct host *host)
{
	return host->cpus ? (double)host->sum / (double)host->cpus : 0;
}

void sharing_place(struct sharing *sharing, guint32 number, guint32 tenant, guint32 cpus_milli)
{
	struct host *host = host_of(sharing, number);
	struct share *share = share_of(host, tenant);

	sharing->sum -= host_part(host);
	host->sum -= share->n_vms * share->cpus;
	share->n_vms++;
	share->cpus += cpus_milli;
	host->sum += share->n_vms * share->cpus;
	host->cpus += cpus_milli;
	sharing->sum += host_part(host);
}

void sharing_remove(struct sharing *sharing, guint32 number, guint32 tenant, guint32 cpus_milli)
{
	struct host *host = host_of(sharing, number);
	struct share *share = share_of(host, tenant);

	sharing->sum -= host_part(host);
	host->sum -= share->n_vms * share->cpus;
	share->n_vms--;
	share->cpus -= cpus_milli;
	host->sum += share->n_vms * share->cpus;
	host->cpus -= cpus_milli;
	sharing->sum += host_part(host);
	if (share->n_vms == 0)
		*share = host->share[--host->n];
}

double sharing_sum(const struct sharing *sharing)
{
	return MAX(sharing->sum, 0);
}

guint64 meter_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (guint64)now.tv_sec * G_GUINT64_CONSTANT(1000000000) + (guint64)now.tv_nsec;
}

void durations_add(struct durations *durations, guint64 ns)
{
	guint power = 0;

	ns = MAX(ns, METER_STEPS);
	while (ns >> (power + 1))
		power++;
	durations->count[power * METER_STEPS + ((ns >> (power - 4)) & (METER_STEPS - 1))]++;
	durations->n++;
}

double durations_quantile(const struct durations *durations, double quantile)
{
	double wanted = quantile * (double)durations->n;
	guint64 sum = 0;

	for (guint i = 0; i < G_N_ELEMENTS(durations->count); i++) {
		sum += durations->count[i];
		if (durations->count[i] && (double)sum >= wanted) {
			guint64 bound = (G_GUINT64_CONSTANT(1) << (i / METER_STEPS)) / METER_STEPS *
					(METER_STEPS + i % METER_STEPS);

			return (double)bound;
		}
	}
	return 0;
}
