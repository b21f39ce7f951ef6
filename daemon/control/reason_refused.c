/* What keeps a VM from a host, in words. */
#include <string.h>

#include "daemon/control/reason.h"

static guint64 memory_of(const struct reason_case *why, guint host)
{
	return why->request->charged ? accounts_free_bytes(why->accounts, host)
				     : accounts_at(why->accounts, host)->record.memory_bytes;
}

static guint64 reserve_of(const struct reason_case *why, guint host)
{
	return why->request->charged ? accounts_reserve_left(why->accounts, host)
				     : accounts_reserve_most(why->accounts, host);
}

/* The present host with the most of what `constraint` is about, among those that it ruled out; -1: none. */
static gint64 best_of(const struct reason_case *why, enum allocation_constraint constraint)
{
	const struct accounts *accounts = why->accounts;
	gint64 best = -1;
	guint64 most = 0;

	for (guint i = 0; why->ruled_out[constraint] && i < accounts->hosts->len; i++) {
		const struct account_host *at = accounts_at(accounts, i);
		guint64 has = 0;

		if (!at || !at->present || accounts_violates(accounts, why->demand, why->request, i) != constraint)
			continue;
		if (constraint == ALLOCATION_LACKS_CPU)
			has = at->record.cpus;
		else if (constraint == ALLOCATION_LACKS_MEMORY)
			has = memory_of(why, i);
		else if (constraint == ALLOCATION_LACKS_CPU_RESERVE)
			has = reserve_of(why, i);
		if (best < 0 || has > most) {
			best = i;
			most = has;
		}
	}
	return best;
}

static void refused_memory(GString *text, const struct reason_case *why, guint best)
{
	g_autofree char *wanted = reason_size(why->demand->memory_bytes);
	g_autofree char *has = reason_size(memory_of(why, best));
	const char *name = accounts_at(why->accounts, best)->name;

	g_string_append_printf(text, "no host has %s of memory%s: ", wanted, why->request->charged ? " free" : "");
	if (why->accounts->n_present == 1)
		g_string_append_printf(text, "%s has %s", name, has);
	else
		g_string_append_printf(text, "the most is %s on %s", has, name);
}

static guint64 vcpus_free(const struct accounts *accounts, guint host)
{
	const struct allocation_host_state *state = &allocation_world_hosts(accounts->world)[host];
	guint64 free = 0;

	for (guint n = 0; n < state->n_nodes; n++)
		free += state->node[n].free[ALLOCATION_CPU];
	return free / 1000;
}

static void refused_cpus(GString *text, const struct reason_case *why, guint best)
{
	const struct account_host *at = accounts_at(why->accounts, best);
	gboolean is_small = at->record.cpus < why->demand->cpus;
	guint64 has = is_small ? at->record.cpus : vcpus_free(why->accounts, best);

	g_string_append_printf(text, "no host has %" G_GUINT64_FORMAT " %s: ", why->demand->cpus,
			       is_small                 ? "CPUs"
			       : why->demand->cpus == 1 ? "vCPU free"
							: "vCPUs free");
	if (why->accounts->n_present == 1)
		g_string_append_printf(text, "%s has %" G_GUINT64_FORMAT, at->name, has);
	else if (is_small)
		g_string_append_printf(text, "the most is %" G_GUINT64_FORMAT " on %s", has, at->name);
	else
		g_string_append_printf(text, "%s has %" G_GUINT64_FORMAT, at->name, has);
}

static void refused_reserve(GString *text, const struct reason_case *why, guint best)
{
	const char *name = accounts_at(why->accounts, best)->name;

	g_string_append_printf(
		text, "no host can keep %" G_GUINT64_FORMAT "%% of a CPU for it: ", why->demand->cpu_reserve_percent);
	if (why->accounts->n_present == 1)
		g_string_append_printf(text, "%s has %g%% left of the %g%% it may reserve", name,
				       (double)reserve_of(why, best) / 10,
				       (double)accounts_reserve_most(why->accounts, best) / 10);
	else
		g_string_append_printf(text, "the most is %g%% on %s", (double)reserve_of(why, best) / 10, name);
}

static void refused_engine(GString *text, const struct reason_case *why, guint best)
{
	const struct account_host *at = accounts_at(why->accounts, best);
	g_autofree char *engines = at->record.engines ? g_strjoinv(", ", at->record.engines) : g_strdup("");

	g_string_append_printf(text, "no host offers the engine %s: %s offers %s", why->demand->engine, at->name,
			       *engines ? engines : "none");
}

char *reason_refused(const struct reason_case *why)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *counts = reason_counts(why);
	g_autofree char *relief = reason_relief(why);
	gboolean one = why->accounts->n_present == 1, said = TRUE;
	guint last = ALLOCATION_CONSTRAINTS;
	gint64 best;

	/* The constraint tested last was the closest to a fit: that one leads. */
	while (last > 0 && !why->ruled_out[last - 1])
		last--;
	best = last ? best_of(why, (enum allocation_constraint)(last - 1)) : -1;
	if (best >= 0 && last - 1 == ALLOCATION_LACKS_MEMORY) {
		refused_memory(text, why, (guint)best);
	} else if (best >= 0 && last - 1 == ALLOCATION_LACKS_CPU) {
		refused_cpus(text, why, (guint)best);
	} else if (best >= 0 && last - 1 == ALLOCATION_LACKS_CPU_RESERVE) {
		refused_reserve(text, why, (guint)best);
	} else if (best >= 0 && last - 1 == ALLOCATION_LACKS_ENGINE) {
		refused_engine(text, why, (guint)best);
	} else {
		g_string_append_printf(text, "none of %u host%s fits", why->accounts->n_present,
				       why->accounts->n_present == 1 ? "" : "s");
		said = FALSE;
	}
	if (*counts && (!one || !said))
		g_string_append_printf(text, "%s %s", said ? ";" : ":", counts);
	/* Of memory and CPUs a host's lack says what would fit; a reservation need not be there at all. */
	if (*relief && (!said || !one || last - 1 == ALLOCATION_LACKS_CPU_RESERVE))
		g_string_append_printf(text, "; %s", relief);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

char *reason_reserve(const struct accounts *accounts, guint host, guint64 percent, guint64 left)
{
	return g_strdup_printf("host %s can keep %g%% of a CPU for the VM, which asks for %" G_GUINT64_FORMAT
			       "%% (%g%% may be reserved there in all)",
			       accounts_at(accounts, host)->name, (double)left / 10, percent,
			       (double)accounts_reserve_most(accounts, host) / 10);
}

char *reason_held(const struct accounts *accounts, guint host, const struct demand *demand,
		  const struct account_request *request)
{
	const struct account_host *at = accounts_at(accounts, host);
	enum allocation_constraint first = accounts_violates(accounts, demand, request, host);
	g_autofree char *wanted = reason_size(demand->memory_bytes);
	g_autofree char *has = NULL;
	g_autofree char *counted = NULL;

	switch (first) {
	case ALLOCATION_LACKS_ENGINE:
		return g_strdup_printf("host %s, on which the VM is, offers no engine %s any more", at->name,
				       demand->engine);
	case ALLOCATION_LACKS_CPU:
		return g_strdup_printf("host %s has %" G_GUINT64_FORMAT " %s and the VM takes %" G_GUINT64_FORMAT,
				       at->name,
				       at->record.cpus < demand->cpus ? at->record.cpus : vcpus_free(accounts, host),
				       at->record.cpus < demand->cpus ? "CPUs" : "vCPUs free", demand->cpus);
	case ALLOCATION_LACKS_MEMORY:
		has = reason_size(request->charged ? accounts_free_bytes(accounts, host) : at->record.memory_bytes);
		return g_strdup_printf("host %s has %s of memory%s and the VM takes %s", at->name, has,
				       request->charged ? " free" : "", wanted);
	case ALLOCATION_LACKS_CPU_RESERVE:
		return reason_reserve(accounts, host, demand->cpu_reserve_percent,
				      accounts_reserve_left(accounts, host));
	default:
		counted = reason_constraint(demand, first, 1);
		return g_strdup_printf("host %s, on which the VM is, %s", at->name, counted + strlen("1 "));
	}
}

char *reason_pool(const struct accounts *accounts, const struct account_request *request,
		  const struct allocation_pool_verdict *verdict)
{
	const char *name = accounts_pool_name(accounts, verdict->pool);
	const struct allocation_pool *pool = allocation_pools_get(accounts->pools, verdict->pool);
	g_autofree char *left = reason_amount(verdict->dimension, verdict->left);
	g_autofree char *takes = reason_amount(verdict->dimension, request->request.amount[verdict->dimension]);
	g_autofree char *limit = NULL;

	switch (verdict->kind) {
	case ALLOCATION_POOL_AT_QUOTA:
		return g_strdup_printf("pool %s has all of the %" G_GUINT64_FORMAT " VMs it may have", name,
				       pool->max_vms);
	case ALLOCATION_POOL_AT_LIMIT:
		limit = reason_amount(verdict->dimension, pool->limit[verdict->dimension]);
		return g_strdup_printf("pool %s has a limit of %s: %s left, and the VM takes %s", name, limit, left,
				       takes);
	case ALLOCATION_POOL_RESERVED:
		return g_strdup_printf("what pool %s has reserved leaves %s to pool %s, and the VM takes %s", name,
				       left, accounts_pool_name(accounts, request->request.pool), takes);
	case ALLOCATION_POOL_ADMITS:
		break;
	}
	return g_strdup("");
}
