#include "daemon/control/planner.h"

#include <string.h>

#include "daemon/control/planner_private.h"
#include "daemon/model/limits.h"

/* Those who wait, of one priority and pool. */
struct round_queue {
	guint priority;
	guint32 pool;
	GQueue entries;
};

static void round_queue_free(gpointer data)
{
	struct round_queue *queue = data;

	g_queue_clear(&queue->entries);
	g_free(queue);
}

static void entry_free(gpointer data)
{
	struct entry *entry = data;

	g_clear_pointer(&entry->written, g_bytes_unref);
	g_clear_pointer(&entry->victims, g_ptr_array_unref);
	g_free(entry->grant);
	g_free(entry->evicted_for);
	g_free(entry->pool_missing);
	g_free(entry->name);
	g_free(entry);
}

static void gang_free(gpointer data)
{
	struct gang *gang = data;

	g_hash_table_unref(gang->waiting);
	g_free(gang->reason);
	g_free(gang->name);
	g_free(gang);
}

struct planner *planner_new(planner_lookup_func lookup, gpointer user_data)
{
	struct planner *planner = g_new0(struct planner, 1);

	planner->lookup = lookup;
	planner->user_data = user_data;
	planner->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, entry_free);
	planner->waiting = g_hash_table_new(NULL, NULL);
	planner->gangs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, gang_free);
	planner->adrift = g_hash_table_new(NULL, NULL);
	planner->evicting = g_hash_table_new(NULL, NULL);
	planner->round = g_ptr_array_new_with_free_func(round_queue_free);
	g_queue_init(&planner->dirty);
	accounts_init(&planner->accounts);
	return planner;
}

void planner_free(struct planner *planner)
{
	GHashTableIter iter;
	gpointer value;

	if (!planner)
		return;
	g_hash_table_iter_init(&iter, planner->entries);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		accounts_release(&planner->accounts, ((struct entry *)value)->charge.held);
	g_queue_clear(&planner->dirty);
	g_ptr_array_unref(planner->round);
	g_hash_table_unref(planner->waiting);
	g_hash_table_unref(planner->adrift);
	g_hash_table_unref(planner->evicting);
	g_hash_table_unref(planner->gangs);
	g_hash_table_unref(planner->entries);
	accounts_clear(&planner->accounts);
	g_free(planner);
}

void planner_write_clear(struct planner_write *write)
{
	g_clear_pointer(&write->name, g_free);
	g_clear_pointer(&write->value, g_bytes_unref);
}

struct accounts *planner_accounts(struct planner *planner)
{
	return &planner->accounts;
}

gint64 planner_revision(const struct planner *planner)
{
	return planner->revision;
}

const char *planner_name(struct planner *planner, guint32 vm)
{
	const struct entry *entry =
		vm < planner->accounts.owners->len ? g_ptr_array_index(planner->accounts.owners, vm) : NULL;

	return entry ? entry->name : NULL;
}

gboolean planner_number(struct planner *planner, const char *name, guint32 *vm)
{
	const struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry || !entry->charge.host)
		return FALSE;
	*vm = entry->charge.vm;
	return TRUE;
}

/* ---- Records ---- */

static const struct store_kv *lookup(struct planner *planner, const char *kind, const char *name)
{
	char key[LIMIT_STORE_KEY_BYTES + 1];

	g_snprintf(key, sizeof(key), "/%s/%s", kind, name);
	return planner->lookup(key, planner->user_data);
}

/* FALSE: there is none, or it is malformed (then it is as if it were not there, and said once a change). */
static gboolean parse(const struct noun *noun, const struct store_kv *kv, gpointer object)
{
	g_autoptr(GError) error = NULL;
	gsize bytes;
	const char *text;

	if (!kv)
		return FALSE;
	text = g_bytes_get_data(kv->value, &bytes);
	if (noun_from_json(noun, object, text, bytes, NOUN_FROM_STORE, &error))
		return TRUE;
	g_warning("record %s is malformed and left alone: %s", kv->key, error->message);
	return FALSE;
}

gboolean planner_vm(struct planner *planner, const char *name, struct vm *vm)
{
	return parse(&vm_noun, lookup(planner, "vm", name), vm);
}

static void host_changed(struct planner *planner, const char *name, const struct store_kv *now)
{
	struct host host;

	if (parse(&host_noun, now, &host)) {
		accounts_host(&planner->accounts, name, &host);
		noun_clear(&host_noun, &host);
	} else {
		accounts_host(&planner->accounts, name, NULL);
	}
}

static void spec_changed(struct planner *planner, const char *name, const struct store_kv *now)
{
	struct host_spec spec;

	if (parse(&host_spec_noun, now, &spec)) {
		accounts_spec(&planner->accounts, name, &spec);
		noun_clear(&host_spec_noun, &spec);
	} else {
		accounts_spec(&planner->accounts, name, NULL);
	}
}

/* VMs whose plans were read before their pool are charged to it now. */
static void pool_changed(struct planner *planner, const char *name, const struct store_kv *now)
{
	GHashTableIter iter;
	gpointer value;
	struct pool pool;

	if (!parse(&pool_noun, now, &pool)) {
		accounts_pool(&planner->accounts, name, NULL);
		return;
	}
	accounts_pool(&planner->accounts, name, &pool);
	noun_clear(&pool_noun, &pool);
	if (!accounts_pool_find(&planner->accounts, name))
		return;
	g_hash_table_iter_init(&iter, planner->adrift);
	while (g_hash_table_iter_next(&iter, &value, NULL)) {
		struct entry *entry = value;

		if (strcmp(entry->pool_missing, name) != 0)
			continue;
		g_hash_table_iter_remove(&iter);
		g_clear_pointer(&entry->pool_missing, g_free);
		if (!entry->in_flight)
			planner_account(planner, entry);
	}
}

/* Another strategy decides from now on; no VM is moved. */
static void strategy_changed(struct planner *planner, const struct store_kv *now)
{
	struct accounts *accounts = &planner->accounts;
	struct strategy_choice record;
	g_autoptr(GError) error = NULL;
	struct choice choice;
	gboolean has_record = parse(&strategy_choice_noun, now, &record);

	if (now && !has_record)
		return;
	if (!choice_parse(has_record ? &record : NULL, &choice, &error))
		g_warning("%s stays at work: %s", accounts->choice.strategy->info.name, error->message);
	else if (allocation_placer_switch(accounts->placer, choice.strategy, &choice.values, choice.seed))
		accounts->choice = choice;
	else
		g_warning("%s stays at work: no memory for %s", accounts->choice.strategy->info.name,
			  choice.strategy->info.name);
	if (has_record)
		noun_clear(&strategy_choice_noun, &record);
}

void planner_account(struct planner *planner, struct entry *entry)
{
	struct accounts *accounts = &planner->accounts;
	struct status status;
	struct plan plan;
	gboolean has_status;

	entry->stops = FALSE;
	g_clear_pointer(&entry->grant, g_free);
	if (!parse(&plan_noun, lookup(planner, "plan", entry->name), &plan)) {
		accounts_discharge(accounts, &entry->charge);
		return;
	}
	entry->stops = plan.desired == VM_DESIRED_STOPPED || plan.remove;
	has_status = entry->stops && parse(&status_noun, lookup(planner, "status", entry->name), &status);
	if (accounts_takes(&plan, has_status ? &status : NULL)) {
		const char *pool = plan.pool && *plan.pool ? plan.pool : "default";

		accounts_charge_plan(accounts, &entry->charge, entry->name, &plan, entry);
		if (entry->charge.host && entry->charge.real && !accounts_pool_find(accounts, pool)) {
			planner_set_string(&entry->pool_missing, pool);
			g_hash_table_add(planner->adrift, entry);
		}
	} else {
		accounts_discharge(accounts, &entry->charge);
	}
	if (has_status)
		noun_clear(&status_noun, &status);
	noun_clear(&plan_noun, &plan);
}

/* ---- What is to be decided ---- */

void planner_queue(struct planner *planner, struct entry *entry, gboolean first)
{
	entry->settled = FALSE;
	if (entry->in_flight) {
		entry->redo = TRUE;
	} else if (!entry->queued) {
		entry->queued = TRUE;
		if (first)
			g_queue_push_head(&planner->dirty, entry);
		else
			g_queue_push_tail(&planner->dirty, entry);
	}
}

static void entry_landed(struct planner *planner, struct entry *entry)
{
	entry->in_flight = FALSE;
	entry->removes_vm = FALSE;
	g_clear_pointer(&entry->written, g_bytes_unref);
	if (entry->redo) {
		entry->redo = FALSE;
		planner_queue(planner, entry, FALSE);
	}
}

void planner_waits(struct planner *planner, struct entry *entry, gboolean waits)
{
	if (entry->waiting == waits)
		return;
	if (entry->counted)
		planner->following--;
	entry->waiting = waits;
	entry->counted = waits && entry->follows;
	if (entry->counted)
		planner->following++;
	if (waits) {
		entry->waiting_since = ++planner->counter;
		g_hash_table_add(planner->waiting, entry);
	} else {
		g_hash_table_remove(planner->waiting, entry);
		planner_gang_leave(planner, entry);
		planner_preempt_end(planner, entry);
	}
}

struct entry *planner_entry(struct planner *planner, const char *name)
{
	struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry) {
		entry = g_new0(struct entry, 1);
		entry->name = g_strdup(name);
		g_hash_table_insert(planner->entries, entry->name, entry);
	}
	return entry;
}

static void plan_changed(struct planner *planner, struct entry *entry, const struct store_kv *now)
{
	/* What we wrote was charged when it was decided, and answers the VM unless something changed meanwhile. */
	if (now && entry->written && !entry->redo && g_bytes_equal(entry->written, now->value)) {
		entry_landed(planner, entry);
		entry->settled = !entry->ephemeral;
		return;
	}
	planner_account(planner, entry);
	planner_queue(planner, entry, FALSE);
	if (!entry->removes_vm)
		entry_landed(planner, entry);
}

static void status_changed(struct planner *planner, struct entry *entry, const struct store_kv *now)
{
	gboolean had = planner->accounts.freed;
	GHashTableIter iter;
	gpointer value;

	if (entry->stops && !entry->in_flight)
		planner_account(planner, entry);
	if (!now || !entry->settled)
		planner_queue(planner, entry, FALSE);
	if (had || !planner->accounts.freed)
		return;
	/* Those for whom others were stopped come before whoever asks meanwhile. */
	g_hash_table_iter_init(&iter, planner->evicting);
	while (g_hash_table_iter_next(&iter, &value, NULL))
		planner_queue(planner, value, TRUE);
}

void planner_changed(struct planner *planner, const struct store_kv *before, const struct store_kv *now)
{
	const char *key = now ? now->key : before->key;
	struct entry *entry;

	planner->revision = MAX(planner->revision, now ? now->mod_revision : 0);
	if (g_str_has_prefix(key, "/host/")) {
		host_changed(planner, key + strlen("/host/"), now);
	} else if (g_str_has_prefix(key, "/host-spec/")) {
		spec_changed(planner, key + strlen("/host-spec/"), now);
	} else if (g_str_has_prefix(key, "/pool/")) {
		pool_changed(planner, key + strlen("/pool/"), now);
	} else if (strcmp(key, "/strategy/allocation/all") == 0) {
		strategy_changed(planner, now);
	} else if (g_str_has_prefix(key, "/vm/")) {
		entry = planner_entry(planner, key + strlen("/vm/"));
		if (entry->grant) /* it may be another VM by now */
			planner_account(planner, entry);
		planner_queue(planner, entry, FALSE);
		if (entry->removes_vm)
			entry_landed(planner, entry);
	} else if (g_str_has_prefix(key, "/plan/")) {
		plan_changed(planner, planner_entry(planner, key + strlen("/plan/")), now);
	} else if (g_str_has_prefix(key, "/status/")) {
		status_changed(planner, planner_entry(planner, key + strlen("/status/")), now);
	}
}

/* ---- Decisions ---- */

static void records_load(struct planner *planner, const char *name, struct records *records)
{
	records->vm_kv = lookup(planner, "vm", name);
	records->plan_kv = lookup(planner, "plan", name);
	records->status_kv = lookup(planner, "status", name);
	records->has_vm = parse(&vm_noun, records->vm_kv, &records->vm);
	records->has_plan = parse(&plan_noun, records->plan_kv, &records->plan);
	records->has_status = parse(&status_noun, records->status_kv, &records->status);
}

static void records_clear(struct records *records)
{
	if (records->has_vm)
		noun_clear(&vm_noun, &records->vm);
	if (records->has_plan)
		noun_clear(&plan_noun, &records->plan);
	if (records->has_status)
		noun_clear(&status_noun, &records->status);
}

void planner_write_plan(struct planner_write *write, const struct records *records, const struct plan *plan)
{
	char *text = noun_to_json(&plan_noun, plan);

	write->action = PLANNER_PUT_PLAN;
	write->revision = records->plan_kv ? records->plan_kv->mod_revision : 0;
	write->value = g_bytes_new_take(text, strlen(text));
}

void planner_set_string(char **field, const char *value)
{
	g_free(*field);
	*field = g_strdup(value);
}

static void set_strings(char ***field, char **value)
{
	g_strfreev(*field);
	*field = g_strdupv(value);
}

static void plan_fill_demand(struct plan *plan, const struct vm *vm)
{
	planner_set_string(&plan->pool, vm->pool);
	planner_set_string(&plan->tenant, vm->tenant);
	planner_set_string(&plan->gang, vm->gang);
	planner_set_string(&plan->cpu_model, vm->cpu_model);
	set_strings(&plan->groups, vm->groups);
	set_strings(&plan->affinity, vm->affinity);
	set_strings(&plan->anti_affinity, vm->anti_affinity);
	set_strings(&plan->spread, vm->spread);
	set_strings(&plan->require, vm->require);
	set_strings(&plan->avoid_labels, vm->avoid_labels);
	set_strings(&plan->tolerate, vm->tolerate);
	set_strings(&plan->extended, vm->extended);
	plan->cpus = vm->cpus;
	plan->memory_bytes = vm->memory_bytes;
	plan->exclusive = vm->exclusive;
	plan->numa = vm->numa;
	plan->hugepages = vm->hugepages;
	plan->numa_nodes = vm->numa_nodes;
	plan->priority = vm->priority;
	plan->disk_bytes = vm->disk_bytes;
	plan->network_bps = vm->network_bps;
	plan->owner_uid = vm->owner_uid;
}

/* Copy into the plan what the agent and the accounts need of the VM. */
void planner_plan_fill(struct plan *plan, const struct records *records)
{
	const struct vm *vm = &records->vm;

	planner_set_string(&plan->uuid, vm->uuid);
	planner_set_string(&plan->image, vm->image);
	planner_set_string(&plan->engine, vm->engine);
	planner_set_string(&plan->cmdline, vm->cmdline);
	set_strings(&plan->publish, vm->publish);
	plan_fill_demand(plan, vm);
	plan->vm_revision = (guint64)records->vm_kv->mod_revision;
	plan->network = vm->network;
	plan->restart = vm->restart;
	plan->desired = vm->desired;
	plan->run = vm->run + plan->preemptions;
	plan->cpu_weight = vm->cpu_weight;
	plan->cpu_limit_percent = vm->cpu_limit_percent;
	plan->cpu_reserve_percent = vm->cpu_reserve_percent;
	plan->cpu_latency_us = vm->cpu_latency_us;
	plan->stop_timeout_ms = vm->desired == VM_DESIRED_STOPPED ? vm->stopping_timeout_ms : vm->stop_timeout_ms;
}

/* Nobody wants this VM: see to it that its agent lets go of it, then forget the plan. */
static gboolean decide_removal(struct records *records, struct planner_write *write)
{
	if (!records->plan_kv && !records->status_kv)
		return FALSE;
	if (records->plan_kv && !records->status_kv &&
	    (!records->has_plan || records->plan.remove || records->plan.refused)) {
		write->action = PLANNER_DELETE_PLAN;
		write->revision = records->plan_kv->mod_revision;
		return TRUE;
	}
	if (records->has_plan && records->plan.remove)
		return FALSE; /* the agent is at it */
	if (!records->has_plan) {
		if (!records->has_status)
			return FALSE; /* malformed: nothing to go by */
		noun_init(&plan_noun, &records->plan);
		records->has_plan = TRUE;
		planner_set_string(&records->plan.uuid, records->status.uuid);
		planner_set_string(&records->plan.host, records->status.host);
		planner_set_string(&records->plan.reason, "its host still has it and nobody wants it");
	}
	records->plan.remove = TRUE;
	planner_write_plan(write, records, &records->plan);
	return TRUE;
}

static gboolean ended(const struct records *records)
{
	return records->has_status && records->status.run >= records->vm.run &&
	       (records->status.state == VM_STATE_STOPPED || records->status.state == VM_STATE_FAILED);
}

/* Wanted to start, and its plan, which answers the VM as it is now, did not let it. */
static gboolean held(const struct records *records)
{
	return records->plan.desired == VM_DESIRED_STOPPED && records->vm.desired != VM_DESIRED_STOPPED;
}

/* It is to give way, and what it takes is not free yet. */
static gboolean decide_eviction(struct planner *planner, struct entry *entry, struct records *records,
				struct planner_write *write)
{
	struct plan *plan = &records->plan;
	g_autofree char *winner = g_steal_pointer(&entry->evicted_for);

	if (!entry->charge.host || plan->desired == VM_DESIRED_STOPPED)
		return FALSE;
	plan->desired = VM_DESIRED_STOPPED;
	plan->preempted = TRUE;
	plan->preemptions++;
	plan->vm_revision = (guint64)records->vm_kv->mod_revision;
	plan->stop_timeout_ms = records->vm.stop_timeout_ms;
	g_free(plan->reason);
	plan->reason =
		g_strdup_printf("stopped to make room for vm %s, which has a higher priority than %" G_GUINT64_FORMAT
				"; it starts again when there is room",
				winner, plan->priority);
	planner_write_plan(write, records, plan);
	return TRUE;
}

static gboolean decide_update(struct planner *planner, struct entry *entry, struct records *records,
			      struct planner_write *write)
{
	struct plan *plan = &records->plan;
	guint64 run = plan->run;
	gboolean never_began;

	if (entry->evicted_for)
		return decide_eviction(planner, entry, records, write);
	if (!entry->charge.host && records->vm.desired != VM_DESIRED_STOPPED)
		return planner_start(planner, entry, records, write);
	planner_waits(planner, entry, FALSE);
	if (plan->preempted && records->vm.desired != VM_DESIRED_STOPPED)
		return FALSE; /* it is ending, and starts again from there */
	if (plan->vm_revision == (guint64)records->vm_kv->mod_revision && !held(records)) {
		entry->settled = !records->vm.ephemeral;
		return FALSE;
	}
	never_began = !entry->charge.host || plan->preempted;
	planner_plan_fill(plan, records);
	plan->preempted = FALSE;
	/* A run that was held never began: the VM has ended, or is about to, and so it stays. */
	if (never_began)
		plan->run = run;
	if (!entry->charge.host) {
		g_free(plan->reason);
		plan->reason = reason_stopped(plan->host);
	}
	planner_write_plan(write, records, plan);
	return TRUE;
}

static gboolean decide(struct planner *planner, struct entry *entry, struct records *records,
		       struct planner_write *write)
{
	gboolean wanted = records->has_vm;

	/* A malformed VM record is neither wanted nor removed: better leave the VM alone. */
	if (records->vm_kv && !records->has_vm)
		return FALSE;
	if ((records->plan_kv && (!records->has_plan || g_strcmp0(records->plan.uuid, records->vm.uuid) != 0)) ||
	    (records->has_status && g_strcmp0(records->status.uuid, records->vm.uuid) != 0) ||
	    (records->has_plan && records->plan.remove))
		wanted = FALSE; /* an old life of that name goes first */
	if (!wanted) {
		planner_waits(planner, entry, FALSE);
		return decide_removal(records, write);
	}
	entry->ephemeral = records->vm.ephemeral != FALSE;
	if (records->vm.ephemeral && ended(records)) {
		write->action = PLANNER_DELETE_VM;
		write->revision = records->vm_kv->mod_revision;
		return TRUE;
	}
	if (!records->has_plan || records->plan.refused || !records->plan.host || !*records->plan.host)
		return planner_place(planner, entry, records, write);
	return decide_update(planner, entry, records, write);
}

/* ---- Whose turn it is ---- */

GPtrArray *planner_sorted(GHashTable *set, GCompareFunc compare)
{
	GPtrArray *keys = g_ptr_array_sized_new(g_hash_table_size(set));
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, set);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		g_ptr_array_add(keys, key);
	g_ptr_array_sort(keys, compare);
	return keys;
}

static gint compare_waiting(gconstpointer a, gconstpointer b)
{
	const struct entry *left = *(struct entry *const *)a, *right = *(struct entry *const *)b;

	if (left->priority != right->priority)
		return left->priority > right->priority ? -1 : 1;
	if (left->pool != right->pool)
		return left->pool < right->pool ? -1 : 1;
	return left->waiting_since < right->waiting_since ? -1 : 1;
}

/* Look again at those that wait, once per freed capacity and not once per freed VM. */
static void round_begin(struct planner *planner)
{
	g_autoptr(GPtrArray) waiting = planner_sorted(planner->waiting, compare_waiting);
	struct round_queue *queue = NULL;

	planner->accounts.freed = FALSE;
	for (guint i = 0; i < waiting->len; i++) {
		struct entry *entry = g_ptr_array_index(waiting, i);

		if (entry->in_flight || entry->queued) {
			planner_queue(planner, entry, FALSE);
			continue;
		}
		if (!queue || queue->priority != entry->priority || queue->pool != entry->pool) {
			queue = g_new0(struct round_queue, 1);
			queue->priority = entry->priority;
			queue->pool = entry->pool;
			g_queue_init(&queue->entries);
			g_ptr_array_add(planner->round, queue);
		}
		entry->queued = TRUE;
		entry->settled = FALSE;
		g_queue_push_tail(&queue->entries, entry);
	}
}

/* The highest priority first; among its pools the one whose turn it is; in a pool who has waited longest. */
static struct entry *round_next(struct planner *planner)
{
	guint32 pools[64];
	struct round_queue *queue;
	struct entry *entry;
	gsize n = 0, chosen = 0;

	if (!planner->round->len)
		return NULL;
	while (n < planner->round->len && n < G_N_ELEMENTS(pools)) {
		queue = g_ptr_array_index(planner->round, n);
		if (queue->priority != ((struct round_queue *)g_ptr_array_index(planner->round, 0))->priority)
			break;
		pools[n++] = queue->pool;
	}
	if (n > 1)
		chosen = allocation_pools_next(planner->accounts.pools, pools, n);
	queue = g_ptr_array_index(planner->round, chosen);
	entry = g_queue_pop_head(&queue->entries);
	if (g_queue_is_empty(&queue->entries))
		g_ptr_array_remove_index(planner->round, (guint)chosen);
	return entry;
}

static struct entry *next_entry(struct planner *planner)
{
	struct entry *entry = g_queue_pop_head(&planner->dirty);

	if (entry)
		return entry;
	if (!planner->round->len && planner->accounts.freed)
		round_begin(planner);
	entry = round_next(planner);
	return entry ? entry : g_queue_pop_head(&planner->dirty);
}

/* Others began to refer to these VMs: they are groups of their own now. */
void planner_regroup(struct planner *planner)
{
	gboolean freed = planner->accounts.freed;
	guint64 epoch = planner->accounts.epoch;

	while (planner->accounts.regroup->len) {
		g_autofree char *name =
			g_ptr_array_steal_index(planner->accounts.regroup, planner->accounts.regroup->len - 1);
		struct entry *entry = g_hash_table_lookup(planner->entries, name);

		if (!entry || !entry->charge.host)
			continue;
		if (entry->in_flight)
			g_clear_pointer(&entry->written, g_bytes_unref); /* counted anew when it lands */
		else
			planner_account(planner, entry);
	}
	/* Nothing is freer than before. */
	planner->accounts.freed = freed;
	planner->accounts.epoch = epoch;
}

static void entry_forget(struct planner *planner, struct entry *entry)
{
	planner_waits(planner, entry, FALSE);
	accounts_discharge(&planner->accounts, &entry->charge);
	g_hash_table_remove(planner->adrift, entry);
	g_hash_table_remove(planner->entries, entry->name);
}

gboolean planner_next(struct planner *planner, struct planner_write *write)
{
	memset(write, 0, sizeof(*write));
	for (;;) {
		struct entry *entry = next_entry(planner);
		struct records records = { 0 };
		gboolean wrote;

		if (!entry)
			return FALSE;
		entry->queued = FALSE;
		records_load(planner, entry->name, &records);
		wrote = decide(planner, entry, &records, write);
		if (wrote) {
			entry->in_flight = TRUE;
			entry->removes_vm = write->action == PLANNER_DELETE_VM;
			write->name = g_strdup(entry->name);
		} else if (!records.vm_kv && !records.plan_kv && !records.status_kv) {
			entry_forget(planner, entry);
		}
		records_clear(&records);
		planner_regroup(planner);
		if (wrote)
			return TRUE;
	}
}

void planner_failed(struct planner *planner, const char *name)
{
	struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry || !entry->in_flight)
		return;
	planner_account(planner, entry);
	entry->redo = TRUE;
	entry_landed(planner, entry);
}

guint planner_waiting(const struct planner *planner)
{
	return g_hash_table_size(planner->waiting);
}

guint64 planner_memory_placed(const struct planner *planner, const char *host)
{
	return accounts_placed_bytes(&planner->accounts, host);
}
