#include "daemon/agent/cpu_control.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/agent/cpu_record.h"
#include "daemon/agent/cpu_round.h"
#include "daemon/agent/cpu_shares.h"
#include "daemon/model/error.h"
#include "daemon/model/source.h"
#include "daemon/store/cache.h"

#define STRATEGY_PREFIX  "/strategy/scheduling/"
#define STRATEGY_KEY     STRATEGY_PREFIX "all"
#define STRATEGY_DEFAULT "eevdf"
#define ROUND_MS         100u
#define SOON_MS          2u
#define FRESH_US         200000 /* figures no older are answered */
#define RECORD_S         1u

struct cpu_control {
	struct cpu_control_config config;
	char *run;
	struct cpu *cpu; /* the worker's while a round is under way */
	struct cpu_shares *shares;
	struct cpu_round *round; /* under way; NULL: none */
	struct store_cache *choices;
	gboolean choices_ready, choice_stale;
	const struct scheduling_strategy *strategy;
	struct strategy_values values;
	enum scheduling_sharing sharing;
	gboolean chosen;
	GHashTable *tenants; /* of the VMs at the last look: name (a GRefString) → number */
	guint32 last_tenant;
	GHashTable *applied; /* set of names: the host was changed for them */
	gboolean kept;       /* an agent before us changed the host for VMs that run */
	gboolean figures_wanted, closing;
	gboolean missed; /* something changed while the round was under way */
	char *figures;
	gint64 figures_us; /* monotonic */
	GSource *timer;
	struct cpu_record *record; /* the worker's while a round is under way; NULL: it can't be kept */
	char *record_failed;       /* why */
	GSource *record_timer;     /* runs while VMs do */
	gboolean record_due, copy_wanted;
	int copy; /* of the record, or -1 */
	gint64 copied_us;
};

static void look(struct cpu_control *control);

static gboolean timer_fired(gpointer user_data)
{
	struct cpu_control *control = user_data;

	source_clear(&control->timer);
	look(control);
	return G_SOURCE_REMOVE;
}

static void look_in(struct cpu_control *control, guint ms)
{
	control->missed |= control->round != NULL;
	if (control->timer || control->round || control->closing)
		return;
	control->timer = g_timeout_source_new(ms);
	g_source_set_callback(control->timer, timer_fired, control, NULL);
	g_source_attach(control->timer, g_main_context_get_thread_default());
}

void cpu_control_changed(struct cpu_control *control)
{
	look_in(control, SOON_MS);
}

/* ---- The strategy ---- */

static void use_default(struct cpu_control *control)
{
	control->strategy = scheduling_strategy_find(STRATEGY_DEFAULT);
	strategy_values_init(&control->strategy->info, &control->values);
	control->sharing = SCHEDULING_SHARE_ANY;
	control->chosen = FALSE;
}

static void set_values(struct cpu_control *control, char *const *parameters)
{
	for (; parameters && *parameters; parameters++) {
		const char *value = strchr(*parameters, '=');

		if (g_str_has_prefix(*parameters, SCHEDULING_SHARING) &&
		    scheduling_sharing_parse(value + 1, &control->sharing))
			continue;
		if (!value || strategy_values_set(&control->strategy->info, &control->values, *parameters,
						  (size_t)(value - *parameters), value + 1) != STRATEGY_SET_OK)
			g_warning("scheduling strategy %s: %.100s is ignored", control->strategy->info.name,
				  *parameters);
	}
}

static void read_choice(struct cpu_control *control)
{
	const struct store_kv *kv = store_cache_get(control->choices, STRATEGY_KEY);
	const struct scheduling_strategy *strategy;
	struct strategy_choice choice;
	g_autoptr(GError) error = NULL;
	const char *json;
	gsize bytes;

	control->choice_stale = FALSE;
	use_default(control);
	if (!kv)
		return;
	json = g_bytes_get_data(kv->value, &bytes);
	if (!noun_from_json(&strategy_choice_noun, &choice, json ? json : "", bytes, NOUN_FROM_STORE, &error)) {
		g_warning("scheduling strategy: %s", error->message);
		return;
	}
	strategy = scheduling_strategy_find(choice.name);
	if (strategy) {
		control->strategy = strategy;
		strategy_values_init(&strategy->info, &control->values);
		set_values(control, choice.parameters);
		control->chosen = TRUE;
		g_message("scheduling strategy: %s", strategy->info.name);
	} else {
		g_warning("scheduling strategy %s is unknown: the kernel's own stays", choice.name);
	}
	noun_clear(&strategy_choice_noun, &choice);
}

static void choices_are_ready(gpointer user_data)
{
	struct cpu_control *control = user_data;

	control->choices_ready = control->choice_stale = TRUE;
	cpu_control_changed(control);
}

/* A round under way reads what we have: the change is taken once it is over. */
static void choice_changed(const struct store_kv *before, const struct store_kv *now, gint64 revision,
			   gpointer user_data)
{
	struct cpu_control *control = user_data;

	control->choice_stale = TRUE;
	cpu_control_changed(control);
}

static const struct store_cache_funcs choice_funcs = { .ready = choices_are_ready, .changed = choice_changed };

/* ---- Rounds ---- */

struct scan {
	struct cpu_control *control;
	struct cpu_round *round;
	GHashTable *live, *tenants;
	gboolean wishes;
};

/* The number that its tenant has already, or the next. Those of whom no VM is left lose theirs, as nothing carries it any more. */
static guint32 tenant_number(struct scan *scan, const char *tenant)
{
	gpointer number = g_hash_table_lookup(scan->control->tenants, tenant);

	if (!number)
		number = g_hash_table_lookup(scan->tenants, tenant);
	if (!number)
		number = GUINT_TO_POINTER(CPU_ROUND_TENANTS + scan->control->last_tenant++ % CPU_ROUND_TENANTS);
	g_hash_table_insert(scan->tenants, g_ref_string_acquire((char *)tenant), number);
	return GPOINTER_TO_UINT(number);
}

static void scan_vm(const struct vm_life *vm, gpointer user_data)
{
	struct scan *scan = user_data;
	const pid_t *threads;
	guint n = lifecycle_vcpus(vm, &threads);
	struct cpu_round_vm *one;

	if (!n || n > SCHEDULING_VM_VCPUS_MAX)
		return;
	scan->wishes |= (vm->plan_cpu_weight && vm->plan_cpu_weight != SCHEDULING_WEIGHT_NORMAL) ||
			vm->plan_cpu_limit_percent || vm->plan_cpu_reserve_percent || vm->plan_cpu_latency_us;
	one = cpu_round_add(scan->round, vm->name, threads, n);
	one->tenant = g_strdup(vm->tenant);
	one->pid = lifecycle_pid(vm);
	one->weight = vm->plan_cpu_weight ? vm->plan_cpu_weight : SCHEDULING_WEIGHT_NORMAL;
	one->limit_percent = vm->plan_cpu_limit_percent;
	one->reserve_percent = vm->plan_cpu_reserve_percent;
	one->latency_us = vm->plan_cpu_latency_us;
	one->tenant_number = vm->tenant ? tenant_number(scan, vm->tenant) : 0;
	g_hash_table_add(scan->live, (char *)vm->name);
}

static GHashTable *tenants_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, (GDestroyNotify)g_ref_string_release, NULL);
}

static gint compare_vms(gconstpointer a, gconstpointer b)
{
	const struct cpu_round_vm *first = *(const struct cpu_round_vm *const *)a;
	const struct cpu_round_vm *second = *(const struct cpu_round_vm *const *)b;

	return strcmp(first->name, second->name);
}

static void add_gone(struct cpu_control *control, struct cpu_round *round, GHashTable *live)
{
	GHashTableIter iter;
	gpointer name;

	g_hash_table_iter_init(&iter, control->applied);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		if (!g_hash_table_contains(live, name))
			g_ptr_array_add(round->clear, g_strdup(name));
	}
}

static struct cpu_round *prepare(struct cpu_control *control)
{
	struct cpu_round *round = cpu_round_new();
	g_autoptr(GHashTable) live = g_hash_table_new(g_str_hash, g_str_equal);
	struct scan scan = { .control = control, .round = round, .live = live, .tenants = tenants_new() };

	vms_foreach(control->config.vms, scan_vm, &scan);
	g_hash_table_unref(control->tenants);
	control->tenants = scan.tenants;
	g_ptr_array_sort(round->vms, compare_vms);
	add_gone(control, round, live);
	round->cpu = &control->cpu;
	round->shares = control->shares;
	round->run = control->run;
	round->strategy = control->strategy;
	round->values = &control->values;
	round->sharing = control->sharing;
	round->chosen = control->chosen;
	round->n_cpus = control->config.n_cpus;
	round->apply = round->vms->len && (scan.wishes || control->chosen || control->kept ||
					   g_hash_table_size(control->applied) > round->clear->len);
	round->record = control->record_due ? control->record : NULL;
	round->read = control->figures_wanted || round->record;
	round->copy_of = control->copy_wanted ? control->record : NULL;
	return round;
}

static void describe(struct cpu_control *control)
{
	static const enum cpu_mechanism told[] = { CPU_WEIGHT, CPU_LIMIT };
	g_autoptr(GPtrArray) limits = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < G_N_ELEMENTS(told); i++) {
		const struct cpu_capability *capability = cpu_describe(control->cpu, told[i]);

		if (!capability->works)
			g_ptr_array_add(limits, g_strdup_printf("CPU %s of VMs can't be enforced: %s",
								cpu_mechanism_name(told[i]), capability->why));
	}
	g_ptr_array_add(limits, NULL);
	if (control->config.described)
		control->config.described((const char *const *)limits->pdata, control->config.user_data);
}

static void opened(struct cpu_control *control, const struct cpu_repaired *repaired)
{
	control->kept = repaired->kept > 0;
	if (repaired->undone || repaired->orphans)
		g_message("CPU settings left behind were undone: %u of VMs, %u groups", repaired->undone,
			  repaired->orphans);
	if (repaired->failed)
		g_warning("CPU settings of %u VMs could not be undone: %s", repaired->failed, repaired->why);
	describe(control);
}

static void note_applied(struct cpu_control *control, struct cpu_round *round)
{
	for (guint i = 0; i < round->cleared->len; i++)
		g_hash_table_remove(control->applied, round->cleared->pdata[i]);
	for (guint i = 0; i < round->vms->len; i++) {
		struct cpu_round_vm *vm = round->vms->pdata[i];

		if (!vm->applied)
			continue;
		g_hash_table_add(control->applied, g_strdup(vm->name));
		vms_cpu_notes(control->config.vms, vm->name, g_steal_pointer(&vm->notes));
	}
}

static void run_in_worker(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
	struct cpu_round *round = data;

	cpu_round_run(round);
	if (round->record)
		cpu_record_add(round->record, round,
			       &(struct cpu_record_time) { g_get_real_time(), g_get_monotonic_time() });
	if (round->copy_of)
		round->copy = cpu_record_copy(round->copy_of, &round->copy_error);
	g_task_return_boolean(task, TRUE);
}

static void take_copy(struct cpu_control *control, struct cpu_round *round)
{
	if (!round->copy_of)
		return;
	if (round->copy_error)
		g_warning("%s", round->copy_error->message);
	if (control->copy >= 0)
		close(control->copy);
	control->copy = round->copy;
	round->copy = -1;
	control->copied_us = g_get_monotonic_time();
	control->copy_wanted = FALSE;
}

static void round_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct cpu_control *control = user_data;
	struct cpu_round *round = g_steal_pointer(&control->round);
	gboolean again = round->apply || round->clear->len || round->opened;

	if (!control->closing) {
		if (round->opened)
			opened(control, &round->repaired);
		note_applied(control, round);
		take_copy(control, round);
		if (round->read && control->figures_wanted) {
			g_free(control->figures);
			control->figures = cpu_round_print(round, g_get_real_time());
			control->figures_us = g_get_monotonic_time();
			control->figures_wanted = FALSE;
		}
		if (control->missed)
			look_in(control, SOON_MS);
		else if (again)
			look_in(control, ROUND_MS);
		control->missed = FALSE;
	}
	cpu_round_free(round);
}

static gboolean record_timer_fired(gpointer user_data)
{
	struct cpu_control *control = user_data;

	control->record_due = TRUE;
	look_in(control, 0);
	return G_SOURCE_CONTINUE;
}

/* Whole seconds of GLib's: all that wakes so wakes at once. */
static void record_watch(struct cpu_control *control, gboolean runs)
{
	if (!runs || !control->record) {
		source_clear(&control->record_timer);
		return;
	}
	if (control->record_timer)
		return;
	control->record_timer = g_timeout_source_new_seconds(RECORD_S);
	g_source_set_callback(control->record_timer, record_timer_fired, control, NULL);
	g_source_attach(control->record_timer, g_main_context_get_thread_default());
}

static void look(struct cpu_control *control)
{
	g_autoptr(GTask) task = NULL;
	struct cpu_round *round;

	if (control->round || !control->choices_ready)
		return;
	if (control->choice_stale)
		read_choice(control);
	round = prepare(control);
	record_watch(control, round->vms->len > 0);
	if (control->cpu && !round->apply && !round->read && !round->copy_of && !round->clear->len) {
		cpu_round_free(round);
		return;
	}
	control->record_due = FALSE;
	control->round = round;
	task = g_task_new(NULL, NULL, round_done, control);
	g_task_set_task_data(task, round, NULL);
	g_task_run_in_thread(task, run_in_worker);
}

/* ---- Figures ---- */

int cpu_control_figures(struct cpu_control *control, GError **error)
{
	gsize bytes;
	int fd;

	if (!control->figures || g_get_monotonic_time() - control->figures_us > FRESH_US) {
		control->figures_wanted = TRUE;
		look_in(control, SOON_MS);
		return -1;
	}
	bytes = strlen(control->figures);
	fd = memfd_create("polder-cpu", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, control->figures, bytes) == (ssize_t)bytes && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "figures of CPUs: %s", g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int cpu_control_recording(struct cpu_control *control, GError **error)
{
	if (!control->record) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "what vCPUs want is not recorded here: %s",
			    control->record_failed);
		return -1;
	}
	if (control->copy >= 0 && g_get_monotonic_time() - control->copied_us <= FRESH_US) {
		int fd = control->copy;

		control->copy = -1;
		return fd;
	}
	control->copy_wanted = TRUE;
	look_in(control, SOON_MS);
	return -1;
}

/* ---- Life ---- */

static void open_record(struct cpu_control *control)
{
	g_autofree char *path = g_build_filename(control->config.dirs->state, CPU_RECORD_FILE, NULL);
	g_autoptr(GError) error = NULL;

	control->record = cpu_record_open(path, CPU_RECORD_FILE_BYTES, &control->config.host, &error);
	if (control->record)
		return;
	control->record_failed = g_strdup(error->message);
	g_warning("what vCPUs want is not recorded: %s", error->message);
}

struct cpu_control *cpu_control_new(const struct cpu_control_config *config)
{
	struct cpu_control *control = g_new0(struct cpu_control, 1);

	control->config = *config;
	control->run = g_build_filename(config->dirs->run, "vm", NULL);
	/* Off unless asked for: on Linux 6.18 frequent changes of cgroup v1 weights starved processes outside the VMs' groups. */
	if (g_strcmp0(g_getenv("POLDER_CPU_CORRECTION"), "1") == 0)
		control->shares = cpu_shares_new();
	control->applied = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	control->copy = -1;
	open_record(control);
	control->tenants = tenants_new();
	use_default(control);
	control->choices = store_cache_new(config->store, STRATEGY_PREFIX, &choice_funcs, control);
	return control;
}

void cpu_control_free(struct cpu_control *control)
{
	if (!control)
		return;
	control->closing = TRUE;
	source_clear(&control->timer);
	source_clear(&control->record_timer);
	while (control->round)
		g_main_context_iteration(g_main_context_get_thread_default(), TRUE);
	store_cache_free(control->choices);
	cpu_close(control->cpu);
	cpu_shares_free(control->shares);
	cpu_record_close(control->record);
	if (control->copy >= 0)
		close(control->copy);
	g_free(control->record_failed);
	g_hash_table_unref(control->applied);
	g_hash_table_unref(control->tenants);
	g_free(control->figures);
	g_free(control->run);
	g_free(control);
}
