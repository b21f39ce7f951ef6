/* Requests: from what a VM asks for to what core/allocation compares. */
#include <string.h>

#include "daemon/control/accounts.h"
#include "daemon/model/error.h"
#include "daemon/model/placement.h"

struct account_held {
	struct numbers *numbers;
	guint32 number;
};

struct making {
	struct accounts *accounts;
	const struct demand *demand;
	struct account_request *out;
	gboolean lenient; /* leave out what can't be numbered */
	GError **error;
};

static guint32 hold(struct making *making, struct numbers *numbers, const char *name, gboolean *is_new)
{
	struct account_held held = { .numbers = numbers, .number = numbers_ref(numbers, name, is_new) };

	if (!held.number) {
		if (!making->lenient && making->error && !*making->error)
			g_set_error(
				making->error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
				"%s: the VMs there are already ask for %u others of its kind, the most there can be",
				name, numbers->max);
		return 0;
	}
	if (!making->out->held)
		making->out->held = g_array_sized_new(FALSE, FALSE, sizeof(struct account_held), 4);
	g_array_append_val(making->out->held, held);
	return held.number;
}

void accounts_release(struct accounts *accounts, GArray *held)
{
	for (guint i = 0; held && i < held->len; i++) {
		const struct account_held *one = &g_array_index(held, struct account_held, i);

		numbers_unref(one->numbers, one->number);
	}
	if (held)
		g_array_unref(held);
}

void accounts_unmake(struct accounts *accounts, struct account_request *request)
{
	accounts_release(accounts, request->held);
	request->held = NULL;
}

/* ---- Amounts ---- */

/* Rounded up, and less of it where the pool gives out more than it is charged. */
static guint32 scaled(guint64 amount, guint64 percent)
{
	if (!percent || percent == 100)
		return (guint32)MIN(amount, (guint64)UINT32_MAX);
	amount = MIN(amount, G_MAXUINT64 / 200);
	return (guint32)MIN((amount * 100 + percent - 1) / percent, (guint64)UINT32_MAX);
}

static guint64 mib(guint64 bytes)
{
	return bytes / ACCOUNTS_MIB + (bytes % ACCOUNTS_MIB != 0);
}

static gboolean make_amounts(struct making *making, const struct account_pool *pool)
{
	static const guint memory_of[] = { [VM_HUGEPAGES_NONE] = ALLOCATION_MEMORY,
					   [VM_HUGEPAGES_2M] = ALLOCATION_HUGE_2M,
					   [VM_HUGEPAGES_1G] = ALLOCATION_HUGE_1G };
	const struct demand *demand = making->demand;
	guint32 *amount = making->out->request.amount;

	amount[ALLOCATION_CPU] = scaled(demand->cpus * 1000, pool ? pool->record.cpu_overcommit_percent : 100);
	amount[memory_of[demand->hugepages]] =
		scaled(mib(demand->memory_bytes), pool ? pool->record.memory_overcommit_percent : 100);
	amount[ALLOCATION_DISK] = scaled(mib(demand->disk_bytes), 100);
	amount[ALLOCATION_NETWORK] = scaled(demand->network_bps / 1000000 + (demand->network_bps % 1000000 != 0), 100);
	amount[ALLOCATION_CPU_RESERVE] = scaled(demand->cpu_reserve_percent * 10, 100);
	for (char **text = demand->extended; text && *text; text++) {
		struct extended extended;
		guint32 number;

		if (!extended_parse(*text, &extended, making->lenient ? NULL : making->error))
			return making->lenient;
		number = hold(making, &making->accounts->extended, extended.name, NULL);
		if (number)
			amount[ALLOCATION_EXTENDED + number - 1] += extended.count;
		else if (!making->lenient)
			return FALSE;
	}
	return TRUE;
}

/* ---- Labels ---- */

static gboolean make_bits(struct making *making, struct numbers *numbers, char *const *names, guint64 *bits)
{
	for (; names && *names; names++) {
		gboolean is_new = FALSE;
		guint32 number = hold(making, numbers, *names, &is_new);

		if (number)
			*bits |= 1ull << (number - 1);
		else if (!making->lenient)
			return FALSE;
		if (number && is_new)
			accounts_relabel(making->accounts, *names);
	}
	return TRUE;
}

static gboolean make_labels(struct making *making)
{
	struct accounts *accounts = making->accounts;
	struct allocation_request *request = &making->out->request;
	char threads[32];
	char *const names[] = { threads, NULL };

	/* A VM's own vCPUs never share a processor by need; different VMs' may. */
	g_snprintf(threads, sizeof(threads), "#cpus>=%" G_GUINT64_FORMAT, making->demand->cpus);
	if (making->out->threads > accounts->least_cpus &&
	    !make_bits(making, &accounts->labels, names, &request->labels_required))
		return FALSE;
	return make_bits(making, &accounts->labels, making->demand->require, &request->labels_required) &&
	       make_bits(making, &accounts->labels, making->demand->avoid_labels, &request->labels_forbidden) &&
	       make_bits(making, &accounts->taints, making->demand->tolerate, &request->tolerates);
}

/* ---- Groups ---- */

static guint32 hold_group(struct making *making, const char *name, gboolean is_vm)
{
	char key[2 + LIMIT_NAME_BYTES + 1];
	gboolean is_new = FALSE;
	guint32 number;

	g_snprintf(key, sizeof(key), "%c:%s", is_vm ? 'v' : 'g', name);
	number = hold(making, &making->accounts->groups, key, &is_new);
	/* It was no group of its own so far. */
	if (is_new && is_vm && g_strcmp0(name, making->demand->name) != 0)
		g_ptr_array_add(making->accounts->regroup, g_strdup(name));
	return number;
}

static gboolean make_terms(struct making *making, char *const *texts, gboolean anti, guint *n)
{
	struct allocation_request *request = &making->out->request;

	for (; texts && *texts; texts++) {
		struct term term;

		if (*n == ALLOCATION_TERMS_MAX) {
			if (making->lenient)
				return TRUE;
			g_set_error(making->error, POLDER_ERROR, POLDER_ERROR_INVALID,
				    "affinity and anti-affinity together have more than %u terms",
				    ALLOCATION_TERMS_MAX);
			return FALSE;
		}
		if (!term_parse(*texts, &term, making->lenient ? NULL : making->error)) {
			if (making->lenient)
				continue;
			return FALSE;
		}
		request->term[(*n)++] = (struct allocation_term) { .group = hold_group(making, term.name, term.is_vm),
								   .level = (uint8_t)term.level,
								   .anti = anti,
								   .soft_weight = term.soft_weight };
	}
	return TRUE;
}

/* The group of its first anti-affinity, when it names none of its own: its like keep apart from each other. */
static gboolean own_group(const struct demand *demand, struct term *term)
{
	for (char **text = demand->anti_affinity; text && *text; text++) {
		if (term_parse(*text, term, NULL) && !term->is_vm)
			return TRUE;
	}
	return FALSE;
}

static gboolean make_members(struct making *making)
{
	struct allocation_request *request = &making->out->request;
	const struct demand *demand = making->demand;
	g_autofree char *own = g_strconcat("v:", demand->name ? demand->name : "", NULL);
	struct term term;
	guint n = 0;

	for (char **group = demand->groups; group && *group && n < ALLOCATION_MEMBER_MAX; group++)
		request->member_of[n++] = hold_group(making, *group, FALSE);
	if (!n && own_group(demand, &term))
		request->member_of[n++] = hold_group(making, term.name, FALSE);
	if (!numbers_find(&making->accounts->groups, own))
		return TRUE;
	if (n < ALLOCATION_MEMBER_MAX) {
		request->member_of[n] = hold_group(making, demand->name, TRUE);
		return TRUE;
	}
	if (making->lenient)
		return TRUE;
	g_set_error(making->error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
		    "other VMs refer to vm %s in their affinity: it may then be in at most %u groups", demand->name,
		    ALLOCATION_MEMBER_MAX - 1);
	return FALSE;
}

static gboolean make_spreads(struct making *making)
{
	struct allocation_request *request = &making->out->request;
	guint n = 0;

	for (char **text = making->demand->spread; text && *text && n < ALLOCATION_SPREADS_MAX; text++) {
		struct spread spread;

		if (!request->member_of[0]) {
			if (making->lenient)
				return TRUE;
			g_set_error(making->error, POLDER_ERROR, POLDER_ERROR_INVALID,
				    "a spread counts the VM's first group, and it has none: give it one with --group");
			return FALSE;
		}
		if (!spread_parse(*text, &spread, making->lenient ? NULL : making->error)) {
			if (making->lenient)
				continue;
			return FALSE;
		}
		request->spread[n++] = (struct allocation_spread) { .group = request->member_of[0],
								    .level = (uint8_t)spread.level,
								    .max_skew = spread.max_skew,
								    .soft_weight = spread.soft_weight };
	}
	return TRUE;
}

/* ---- The whole ---- */

static void make_tenant(struct making *making)
{
	const struct demand *demand = making->demand;
	char name[LIMIT_NAME_BYTES + 1];

	if (demand->tenant && *demand->tenant)
		g_strlcpy(name, demand->tenant, sizeof(name));
	else
		g_snprintf(name, sizeof(name), "uid-%" G_GUINT64_FORMAT, demand->owner_uid);
	making->out->request.tenant = hold(making, &making->accounts->tenants, name, NULL);
}

static void make_numa(struct allocation_request *request, const struct demand *demand)
{
	static const uint8_t numa_of[] = { [VM_NUMA_ANY] = ALLOCATION_NUMA_ANY,
					   [VM_NUMA_ONE] = ALLOCATION_NUMA_ONE,
					   [VM_NUMA_SPLIT] = ALLOCATION_NUMA_SPLIT };

	request->numa = numa_of[demand->numa];
	if (demand->numa == VM_NUMA_SPLIT)
		request->numa_nodes = (uint8_t)CLAMP(demand->numa_nodes, 2, ALLOCATION_NODES_MAX);
	request->exclusive_host = demand->exclusive == VM_EXCLUSIVE_HOST;
	request->exclusive_cores = demand->exclusive == VM_EXCLUSIVE_CORE;
	if (demand->cpu_model && *demand->cpu_model)
		cpu_level_parse(demand->cpu_model, &request->cpu_level, NULL);
}

/* What a VM takes; nothing of it is asked of a real host by a simulated VM. */
static gboolean make_charged(struct making *making, const struct account_pool *pool)
{
	struct accounts *accounts = making->accounts;
	struct allocation_request *request = &making->out->request;
	const char *engine = making->demand->engine ? making->demand->engine : "";
	guint32 number = numbers_find(&accounts->engines, engine);

	making->out->threads = making->demand->cpus;
	if (!number)
		number = numbers_ref(&accounts->engines, engine, NULL);
	request->engine = number ? 1u << (number - 1) : 0;
	request->priority = (int32_t)making->demand->priority - 500;
	request->pool = pool ? pool->index : 0;
	make_numa(request, making->demand);
	return make_amounts(making, pool);
}

gboolean accounts_make(struct accounts *accounts, const struct demand *demand, const struct account_host *host,
		       struct account_request *out, GError **error)
{
	struct making making = {
		.accounts = accounts, .demand = demand, .out = out, .lenient = host != NULL, .error = error
	};
	const char *name = demand->pool && *demand->pool ? demand->pool : "default";
	const struct account_pool *pool = accounts_pool_find(accounts, name);
	guint terms = 0;

	memset(out, 0, sizeof(*out));
	if (!pool && !host && strcmp(name, "default") != 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "there is no pool '%s': see polder pool ls",
			    name);
		return FALSE;
	}
	if (demand_is_sim(demand))
		out->charged = host ? host->record.simulated : accounts->n_simulated > 0;
	else
		out->charged = TRUE;
	make_tenant(&making);
	if ((out->charged && !make_charged(&making, pool)) || !make_labels(&making) || !make_members(&making) ||
	    !make_terms(&making, demand->affinity, FALSE, &terms) ||
	    !make_terms(&making, demand->anti_affinity, TRUE, &terms) || !make_spreads(&making)) {
		accounts_unmake(accounts, out);
		return FALSE;
	}
	return TRUE;
}
