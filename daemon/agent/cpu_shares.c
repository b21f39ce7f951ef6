#include "daemon/agent/cpu_shares.h"

#include "core/scheduling/share.h"

/* What is remembered of a vCPU. */
struct share {
	gint64 run_ns, ready_ns; /* counters at the last look */
	struct scheduling_share kept;
	guint seen; /* the look it was in last */
};

/* One that takes part in this look. */
struct part {
	struct share *share;
	struct scheduling_knobs *knobs;
	gint64 run_ns;
	gboolean latency;
};

struct cpu_shares {
	GHashTable *of; /* thread id → struct share, owned */
	gint64 last_ns; /* of the look before; 0: none */
	guint looks;
};

struct cpu_shares *cpu_shares_new(void)
{
	struct cpu_shares *shares = g_new0(struct cpu_shares, 1);

	shares->of = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	return shares;
}

void cpu_shares_free(struct cpu_shares *shares)
{
	if (!shares)
		return;
	g_hash_table_unref(shares->of);
	g_free(shares);
}

static gboolean by_weight(const struct scheduling_knobs *knobs)
{
	return knobs->policy <= SCHEDULING_POLICY_BATCH && knobs->weight && !knobs->n_cpus;
}

static struct share *share_of(struct cpu_shares *shares, pid_t thread, const struct cpu_usage *usage)
{
	struct share *share = g_hash_table_lookup(shares->of, GINT_TO_POINTER(thread));

	/* A counter that ran backwards: another thread has the number now. */
	if (share && share->seen + 1 == shares->looks && (guint64)share->run_ns <= usage->run_ns &&
	    (guint64)share->ready_ns <= usage->ready_ns)
		return share;
	share = g_new0(struct share, 1);
	share->run_ns = (gint64)usage->run_ns;
	share->ready_ns = (gint64)usage->ready_ns;
	g_hash_table_insert(shares->of, GINT_TO_POINTER(thread), share);
	return share;
}

/* What it wanted of the stretch, and what of it is promised. */
static struct scheduling_claim claim_of(const struct scheduling_knobs *knobs, gint64 reserved_ns, gint64 wanted_ns,
					gint64 stretch_ns)
{
	gint64 most = MIN(wanted_ns, stretch_ns);

	if (knobs->quota_ns)
		most = MIN(most, (gint64)((double)stretch_ns * (double)knobs->quota_ns / (double)knobs->period_ns));
	return (struct scheduling_claim) { .weight = knobs->weight, .least_ns = reserved_ns, .most_ns = most };
}

static void calm(struct part *parts, const struct scheduling_claim *claims, guint n)
{
	for (guint i = 0; i < n; i++) {
		parts[i].share->kept.lag_ns = 0;
		parts[i].run_ns = claims[i].due_ns;
	}
}

static void correct(struct part *parts, const struct scheduling_claim *claims, guint n, gint64 stretch_ns)
{
	g_autofree gint64 *weights = g_new(gint64, MAX(n, 1));

	for (guint i = 0; i < n; i++)
		weights[i] = scheduling_correct(&parts[i].share->kept, &claims[i], parts[i].run_ns, stretch_ns,
						parts[i].latency);
	scheduling_fit(weights, claims, n);
	for (guint i = 0; i < n; i++)
		parts[i].knobs->weight = scheduling_take(&parts[i].share->kept, claims[i].weight, weights[i]);
}

static void take_part(struct cpu_shares *shares, const struct cpu_round_vm *vm, guint i, gint64 stretch_ns,
		      GArray *parts, GArray *claims)
{
	struct share *share = share_of(shares, vm->vcpus[i], &vm->usage[i]);
	struct part part = { .share = share, .knobs = &vm->knobs[i], .latency = vm->latency_us > 0 };
	struct scheduling_claim claim;
	gint64 wanted;

	part.run_ns = (gint64)vm->usage[i].run_ns - share->run_ns;
	wanted = part.run_ns + (gint64)vm->usage[i].ready_ns - share->ready_ns;
	share->run_ns = (gint64)vm->usage[i].run_ns;
	share->ready_ns = (gint64)vm->usage[i].ready_ns;
	share->seen = shares->looks;
	claim = claim_of(part.knobs, cpu_round_reserved_ns(vm, stretch_ns), wanted, stretch_ns);
	g_array_append_val(parts, part);
	g_array_append_val(claims, claim);
}

static gboolean is_gone(gpointer key, gpointer value, gpointer looks)
{
	return ((const struct share *)value)->seen != GPOINTER_TO_UINT(looks);
}

/* Between looks that are too close the weights stay what they are. */
static void keep(struct cpu_shares *shares, const struct cpu_round *round)
{
	for (guint v = 0; v < round->vms->len; v++) {
		const struct cpu_round_vm *vm = round->vms->pdata[v];

		for (guint i = 0; i < vm->n_vcpus; i++) {
			const struct share *share = g_hash_table_lookup(shares->of, GINT_TO_POINTER(vm->vcpus[i]));

			if (share && share->kept.weight && share->kept.wished == vm->knobs[i].weight &&
			    by_weight(&vm->knobs[i]))
				vm->knobs[i].weight = share->kept.weight;
		}
	}
}

void cpu_shares_correct(struct cpu_shares *shares, struct cpu_round *round, gint64 now_ns)
{
	g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(struct part));
	g_autoptr(GArray) claims = g_array_new(FALSE, FALSE, sizeof(struct scheduling_claim));
	gint64 stretch_ns = now_ns - shares->last_ns, pool_ns = 0;
	gboolean tells = shares->last_ns && stretch_ns <= CPU_SHARES_STRETCH_MAX_NS;

	if (shares->last_ns && stretch_ns < CPU_SHARES_STRETCH_MIN_NS) {
		keep(shares, round);
		return;
	}
	shares->last_ns = now_ns;
	shares->looks++;
	for (guint v = 0; v < round->vms->len; v++) {
		const struct cpu_round_vm *vm = round->vms->pdata[v];

		for (guint i = 0; i < vm->n_vcpus; i++)
			if (by_weight(&vm->knobs[i]))
				take_part(shares, vm, i, MAX(stretch_ns, 1), parts, claims);
	}
	g_hash_table_foreach_remove(shares->of, is_gone, GUINT_TO_POINTER(shares->looks));
	for (guint i = 0; i < parts->len; i++)
		pool_ns += g_array_index(parts, struct part, i).run_ns;
	scheduling_entitle((struct scheduling_claim *)(void *)claims->data, claims->len, pool_ns);
	if (!scheduling_contended((const struct scheduling_claim *)(const void *)claims->data, claims->len, pool_ns))
		calm((struct part *)(void *)parts->data, (const struct scheduling_claim *)(const void *)claims->data,
		     claims->len);
	if (tells)
		correct((struct part *)(void *)parts->data, (const struct scheduling_claim *)(const void *)claims->data,
			parts->len, stretch_ns);
}
