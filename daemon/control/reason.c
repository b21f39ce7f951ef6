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

static const char *host_name_of(const struct accounts *accounts, guint32 host)
{
	const struct account_host *at = accounts_at(accounts, host);

	return at ? at->name : "";
}

char *reason_amount(enum allocation_dimension dimension, guint64 amount)
{
	static const char *const of[] = { [ALLOCATION_MEMORY] = "of memory",
					  [ALLOCATION_HUGE_2M] = "of 2M huge pages",
					  [ALLOCATION_HUGE_1G] = "of 1G huge pages",
					  [ALLOCATION_DISK] = "of disk" };

	if (dimension == ALLOCATION_CPU)
		return g_strdup_printf("%g vCPU%s", (double)amount / 1000, plural(amount == 1000 ? 1 : 2));
	if (dimension == ALLOCATION_CPU_RESERVE)
		return g_strdup_printf("%g%% of a CPU reserved", (double)amount / 10);
	if (dimension == ALLOCATION_NETWORK)
		return g_strdup_printf("%" G_GUINT64_FORMAT " Mbit/s", amount);
	if (dimension < G_N_ELEMENTS(of) && of[dimension]) {
		g_autofree char *size = reason_size(amount * ACCOUNTS_MIB);

		return g_strdup_printf("%s %s", size, of[dimension]);
	}
	return g_strdup_printf("%" G_GUINT64_FORMAT " of an extended resource", amount);
}

/* ---- Constraints ---- */

static char *joined(char *const *texts)
{
	return texts ? g_strjoinv(", ", (char **)texts) : g_strdup("");
}

static char *joined_spread(char *const *texts)
{
	return joined(texts);
}

char *reason_constraint(const struct demand *demand, enum allocation_constraint constraint, guint n)
{
	static const struct {
		const char *one, *many;
	} verbs[ALLOCATION_CONSTRAINTS] = {
		[ALLOCATION_IS_AWAY] = { "is away", "are away" },
		[ALLOCATION_IS_CORDONED] = { "is cordoned", "are cordoned" },
		[ALLOCATION_LACKS_ENGINE] = { "lacks the engine", "lack the engine" },
		[ALLOCATION_LACKS_CPU_MODEL] = { "lacks the processor level", "lack the processor level" },
		[ALLOCATION_LACKS_LABEL] = { "has other labels than asked for:", "have other labels than asked for:" },
		[ALLOCATION_IS_TAINTED] = { "is tainted", "are tainted" },
		[ALLOCATION_IS_EXCLUSIVE] = { "is kept for one tenant", "are kept for one tenant" },
		[ALLOCATION_LACKS_CPU] = { "lacks CPUs", "lack CPUs" },
		[ALLOCATION_LACKS_MEMORY] = { "lacks memory", "lack memory" },
		[ALLOCATION_LACKS_HUGE_2M] = { "lacks 2M huge pages", "lack 2M huge pages" },
		[ALLOCATION_LACKS_HUGE_1G] = { "lacks 1G huge pages", "lack 1G huge pages" },
		[ALLOCATION_LACKS_DISK] = { "lacks disk", "lack disk" },
		[ALLOCATION_LACKS_NETWORK] = { "lacks network bandwidth", "lack network bandwidth" },
		[ALLOCATION_LACKS_CPU_RESERVE] = { "lacks CPU to reserve", "lack CPU to reserve" },
		[ALLOCATION_LACKS_EXTENDED] = { "lacks", "lack" },
		[ALLOCATION_LACKS_NUMA] = { "lacks room on its NUMA nodes", "lack room on their NUMA nodes" },
		[ALLOCATION_BREAKS_AFFINITY] = { "breaks affinity", "break affinity" },
		[ALLOCATION_BREAKS_ANTI_AFFINITY] = { "breaks anti-affinity", "break anti-affinity" },
		[ALLOCATION_BREAKS_SPREAD] = { "breaks spread", "break spread" },
		[ALLOCATION_BREAKS_HEADROOM] = { "would leave no head-room", "would leave no head-room" },
	};
	g_autofree char *what = NULL;
	const char *verb = n == 1 ? verbs[constraint].one : verbs[constraint].many;

	if (constraint == ALLOCATION_LACKS_ENGINE)
		what = g_strdup(demand->engine);
	else if (constraint == ALLOCATION_LACKS_CPU_MODEL)
		what = g_strdup(demand->cpu_model);
	else if (constraint == ALLOCATION_LACKS_LABEL)
		what = joined(demand->require && *demand->require ? demand->require : demand->avoid_labels);
	else if (constraint == ALLOCATION_LACKS_EXTENDED)
		what = joined(demand->extended);
	else if (constraint == ALLOCATION_BREAKS_AFFINITY)
		what = joined(demand->affinity);
	else if (constraint == ALLOCATION_BREAKS_ANTI_AFFINITY)
		what = demand->anti_affinity && *demand->anti_affinity ? joined(demand->anti_affinity)
								       : g_strdup("of VMs there");
	else if (constraint == ALLOCATION_BREAKS_SPREAD)
		what = joined_spread(demand->spread);
	return what && *what ? g_strdup_printf("%u %s %s", n, verb, what) : g_strdup_printf("%u %s", n, verb);
}

char *reason_counts(const struct reason_case *why)
{
	GString *text = g_string_new(NULL);

	for (guint c = ALLOCATION_IS_CORDONED; c < ALLOCATION_CONSTRAINTS; c++) {
		g_autofree char *one = NULL;

		if (!why->ruled_out[c])
			continue;
		one = reason_constraint(why->demand, (enum allocation_constraint)c, why->ruled_out[c]);
		g_string_append_printf(text, "%s%s", text->len ? ", " : "", one);
	}
	return g_string_free(text, FALSE);
}

char *reason_relief(const struct reason_case *why)
{
	const struct allocation_relief *relief = &why->relief;
	const char *host = host_name_of(why->accounts, relief->host);
	g_autofree char *amount = NULL;

	switch (relief->kind) {
	case ALLOCATION_RELIEF_SHRINK:
		amount = reason_amount(relief->dimension, relief->amount);
		return g_strdup_printf("it would fit with at most %s (on %s)", amount, host);
	case ALLOCATION_RELIEF_DROP:
		if (relief->constraint == ALLOCATION_LACKS_CPU_RESERVE)
			return g_strdup_printf("without a reservation it would fit on %s", host);
		return g_strdup_printf("without its %s constraint it would fit on %s",
				       allocation_constraint_names[relief->constraint], host);
	case ALLOCATION_RELIEF_SPLIT:
		return g_strdup_printf("split over %u NUMA nodes it would fit on %s", relief->amount, host);
	case ALLOCATION_RELIEF_UNCORDON:
		return g_strdup_printf("it would fit on %s if that were uncordoned", host);
	case ALLOCATION_RELIEF_NONE:
		break;
	}
	return g_strdup("");
}

/* ---- Explaining ---- */

static void explain_uncharged(struct accounts *accounts, const struct demand *demand,
			      const struct account_request *request, struct reason_case *out)
{
	accounts_decide(accounts, demand, request, &out->decision);
	for (guint i = 0; i < accounts->hosts->len; i++) {
		const struct account_host *at = accounts_at(accounts, i);
		enum allocation_constraint first;

		if (!at || !at->present)
			continue;
		first = accounts_violates(accounts, demand, request, i);
		if (first < ALLOCATION_CONSTRAINTS) {
			out->ruled_out[first]++;
			continue;
		}
		out->n_feasible++;
		if (out->runner_up == ALLOCATION_NONE && i != out->decision.fit.host)
			out->runner_up = i;
	}
}

/* Too few processors are labels to the world. */
static void count_threads(const struct accounts *accounts, const struct demand *demand,
			  const struct account_request *request, struct reason_case *out)
{
	if (accounts->least_cpus >= request->threads || !out->ruled_out[ALLOCATION_LACKS_LABEL])
		return;
	for (guint i = 0; i < accounts->hosts->len; i++) {
		const struct account_host *at = accounts_at(accounts, i);

		if (at && at->present &&
		    allocation_world_violates(accounts->world, &request->request, i) == ALLOCATION_LACKS_LABEL &&
		    accounts_violates(accounts, demand, request, i) == ALLOCATION_LACKS_CPU) {
			out->ruled_out[ALLOCATION_LACKS_LABEL]--;
			out->ruled_out[ALLOCATION_LACKS_CPU]++;
		}
	}
	if (out->relief.kind == ALLOCATION_RELIEF_DROP && out->relief.constraint == ALLOCATION_LACKS_LABEL &&
	    out->ruled_out[ALLOCATION_LACKS_CPU])
		out->relief.kind = ALLOCATION_RELIEF_NONE;
}

void reason_explain(struct accounts *accounts, const struct demand *demand, const struct account_request *request,
		    struct reason_case *out)
{
	struct allocation_explanation explanation;
	guint32 class_id;

	*out = (struct reason_case) { .accounts = accounts,
				      .demand = demand,
				      .request = request,
				      .explained = TRUE,
				      .runner_up = ALLOCATION_NONE };
	if (!request->charged) {
		explain_uncharged(accounts, demand, request, out);
		return;
	}
	class_id = allocation_world_class(accounts->world, &request->request);
	if (class_id == ALLOCATION_NONE)
		g_error("out of memory");
	allocation_explain(accounts->placer, class_id, (gint64)accounts->now_ms, &explanation);
	allocation_world_class_unref(accounts->world, class_id);
	out->decision = explanation.winner;
	out->runner_up = explanation.runner_up.fit.host;
	out->runner_up_cost = explanation.runner_up.cost;
	out->n_feasible = explanation.n_feasible;
	memcpy(out->ruled_out, explanation.ruled_out, sizeof(out->ruled_out));
	out->relief = explanation.relief;
	out->tightest = explanation.tightest;
	out->tightest_left = explanation.tightest_left;
	count_threads(accounts, demand, request, out);
}

/* ---- Placed ---- */

static void placed_why(GString *text, const struct reason_case *why)
{
	const struct accounts *accounts = why->accounts;
	const char *strategy = accounts->choice.strategy->info.name;
	guint n = accounts->n_present;

	if (n == 1) {
		g_string_append(text, "the only host");
		return;
	}
	if (why->explained && why->n_feasible == 1) {
		g_string_append_printf(text, "the only one of %u that fits", n);
		return;
	}
	switch (why->decision.step) {
	case ALLOCATION_STEP_ONLY:
		g_string_append_printf(text, "the only one of %u that fits", n);
		break;
	case ALLOCATION_STEP_PENALTY:
		g_string_append_printf(text, "of %u, none breaks fewer of its wishes", n);
		break;
	case ALLOCATION_STEP_COST:
		g_string_append_printf(text, "the best of %u by %s", n, strategy);
		break;
	case ALLOCATION_STEP_TIE:
		g_string_append_printf(text, "the first of the best of %u by %s", n, strategy);
		break;
	case ALLOCATION_STEP_DRAW:
		g_string_append_printf(text, "drawn from %u by %s", n, strategy);
		break;
	default:
		g_string_append_printf(text, "the first of %u that fits", n);
		break;
	}
	if (why->explained && why->runner_up != ALLOCATION_NONE)
		g_string_append_printf(text, ", then %s", host_name_of(accounts, why->runner_up));
}

static void append_fit(GString *text, const struct accounts *accounts, guint host, const struct demand *demand)
{
	g_autofree char *memory = reason_size(demand->memory_bytes);
	g_autofree char *left = reason_size(accounts_free_bytes(accounts, host));
	g_autofree char *total = reason_size(accounts_at(accounts, host)->record.memory_bytes);

	g_string_append_printf(text, "%" G_GUINT64_FORMAT " vCPU%s and %s fit (%s free of %s)", demand->cpus,
			       plural(demand->cpus), memory, left, total);
}

char *reason_placed(const struct reason_case *why)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *counts = why->explained ? reason_counts(why) : g_strdup("");

	g_string_printf(text, "host %s: ", host_name_of(why->accounts, why->decision.fit.host));
	placed_why(text, why);
	g_string_append(text, "; ");
	append_fit(text, why->accounts, why->decision.fit.host, why->demand);
	if (*counts)
		g_string_append_printf(text, "; %s", counts);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

char *reason_start(const struct accounts *accounts, guint host, const struct demand *demand)
{
	GString *text = g_string_new(NULL);

	g_string_printf(text, "host %s: it stays there; ", host_name_of(accounts, host));
	append_fit(text, accounts, host, demand);
	return g_string_free(text, FALSE);
}

char *reason_stopped(const char *host)
{
	return g_strdup_printf("host %s: it stays there, and takes no memory while it is stopped", host);
}
