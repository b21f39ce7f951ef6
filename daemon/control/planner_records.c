/* What the planner reads: records, and how their changes get into the accounts and the queue. */
#include <string.h>

#include "daemon/control/planner_private.h"
#include "daemon/model/limits.h"

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

/* ---- Changes ---- */

static void plan_changed(struct planner *planner, struct entry *entry, const struct store_kv *now)
{
	/* What we wrote was charged when it was decided, and answers the VM unless something changed meanwhile. */
	if (now && entry->written && !entry->redo && g_bytes_equal(entry->written, now->value)) {
		planner_landed(planner, entry);
		entry->settled = !entry->ephemeral;
		return;
	}
	planner_account(planner, entry);
	planner_queue(planner, entry, FALSE);
	if (!entry->removes_vm)
		planner_landed(planner, entry);
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
			planner_landed(planner, entry);
	} else if (g_str_has_prefix(key, "/plan/")) {
		plan_changed(planner, planner_entry(planner, key + strlen("/plan/")), now);
	} else if (g_str_has_prefix(key, "/status/")) {
		status_changed(planner, planner_entry(planner, key + strlen("/status/")), now);
	}
}

/* ---- All of one VM ---- */

void planner_records_load(struct planner *planner, const char *name, struct records *records)
{
	records->vm_kv = lookup(planner, "vm", name);
	records->plan_kv = lookup(planner, "plan", name);
	records->status_kv = lookup(planner, "status", name);
	records->has_vm = parse(&vm_noun, records->vm_kv, &records->vm);
	records->has_plan = parse(&plan_noun, records->plan_kv, &records->plan);
	records->has_status = parse(&status_noun, records->status_kv, &records->status);
}

void planner_records_clear(struct records *records)
{
	if (records->has_vm)
		noun_clear(&vm_noun, &records->vm);
	if (records->has_plan)
		noun_clear(&plan_noun, &records->plan);
	if (records->has_status)
		noun_clear(&status_noun, &records->status);
}
