#include "daemon/control/planner.h"

#include <string.h>

#include "daemon/control/accounts.h"
#include "daemon/control/reason.h"
#include "daemon/model/nouns.h"

#define STRATEGY "first-fit"

/* What the accounts know of one VM name. Small: there may be 10,000. */
struct entry {
	char *name;
	struct charge charge;
	gboolean stops : 1;      /* the plan says stopped or gone: its end frees its memory */
	gboolean queued : 1;     /* in `dirty` */
	gboolean in_flight : 1;  /* a write was handed out and not yet seen … */
	gboolean removes_vm : 1; /* … and it deletes /vm/NAME; else it is about /plan/NAME */
	gboolean redo : 1;       /* something changed meanwhile: look again afterwards */
	gboolean waiting : 1;    /* wanted and without a host: in `waiting` */
	gboolean settled : 1;    /* the plan answers the VM, and no status can change that */
};

struct planner {
	planner_lookup_func lookup;
	gpointer user_data;
	GHashTable *entries; /* name → struct entry */
	GQueue dirty;        /* struct entry to decide upon, oldest first */
	GHashTable *waiting; /* set of struct entry */
	struct accounts accounts;
};

static void entry_free(gpointer data)
{
	struct entry *entry = data;

	g_free(entry->name);
	g_free(entry);
}

struct planner *planner_new(planner_lookup_func lookup, gpointer user_data)
{
	struct planner *planner = g_new0(struct planner, 1);

	planner->lookup = lookup;
	planner->user_data = user_data;
	planner->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, entry_free);
	planner->waiting = g_hash_table_new(NULL, NULL);
	g_queue_init(&planner->dirty);
	accounts_init(&planner->accounts);
	return planner;
}

void planner_free(struct planner *planner)
{
	if (!planner)
		return;
	g_queue_clear(&planner->dirty);
	g_hash_table_unref(planner->waiting);
	g_hash_table_unref(planner->entries);
	accounts_clear(&planner->accounts);
	g_free(planner);
}

void planner_write_clear(struct planner_write *write)
{
	g_clear_pointer(&write->name, g_free);
	g_clear_pointer(&write->value, g_bytes_unref);
}

/* ---- Records ---- */

static const struct store_kv *lookup(struct planner *planner, const char *kind, const char *name)
{
	g_autofree char *key = g_strconcat("/", kind, "/", name, NULL);

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

/* Make the entry's account say what the snapshot's plan and status say. */
static void account(struct planner *planner, struct entry *entry)
{
	struct status status;
	struct plan plan;
	gboolean has_status;

	entry->stops = FALSE;
	if (!parse(&plan_noun, lookup(planner, "plan", entry->name), &plan)) {
		accounts_discharge(&planner->accounts, &entry->charge);
		return;
	}
	entry->stops = plan.desired == VM_DESIRED_STOPPED || plan.remove;
	has_status = entry->stops && parse(&status_noun, lookup(planner, "status", entry->name), &status);
	if (accounts_takes_memory(&plan, has_status ? &status : NULL))
		accounts_charge(&planner->accounts, &entry->charge, &plan);
	else
		accounts_discharge(&planner->accounts, &entry->charge);
	if (has_status)
		noun_clear(&status_noun, &status);
	noun_clear(&plan_noun, &plan);
}

/* ---- What is to be decided ---- */

static void entry_queue(struct planner *planner, struct entry *entry)
{
	entry->settled = FALSE;
	if (entry->in_flight)
		entry->redo = TRUE;
	else if (!entry->queued) {
		entry->queued = TRUE;
		g_queue_push_tail(&planner->dirty, entry);
	}
}

static void entry_landed(struct planner *planner, struct entry *entry)
{
	entry->in_flight = FALSE;
	entry->removes_vm = FALSE;
	if (entry->redo) {
		entry->redo = FALSE;
		entry_queue(planner, entry);
	}
}

static void entry_waits(struct planner *planner, struct entry *entry, gboolean waits)
{
	if (entry->waiting == waits)
		return;
	entry->waiting = waits;
	if (waits)
		g_hash_table_add(planner->waiting, entry);
	else
		g_hash_table_remove(planner->waiting, entry);
}

static struct entry *entry_find(struct planner *planner, const char *name)
{
	struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry) {
		entry = g_new0(struct entry, 1);
		entry->name = g_strdup(name);
		g_hash_table_insert(planner->entries, entry->name, entry);
	}
	return entry;
}

void planner_changed(struct planner *planner, const struct store_kv *before, const struct store_kv *now)
{
	const char *key = now ? now->key : before->key;
	struct entry *entry;

	if (g_str_has_prefix(key, "/host/")) {
		host_changed(planner, key + strlen("/host/"), now);
	} else if (g_str_has_prefix(key, "/vm/")) {
		entry = entry_find(planner, key + strlen("/vm/"));
		entry_queue(planner, entry);
		if (entry->removes_vm)
			entry_landed(planner, entry);
	} else if (g_str_has_prefix(key, "/plan/")) {
		entry = entry_find(planner, key + strlen("/plan/"));
		account(planner, entry);
		entry_queue(planner, entry);
		if (!entry->removes_vm)
			entry_landed(planner, entry);
	} else if (g_str_has_prefix(key, "/status/")) {
		entry = entry_find(planner, key + strlen("/status/"));
		if (entry->stops && !entry->in_flight)
			account(planner, entry);
		if (!now || !entry->settled)
			entry_queue(planner, entry);
	}
}

/* ---- Decisions ---- */

struct records {
	const struct store_kv *vm_kv, *plan_kv, *status_kv;
	struct vm vm;
	struct plan plan;
	struct status status;
	gboolean has_vm, has_plan, has_status;
};

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

static void write_plan(struct planner_write *write, const struct records *records, const struct plan *plan)
{
	char *text = noun_to_json(&plan_noun, plan);

	write->action = PLANNER_PUT_PLAN;
	write->revision = records->plan_kv ? records->plan_kv->mod_revision : 0;
	write->value = g_bytes_new_take(text, strlen(text));
}

static void set_string(char **field, const char *value)
{
	g_free(*field);
	*field = g_strdup(value);
}

/* Copy into the plan what the agent needs of the VM. */
static void plan_fill(struct plan *plan, const struct records *records)
{
	const struct vm *vm = &records->vm;

	set_string(&plan->uuid, vm->uuid);
	set_string(&plan->image, vm->image);
	set_string(&plan->engine, vm->engine);
	set_string(&plan->cmdline, vm->cmdline);
	g_strfreev(plan->publish);
	plan->publish = g_strdupv(vm->publish);
	plan->vm_revision = (guint64)records->vm_kv->mod_revision;
	plan->cpus = vm->cpus;
	plan->memory_bytes = vm->memory_bytes;
	plan->network = vm->network;
	plan->restart = vm->restart;
	plan->desired = vm->desired;
	plan->run = vm->run;
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
		set_string(&records->plan.uuid, records->status.uuid);
		set_string(&records->plan.host, records->status.host);
		set_string(&records->plan.reason, "its host still has it and nobody wants it");
	}
	records->plan.remove = TRUE;
	write_plan(write, records, &records->plan);
	return TRUE;
}

static gboolean ended(const struct records *records)
{
	return records->has_status && records->status.run >= records->vm.run &&
	       (records->status.state == VM_STATE_STOPPED || records->status.state == VM_STATE_FAILED);
}

static gboolean decide_placement(struct planner *planner, struct entry *entry, struct records *records,
				 struct planner_write *write)
{
	struct accounts *accounts = &planner->accounts;
	struct allocation_request request =
		accounts_request(accounts, records->vm.engine, records->vm.cpus, records->vm.memory_bytes);
	struct reason_hosts hosts = accounts_hosts(accounts);
	struct allocation_decision decision;
	struct plan plan;

	entry_waits(planner, entry, TRUE);
	if (accounts->hosts_present == 0)
		return FALSE;
	allocation_first_fit(hosts.hosts, hosts.n_hosts, &request, &decision);
	if (decision.winner == ALLOCATION_NO_HOST && records->has_plan && records->plan.refused &&
	    records->plan.vm_revision == (guint64)records->vm_kv->mod_revision)
		return FALSE; /* still refused, and it says so */
	/* Hosts that are away offer no engine; they are not the ones that lacked it. */
	decision.ruled_out[ALLOCATION_ENGINE] -=
		MIN(decision.ruled_out[ALLOCATION_ENGINE], hosts.n_hosts - hosts.n_present);

	noun_init(&plan_noun, &plan);
	plan_fill(&plan, records);
	set_string(&plan.strategy, STRATEGY);
	g_free(plan.reason);
	if (decision.winner == ALLOCATION_NO_HOST) {
		plan.refused = TRUE;
		plan.reason = reason_refused(&hosts, &records->vm, &request, &decision);
	} else {
		set_string(&plan.host, hosts.names[decision.winner]);
		plan.reason = reason_placed(&hosts, &records->vm, &decision);
		accounts_charge(accounts, &entry->charge, &plan);
		entry_waits(planner, entry, FALSE);
	}
	write_plan(write, records, &plan);
	noun_clear(&plan_noun, &plan);
	return TRUE;
}

/* Wanted to start, and its plan, which answers the VM as it is now, did not let it. */
static gboolean held(const struct records *records)
{
	return records->plan.desired == VM_DESIRED_STOPPED && records->vm.desired != VM_DESIRED_STOPPED;
}

/* A VM without memory on its host is to start: whether it fits there again. */
static gboolean decide_start(struct planner *planner, struct entry *entry, struct records *records,
			     struct planner_write *write)
{
	struct accounts *accounts = &planner->accounts;
	struct allocation_request request =
		accounts_request(accounts, records->vm.engine, records->vm.cpus, records->vm.memory_bytes);
	guint host = accounts_find(accounts, records->plan.host);
	struct reason_hosts hosts = accounts_hosts(accounts);
	struct plan *plan = &records->plan;
	gboolean answered = plan->vm_revision == (guint64)records->vm_kv->mod_revision;

	entry_waits(planner, entry, TRUE);
	if (!accounts_present(accounts, host))
		return FALSE;
	if (accounts_violates(accounts, host, &request) == ALLOCATION_CONSTRAINTS) {
		plan_fill(plan, records);
		g_free(plan->reason);
		plan->reason = reason_start(&hosts, host, &records->vm);
		accounts_charge(accounts, &entry->charge, plan);
		entry_waits(planner, entry, FALSE);
	} else if (answered) {
		return FALSE; /* still held, and it says so */
	} else {
		plan->vm_revision = (guint64)records->vm_kv->mod_revision;
		g_free(plan->reason);
		plan->reason = reason_held(&hosts, host, &records->vm, &request);
	}
	write_plan(write, records, plan);
	return TRUE;
}

static gboolean decide_update(struct planner *planner, struct entry *entry, struct records *records,
			      struct planner_write *write)
{
	struct plan *plan = &records->plan;
	guint64 run = plan->run;

	if (!entry->charge.host && records->vm.desired != VM_DESIRED_STOPPED)
		return decide_start(planner, entry, records, write);
	entry_waits(planner, entry, FALSE);
	if (plan->vm_revision == (guint64)records->vm_kv->mod_revision && !held(records)) {
		entry->settled = !records->vm.ephemeral;
		return FALSE;
	}
	plan_fill(plan, records);
	if (!entry->charge.host) {
		struct reason_hosts hosts;
		guint host = accounts_find(&planner->accounts, plan->host);

		/* A run that was held never began: the VM has ended, and so it stays. */
		plan->run = run;
		hosts = accounts_hosts(&planner->accounts);
		g_free(plan->reason);
		plan->reason = reason_stopped(&hosts, host);
	}
	write_plan(write, records, plan);
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
		entry_waits(planner, entry, FALSE);
		return decide_removal(records, write);
	}
	if (records->vm.ephemeral && ended(records)) {
		write->action = PLANNER_DELETE_VM;
		write->revision = records->vm_kv->mod_revision;
		return TRUE;
	}
	if (!records->has_plan || records->plan.refused || !records->plan.host || !*records->plan.host)
		return decide_placement(planner, entry, records, write);
	return decide_update(planner, entry, records, write);
}

/* Look again at those that wait, once per freed capacity and not once per freed VM. */
static void requeue_waiting(struct planner *planner)
{
	GHashTableIter iter;
	gpointer entry;

	planner->accounts.freed = FALSE;
	g_hash_table_iter_init(&iter, planner->waiting);
	while (g_hash_table_iter_next(&iter, &entry, NULL))
		entry_queue(planner, entry);
}

gboolean planner_next(struct planner *planner, struct planner_write *write)
{
	memset(write, 0, sizeof(*write));
	for (;;) {
		struct entry *entry;
		struct records records = { 0 };
		gboolean wrote;

		if (g_queue_is_empty(&planner->dirty) && planner->accounts.freed)
			requeue_waiting(planner);
		entry = g_queue_pop_head(&planner->dirty);
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
			accounts_discharge(&planner->accounts, &entry->charge);
			g_hash_table_remove(planner->entries, entry->name);
		}
		records_clear(&records);
		if (wrote)
			return TRUE;
	}
}

void planner_failed(struct planner *planner, const char *name)
{
	struct entry *entry = g_hash_table_lookup(planner->entries, name);

	if (!entry || !entry->in_flight)
		return;
	account(planner, entry);
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
