#include "daemon/control/planner.h"

#include <string.h>

#include "core/allocation/allocation.h"
#include "daemon/control/reason.h"
#include "daemon/model/nouns.h"

#define STRATEGY    "first-fit"
#define ENGINES_MAX 32u

/* What the accounts know of one VM name. Small: there may be 10,000. */
struct entry {
	char *name;
	guint host;           /* index + 1 of the host charged; 0: none */
	guint64 memory_bytes; /* charged there */
	gboolean charged : 1;
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
	gboolean retry;      /* capacity was freed since the waiting were looked at */

	/* Hosts are never forgotten, only marked away: placed VMs refer to them. Parallel arrays. */
	GArray *hosts;                        /* struct allocation_host */
	GPtrArray *host_names, *host_engines; /* host_engines: NULL when away */
	GHashTable *host_index;               /* name → index + 1 */
	gsize hosts_present;
	char *engines[ENGINES_MAX]; /* bit number → name */
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
	planner->hosts = g_array_new(FALSE, TRUE, sizeof(struct allocation_host));
	planner->host_names = g_ptr_array_new_with_free_func(g_free);
	planner->host_engines = g_ptr_array_new_with_free_func(g_free);
	planner->host_index = g_hash_table_new(g_str_hash, g_str_equal);
	return planner;
}

void planner_free(struct planner *planner)
{
	if (!planner)
		return;
	g_queue_clear(&planner->dirty);
	g_hash_table_unref(planner->waiting);
	g_hash_table_unref(planner->entries);
	g_hash_table_unref(planner->host_index);
	g_ptr_array_unref(planner->host_names);
	g_ptr_array_unref(planner->host_engines);
	g_array_unref(planner->hosts);
	for (guint i = 0; i < ENGINES_MAX; i++)
		g_free(planner->engines[i]);
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

/* ---- Hosts ---- */

/* The engine's bit; 0 when there are too many engines to number. */
static guint32 engine_bit(struct planner *planner, const char *name)
{
	for (guint i = 0; i < ENGINES_MAX; i++) {
		if (!planner->engines[i])
			planner->engines[i] = g_strdup(name);
		if (strcmp(planner->engines[i], name) == 0)
			return 1u << i;
	}
	return 0;
}

/* Index of the host called `name`, made when it is new (a plan may name one that is away). */
static guint host_find(struct planner *planner, const char *name)
{
	guint found = GPOINTER_TO_UINT(g_hash_table_lookup(planner->host_index, name));
	struct allocation_host none = { 0 };
	char *copy;

	if (found)
		return found - 1;
	copy = g_strdup(name);
	g_array_append_val(planner->hosts, none);
	g_ptr_array_add(planner->host_names, copy);
	g_ptr_array_add(planner->host_engines, NULL);
	g_hash_table_insert(planner->host_index, copy, GUINT_TO_POINTER(planner->hosts->len));
	return planner->hosts->len - 1;
}

static struct allocation_host *host_at(struct planner *planner, guint index)
{
	return &g_array_index(planner->hosts, struct allocation_host, index);
}

static void host_changed(struct planner *planner, const char *name, const struct store_kv *now)
{
	guint index = host_find(planner, name);
	struct allocation_host *account = host_at(planner, index);
	char **engines = (char **)&g_ptr_array_index(planner->host_engines, index);
	gboolean was_present = *engines != NULL;
	struct host host;

	g_clear_pointer(engines, g_free);
	account->engines = 0;
	if (parse(&host_noun, now, &host)) {
		account->cpus = host.cpus;
		account->memory_bytes = host.memory_bytes;
		account->memory_reserved_bytes = host.memory_reserved_bytes;
		for (char **engine = host.engines; engine && *engine; engine++)
			account->engines |= engine_bit(planner, *engine);
		*engines = host.engines ? g_strjoinv(", ", host.engines) : g_strdup("");
		noun_clear(&host_noun, &host);
		planner->retry = TRUE;
	}
	planner->hosts_present += (*engines != NULL) - was_present;
}

/* ---- Accounts ---- */

static struct allocation_request request_of(struct planner *planner, const char *engine, guint64 cpus, guint64 memory)
{
	return (struct allocation_request) { .cpus = cpus,
					     .memory_bytes = memory,
					     .engine = engine_bit(planner, engine ? engine : ""),
					     .charged = g_strcmp0(engine, "sim") != 0 };
}

static void discharge(struct planner *planner, struct entry *entry)
{
	struct allocation_request request = { .memory_bytes = entry->memory_bytes, .charged = entry->charged };

	if (!entry->host)
		return;
	allocation_release(host_at(planner, entry->host - 1), &request);
	if (entry->charged)
		planner->retry = TRUE;
	entry->host = 0;
}

static void charge(struct planner *planner, struct entry *entry, const struct plan *plan)
{
	struct allocation_request request = request_of(planner, plan->engine, plan->cpus, plan->memory_bytes);

	discharge(planner, entry);
	if (plan->refused || !plan->host || !*plan->host)
		return;
	entry->host = host_find(planner, plan->host) + 1;
	entry->memory_bytes = request.memory_bytes;
	entry->charged = request.charged;
	allocation_charge(host_at(planner, entry->host - 1), &request);
}

/* Make the entry's account say what the snapshot's plan says. */
static void account(struct planner *planner, struct entry *entry, const struct store_kv *plan_kv)
{
	struct plan plan;

	if (!parse(&plan_noun, plan_kv, &plan)) {
		discharge(planner, entry);
		return;
	}
	charge(planner, entry, &plan);
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
		account(planner, entry, now);
		entry_queue(planner, entry);
		if (!entry->removes_vm)
			entry_landed(planner, entry);
	} else if (g_str_has_prefix(key, "/status/")) {
		entry = entry_find(planner, key + strlen("/status/"));
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
	plan->stop_timeout_ms = vm->stop_timeout_ms;
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
	struct reason_hosts hosts = { .hosts = (const struct allocation_host *)planner->hosts->data,
				      .names = (const char *const *)planner->host_names->pdata,
				      .engines = (const char *const *)planner->host_engines->pdata,
				      .n_hosts = planner->hosts->len,
				      .n_present = planner->hosts_present };
	struct allocation_request request =
		request_of(planner, records->vm.engine, records->vm.cpus, records->vm.memory_bytes);
	struct allocation_decision decision;
	struct plan plan;

	entry_waits(planner, entry, TRUE);
	if (planner->hosts_present == 0)
		return FALSE;
	allocation_first_fit(hosts.hosts, hosts.n_hosts, &request, &decision);
	if (decision.winner == ALLOCATION_NO_HOST && records->has_plan && records->plan.refused &&
	    records->plan.vm_revision == (guint64)records->vm_kv->mod_revision)
		return FALSE; /* still refused, and it says so */
	/* Hosts that are away offer no engine; they are not the ones that lacked it. */
	decision.ruled_out[ALLOCATION_ENGINE] -=
		MIN(decision.ruled_out[ALLOCATION_ENGINE], planner->hosts->len - planner->hosts_present);

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
		charge(planner, entry, &plan);
		entry_waits(planner, entry, FALSE);
	}
	write_plan(write, records, &plan);
	noun_clear(&plan_noun, &plan);
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
	if (!records->has_plan || records->plan.refused)
		return decide_placement(planner, entry, records, write);
	entry_waits(planner, entry, FALSE);
	if (records->plan.vm_revision == (guint64)records->vm_kv->mod_revision) {
		entry->settled = !records->vm.ephemeral;
		return FALSE;
	}
	plan_fill(&records->plan, records);
	write_plan(write, records, &records->plan);
	return TRUE;
}

/* Look again at those that wait, once per freed capacity and not once per freed VM. */
static void requeue_waiting(struct planner *planner)
{
	GHashTableIter iter;
	gpointer entry;

	planner->retry = FALSE;
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

		if (g_queue_is_empty(&planner->dirty) && planner->retry)
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
			discharge(planner, entry);
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
	account(planner, entry, lookup(planner, "plan", name));
	entry->redo = TRUE;
	entry_landed(planner, entry);
}

guint planner_waiting(const struct planner *planner)
{
	return g_hash_table_size(planner->waiting);
}

guint64 planner_memory_placed(const struct planner *planner, const char *host)
{
	guint found = GPOINTER_TO_UINT(g_hash_table_lookup(planner->host_index, host));

	return found ? g_array_index(planner->hosts, struct allocation_host, found - 1).memory_placed_bytes : 0;
}
