#include "daemon/control/reason.h"

#include <string.h>

#define EXACT_MAX 10000u /* a whole number up to here reads better than a rounded one of the next unit: 9999T */

char *reason_size(guint64 bytes)
{
	static const char units[] = "KMGTPE";
	int shift;

	for (shift = 6; shift > 0; shift--) {
		guint64 unit = 1ull << (10 * shift);

		if (bytes >= unit && bytes % unit == 0 && bytes / unit < EXACT_MAX)
			return g_strdup_printf("%" G_GUINT64_FORMAT "%c", bytes / unit, units[shift - 1]);
	}
	for (shift = 6; shift > 0; shift--) {
		guint64 unit = 1ull << (10 * shift);

		if (bytes >= unit)
			return g_strdup_printf("%" G_GUINT64_FORMAT ".%u%c", bytes / unit,
					       (guint)((bytes % unit >> (10 * (shift - 1))) * 10 / 1024),
					       units[shift - 1]);
	}
	return g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
}

static const char *plural(guint64 n)
{
	return n == 1 ? "" : "s";
}

char *reason_placed(const struct reason_hosts *hosts, const struct vm *vm, const struct allocation_decision *decision)
{
	const struct allocation_host *host = &hosts->hosts[decision->winner];
	g_autofree char *memory = reason_size(vm->memory_bytes);
	g_autofree char *left = reason_size(allocation_free_bytes(host));
	g_autofree char *total = reason_size(host->memory_bytes);
	g_autoptr(GString) text = g_string_new(NULL);
	gsize memory_out = decision->ruled_out[ALLOCATION_MEMORY], cpus_out = decision->ruled_out[ALLOCATION_CPUS];

	g_string_printf(text, "host %s: ", hosts->names[decision->winner]);
	if (hosts->n_present == 1)
		g_string_append(text, "the only host");
	else
		g_string_append_printf(text, "the first of %zu that fits", hosts->n_present);
	g_string_append_printf(text, "; %" G_GUINT64_FORMAT " vCPU%s and %s fit (%s free of %s)", vm->cpus,
			       plural(vm->cpus), memory, left, total);
	if (memory_out)
		g_string_append_printf(text, "; %zu before it lacked memory", memory_out);
	if (cpus_out)
		g_string_append_printf(text, "; %zu before it lacked CPUs", cpus_out);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The present host with the most of what `constraint` is about, among those that it ruled out; n_hosts: none. */
static gsize best_of(const struct reason_hosts *hosts, const struct allocation_request *request,
		     enum allocation_constraint constraint)
{
	gsize best = hosts->n_hosts;
	guint64 most = 0;

	for (gsize i = 0; i < hosts->n_hosts; i++) {
		const struct allocation_host *host = &hosts->hosts[i];
		guint64 has = 0;

		if (!hosts->engines[i] || allocation_violates(host, request) != constraint)
			continue;
		if (constraint == ALLOCATION_CPUS)
			has = host->cpus;
		else if (constraint == ALLOCATION_MEMORY)
			has = request->charged ? allocation_free_bytes(host) : host->memory_bytes;
		if (best == hosts->n_hosts || has > most) {
			best = i;
			most = has;
		}
	}
	return best;
}

static void refused_memory(GString *text, const struct reason_hosts *hosts, const struct vm *vm,
			   const struct allocation_request *request)
{
	gsize best = best_of(hosts, request, ALLOCATION_MEMORY);
	const struct allocation_host *host = &hosts->hosts[best];
	g_autofree char *wanted = reason_size(vm->memory_bytes);
	g_autofree char *has = reason_size(request->charged ? allocation_free_bytes(host) : host->memory_bytes);

	g_string_append_printf(text, "no host has %s of memory%s: ", wanted, request->charged ? " free" : "");
	if (hosts->n_present == 1)
		g_string_append_printf(text, "%s has %s", hosts->names[best], has);
	else
		g_string_append_printf(text, "the most is %s on %s", has, hosts->names[best]);
}

static void refused_cpus(GString *text, const struct reason_hosts *hosts, const struct vm *vm,
			 const struct allocation_request *request)
{
	gsize best = best_of(hosts, request, ALLOCATION_CPUS);

	g_string_append_printf(text, "no host has %" G_GUINT64_FORMAT " CPUs: ", vm->cpus);
	if (hosts->n_present == 1)
		g_string_append_printf(text, "%s has %" G_GUINT64_FORMAT, hosts->names[best], hosts->hosts[best].cpus);
	else
		g_string_append_printf(text, "the most is %" G_GUINT64_FORMAT " on %s", hosts->hosts[best].cpus,
				       hosts->names[best]);
}

static void refused_engine(GString *text, const struct reason_hosts *hosts, const struct vm *vm,
			   const struct allocation_request *request)
{
	gsize best = best_of(hosts, request, ALLOCATION_ENGINE);
	const char *engines = hosts->engines[best];

	g_string_append_printf(text, "no host offers the engine %s: %s offers %s", vm->engine, hosts->names[best],
			       *engines ? engines : "none");
}

char *reason_refused(const struct reason_hosts *hosts, const struct vm *vm, const struct allocation_request *request,
		     const struct allocation_decision *decision)
{
	g_autoptr(GString) text = g_string_new(NULL);
	gsize others = 0;

	/* The constraint tested last was the closest to a fit: that one leads. */
	if (best_of(hosts, request, ALLOCATION_MEMORY) < hosts->n_hosts) {
		refused_memory(text, hosts, vm, request);
		others = hosts->n_present - decision->ruled_out[ALLOCATION_MEMORY];
	} else if (best_of(hosts, request, ALLOCATION_CPUS) < hosts->n_hosts) {
		refused_cpus(text, hosts, vm, request);
		others = hosts->n_present - decision->ruled_out[ALLOCATION_CPUS];
	} else {
		g_assert(hosts->n_present > 0);
		refused_engine(text, hosts, vm, request);
	}
	if (others)
		g_string_append_printf(text, "; %zu other%s ruled out for CPUs or engine", others, plural(others));
	return g_string_free(g_steal_pointer(&text), FALSE);
}

char *reason_start(const struct reason_hosts *hosts, gsize host, const struct vm *vm)
{
	g_autofree char *memory = reason_size(vm->memory_bytes);
	g_autofree char *left = reason_size(allocation_free_bytes(&hosts->hosts[host]));
	g_autofree char *total = reason_size(hosts->hosts[host].memory_bytes);

	return g_strdup_printf("host %s: it stays there; %" G_GUINT64_FORMAT " vCPU%s and %s fit (%s free of %s)",
			       hosts->names[host], vm->cpus, plural(vm->cpus), memory, left, total);
}

char *reason_held(const struct reason_hosts *hosts, gsize host, const struct vm *vm,
		  const struct allocation_request *request)
{
	const struct allocation_host *account = &hosts->hosts[host];
	g_autofree char *wanted = reason_size(vm->memory_bytes);
	g_autofree char *has = NULL;

	switch (allocation_violates(account, request)) {
	case ALLOCATION_ENGINE:
		return g_strdup_printf("host %s, on which the VM is, offers no engine %s any more", hosts->names[host],
				       vm->engine);
	case ALLOCATION_CPUS:
		return g_strdup_printf("host %s has %" G_GUINT64_FORMAT " CPUs and the VM takes %" G_GUINT64_FORMAT,
				       hosts->names[host], account->cpus, vm->cpus);
	default:
		has = reason_size(request->charged ? allocation_free_bytes(account) : account->memory_bytes);
		return g_strdup_printf("host %s has %s of memory%s and the VM takes %s", hosts->names[host], has,
				       request->charged ? " free" : "", wanted);
	}
}

char *reason_stopped(const struct reason_hosts *hosts, gsize host)
{
	return g_strdup_printf("host %s: it stays there, and takes no memory while it is stopped", hosts->names[host]);
}
