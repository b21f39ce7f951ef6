/* VMs that are placed together or not at all, and VMs that give way to others. */
#include <string.h>

#include "daemon/control/planner_private.h"
#include "daemon/model/limits.h"

/* ---- Gangs ---- */

static struct gang *gang_find(struct planner *planner, const char *name)
{
	struct gang *gang = g_hash_table_lookup(planner->gangs, name);

	if (!gang) {
		gang = g_new0(struct gang, 1);
		gang->name = g_strdup(name);
		gang->waiting = g_hash_table_new(NULL, NULL);
		g_hash_table_insert(planner->gangs, gang->name, gang);
	}
	return gang;
}

void planner_gang_leave(struct planner *planner, struct entry *entry)
{
	struct gang *gang = g_steal_pointer(&entry->gang);

	if (!gang)
		return;
	g_hash_table_remove(gang->waiting, entry);
	if (!g_hash_table_size(gang->waiting))
		g_hash_table_remove(planner->gangs, gang->name);
}

static gint compare_age(gconstpointer a, gconstpointer b)
{
	const struct entry *left = *(struct entry *const *)a, *right = *(struct entry *const *)b;

	return left->waiting_since < right->waiting_since ? -1 : 1;
}

/* One of the gang by its own records, charged when it fits. Else why not, for people. */
static char *member_place(struct planner *planner, struct entry *entry)
{
	struct accounts *accounts = &planner->accounts;
	struct allocation_pool_verdict verdict = { 0 };
	g_autoptr(GError) error = NULL;
	struct account_request request;
	struct allocation_decision decision;
	struct demand demand;
	char *reason = NULL;
	struct vm vm;

	if (!planner_vm(planner, entry->name, &vm))
		return g_strdup("it is gone");
	demand = demand_of_vm(&vm);
	if (!accounts_make(accounts, &demand, NULL, &request, &error)) {
		noun_clear(&vm_noun, &vm);
		return g_strdup(error->message);
	}
	planner_regroup(planner);
	if (request.charged)
		verdict = allocation_pools_admit(accounts->pools, request.request.pool, request.request.amount);
	accounts_decide(accounts, &demand, &request, &decision);
	if (request.charged && verdict.kind != ALLOCATION_POOL_ADMITS) {
		reason = reason_pool(accounts, &request, &verdict);
	} else if (decision.fit.host == ALLOCATION_NONE) {
		struct reason_case why;

		reason_explain(accounts, &demand, &request, &why);
		reason = reason_refused(&why);
	} else {
		planner_charge(planner, entry, &demand, &request, &decision.fit);
		entry->grant = g_new0(struct grant, 1);
		entry->grant->decision = decision;
	}
	accounts_unmake(accounts, &request);
	noun_clear(&vm_noun, &vm);
	return reason;
}

/* All or none. NULL: all are charged; else why one of them is not. */
static char *gang_place(struct planner *planner, GPtrArray *members)
{
	struct accounts *accounts = &planner->accounts;
	gboolean freed = accounts->freed;
	guint64 epoch = accounts->epoch;

	for (guint i = 0; i < members->len; i++) {
		struct entry *member = g_ptr_array_index(members, i);
		g_autofree char *reason = member_place(planner, member);

		if (!reason)
			continue;
		for (guint j = 0; j < i; j++) {
			struct entry *placed = g_ptr_array_index(members, j);

			accounts_discharge(accounts, &placed->charge);
			g_clear_pointer(&placed->grant, g_free);
		}
		accounts->freed = freed; /* nothing is freer than before */
		accounts->epoch = epoch;
		return g_strdup_printf("only %u of %u VMs of gang %s fit; vm %s: %s", i, members->len,
				       member->gang->name, member->name, reason);
	}
	return NULL;
}

/* The same gang in the same world fails the same. */
static gboolean gang_known(const struct planner *planner, const struct gang *gang, const GPtrArray *members)
{
	return gang->reason && gang->epoch == planner->accounts.epoch && gang->tried == members->len;
}

static char *gang_try(struct planner *planner, struct gang *gang, GPtrArray *members, gboolean *fresh)
{
	struct accounts *accounts = &planner->accounts;

	*fresh = !gang_known(planner, gang, members);
	if (*fresh) {
		g_free(gang->reason);
		gang->reason = gang_place(planner, members);
		gang->epoch = accounts->epoch;
		gang->tried = members->len;
	}
	return g_strdup(gang->reason);
}

static gboolean grant_use(struct planner *planner, struct entry *entry, struct records *records,
			  struct planner_write *write)
{
	struct demand demand = demand_of_vm(&records->vm);
	struct reason_case why = { .accounts = &planner->accounts,
				   .demand = &demand,
				   .decision = entry->grant->decision,
				   .runner_up = ALLOCATION_NONE };

	planner_grant_write(planner, entry, records, &why, write);
	g_clear_pointer(&entry->grant, g_free);
	planner_waits(planner, entry, FALSE);
	return TRUE;
}

/* How many of the gang have a host. */
static guint gang_placed(struct planner *planner, const char *name)
{
	GHashTableIter iter;
	gpointer value;
	guint n = 0;

	g_hash_table_iter_init(&iter, planner->entries);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct entry *entry = value;
		struct vm vm;

		if (!entry->charge.host || entry->gang || !planner_vm(planner, entry->name, &vm))
			continue;
		n += g_strcmp0(vm.gang, name) == 0;
		noun_clear(&vm_noun, &vm);
	}
	return n;
}

gboolean planner_gang(struct planner *planner, struct entry *entry, struct records *records,
		      struct planner_write *write)
{
	g_autoptr(GPtrArray) members = NULL;
	g_autofree char *reason = NULL;
	gboolean fresh;
	guint missing;

	if (entry->grant)
		return grant_use(planner, entry, records, write);
	if (!entry->gang) {
		entry->gang = gang_find(planner, records->vm.gang);
		g_hash_table_add(entry->gang->waiting, entry);
	}
	missing = (guint)records->vm.gang_size;
	/* The rest of a gang whose others were placed already: a member that came again, or a restart in between. */
	if (g_hash_table_size(entry->gang->waiting) < missing &&
	    g_hash_table_size(entry->gang->waiting) + gang_placed(planner, entry->gang->name) < missing)
		return FALSE; /* it waits for the others */
	members = planner_sorted(entry->gang->waiting, compare_age);
	for (guint i = 0; i < members->len && !gang_known(planner, entry->gang, members); i++) {
		struct entry *member = g_ptr_array_index(members, i);

		if (!member->in_flight)
			continue;
		planner_queue(planner, member,
			      FALSE); /* its refusal is being written: when it has landed, all come again */
		return FALSE;
	}
	reason = gang_try(planner, entry->gang, members, &fresh);
	for (guint i = 0; i < members->len; i++) {
		struct entry *member = g_ptr_array_index(members, i);

		/* The others are to be told as well. */
		if (fresh && member != entry)
			planner_queue(planner, member, TRUE);
	}
	if (!reason)
		return grant_use(planner, entry, records, write);
	if (records->has_plan && records->plan.refused &&
	    records->plan.vm_revision == (guint64)records->vm_kv->mod_revision)
		return FALSE;
	return planner_refuse(planner, records, write, g_steal_pointer(&reason), NULL);
}

/* ---- Preemption ---- */

void planner_preempt_end(struct planner *planner, struct entry *entry)
{
	if (!entry->victims)
		return;
	g_clear_pointer(&entry->victims, g_ptr_array_unref);
	g_hash_table_remove(planner->evicting, entry);
}

/* Some of those that were asked have not ended. */
static gboolean victims_pending(struct planner *planner, struct entry *entry)
{
	for (guint i = 0; entry->victims && i < entry->victims->len; i++) {
		struct entry *victim = g_hash_table_lookup(planner->entries, g_ptr_array_index(entry->victims, i));

		if (victim && victim->charge.host && (victim->stops || victim->evicted_for || victim->in_flight))
			return TRUE;
	}
	return FALSE;
}

static gboolean any_lower(const struct accounts *accounts, guint64 priority)
{
	for (guint p = 0; p < priority && p <= LIMIT_PRIORITY_MAX; p++) {
		if (accounts->priorities[p])
			return TRUE;
	}
	return FALSE;
}

gboolean planner_preempt(struct planner *planner, struct entry *entry, const struct records *records,
			 const struct account_request *request)
{
	struct accounts *accounts = &planner->accounts;
	uint32_t vms[LIMIT_PREEMPTED];
	struct allocation_fit fit;
	guint32 class_id;
	size_t n;

	if (victims_pending(planner, entry))
		return TRUE;
	planner_preempt_end(planner, entry);
	if (!any_lower(accounts, records->vm.priority))
		return FALSE;
	class_id = allocation_world_class(accounts->world, &request->request);
	if (class_id == ALLOCATION_NONE)
		g_error("out of memory");
	n = allocation_preempt(accounts->world, class_id, vms, G_N_ELEMENTS(vms), &fit);
	allocation_world_class_unref(accounts->world, class_id);
	if (!n)
		return FALSE;
	entry->victims = g_ptr_array_new_with_free_func(g_free);
	g_hash_table_add(planner->evicting, entry);
	for (size_t i = 0; i < n; i++) {
		struct entry *victim = g_ptr_array_index(accounts->owners, vms[i]);

		g_ptr_array_add(entry->victims, g_strdup(victim->name));
		if (!victim->stops && !victim->evicted_for) {
			victim->evicted_for = g_strdup(entry->name);
			planner_queue(planner, victim, TRUE);
		}
	}
	return TRUE;
}

char *planner_awaits(const struct planner *planner, const char *name)
{
	const struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry)
		return NULL;
	if (entry->victims)
		return g_strdup_printf("it waits for the end of %u VMs of lower priority that make room for it",
				       entry->victims->len);
	if (entry->gang && !entry->grant)
		return g_strdup_printf("it waits for the rest of gang %s: create all its VMs at about the same time",
				       entry->gang->name);
	return NULL;
}
