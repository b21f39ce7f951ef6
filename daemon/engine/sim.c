/* Engine "sim": VMs without guests and with modelled timings, so that API, control and agent can be tested, and tens of
 * thousands of VMs held, in seconds.
 *
 * A simulated VM is a few hundred bytes here and one record RUN/sim/NAME, from which another agent adopts it. The record
 * is a symbolic link whose target is its text ("uuid run paused"): made and read whole by one system call each, never
 * half written, and kept inside its inode.
 *
 *   new ──start──▶ STARTING ──started──▶ PAUSED ◀──pause / resume──▶ RUNNING ──shutdown(ACPI), kill──▶ ENDING ──exited──▶ ENDED
 *
 * Environment, read when the engine is made: POLDER_SIM_START_MS (20), POLDER_SIM_STOP_MS (10): means, each spread by a
 * quarter; POLDER_SIM_SEED (1); POLDER_SIM_READY_MS: how long after it first runs a VM says that its guest agent answers
 * (unset: never, there is no guest). */
#include "daemon/engine/sim.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/sim_clock.h"
#include "daemon/model/error.h"

#define START_MS     20u
#define STOP_MS      10u
#define RECORD_BYTES 128u

enum sim_state { SIM_NEW, SIM_STARTING, SIM_ADOPTING, SIM_PAUSED, SIM_RUNNING, SIM_ENDING, SIM_ENDED };

/* Events still to be told, one at a time. */
enum { TELL_RESUMED = 1 << 0, TELL_PAUSED = 1 << 1, TELL_READY = 1 << 2, TELL_ADDRESSES = 1 << 3 };

struct sim {
	struct engine base;
	char *directory; /* RUN/sim */
	struct sim_clock *clock;
	GRand *random;
	guint start_ms, stop_ms, ready_ms;
	gboolean has_ready;
};

struct sim_vm {
	struct engine_vm base;
	struct sim_alarm alarm;
	const struct engine_events *events;
	gpointer user_data;
	gint64 ready_at_us; /* when TELL_READY is due */
	guint64 run;
	char *uuid;
	guint8 state, tell, cause;
	gboolean paused_record; /* what the record says */
	char name[];
};

static struct sim *sim_of(struct engine_vm *vm)
{
	return (struct sim *)vm->engine;
}

static struct sim_vm *vm_of(struct engine_vm *vm)
{
	return (struct sim_vm *)vm;
}

/* ---- records ---- */

static char *record_path(const struct sim *sim, const char *name)
{
	return g_strdup_printf("%s/%s", sim->directory, name);
}

static gboolean record_write(struct sim *sim, struct sim_vm *vm, gboolean paused, GError **error)
{
	g_autofree char *path = record_path(sim, vm->name);
	g_autofree char *text = g_strdup_printf("%.64s %" G_GUINT64_FORMAT " %d",
						vm->uuid && *vm->uuid ? vm->uuid : "-", vm->run, paused);
	gboolean ok = symlink(text, path) == 0;
	if (!ok && errno == EEXIST) {
		/* '~' is in no VM's name. */
		g_autofree char *fresh = g_strconcat(path, "~", NULL);
		unlink(fresh);
		ok = symlink(text, fresh) == 0 && rename(fresh, path) == 0;
	}
	if (!ok)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "write the record %s: %s", path,
			    g_strerror(errno));
	vm->paused_record = paused;
	return ok;
}

static gboolean record_read(struct sim *sim, const char *name, char **uuid, guint64 *run, gboolean *paused)
{
	g_autofree char *path = record_path(sim, name);
	char text[RECORD_BYTES];
	ssize_t n = readlink(path, text, sizeof(text) - 1);
	if (n <= 0)
		return FALSE;
	text[n] = '\0';
	g_auto(GStrv) words = g_strsplit(text, " ", 4);
	guint64 paused_word;
	if (g_strv_length(words) != 3 || !g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXUINT64, run, NULL) ||
	    !g_ascii_string_to_unsigned(words[2], 10, 0, 1, &paused_word, NULL))
		return FALSE;
	*paused = paused_word == 1;
	if (uuid)
		*uuid = g_strdup(g_str_equal(words[0], "-") ? "" : words[0]);
	return TRUE;
}

static void record_remove(struct sim *sim, const char *name)
{
	g_autofree char *path = record_path(sim, name);
	unlink(path);
}

/* ---- what happens ---- */

static void after_ms(struct sim_vm *vm, guint mean_ms)
{
	struct sim *sim = sim_of(&vm->base);
	double spread = g_rand_double_range(sim->random, 0.75, 1.25);
	sim_clock_set(sim->clock, &vm->alarm, g_get_monotonic_time() + (gint64)(mean_ms * 1000.0 * spread));
}

/* The next event, if any, at its time. */
static void tell_next(struct sim_vm *vm)
{
	if (vm->tell & (TELL_RESUMED | TELL_PAUSED))
		sim_clock_set(sim_of(&vm->base)->clock, &vm->alarm, 0);
	else if ((vm->tell & (TELL_READY | TELL_ADDRESSES)) && vm->state == SIM_RUNNING)
		sim_clock_set(sim_of(&vm->base)->clock, &vm->alarm, vm->ready_at_us);
}

static void end(struct sim_vm *vm, enum engine_exit_cause cause, guint after)
{
	vm->state = SIM_ENDING;
	vm->tell = 0;
	vm->cause = cause;
	after_ms(vm, after);
}

static void tell_exited(struct sim_vm *vm)
{
	static const char *const reasons[] = {
		[ENGINE_EXIT_STOPPED] = "stopped",
		[ENGINE_EXIT_START_FAILED] = "engine sim could not write its record: is the run directory full?",
		[ENGINE_EXIT_LOST] = "engine sim has no record of it: the host was restarted",
	};
	struct engine_exit gone = {
		.cause = vm->cause,
		.reason = reasons[vm->cause],
		.ended_at = g_get_real_time(),
	};
	vm->state = SIM_ENDED;
	record_remove(sim_of(&vm->base), vm->name);
	vm->events->exited(&vm->base, &gone, vm->user_data);
}

static void tell_ready(struct sim_vm *vm)
{
	/* An address of TEST-NET-3, which nobody has. */
	static const char *const addresses[] = { "203.0.113.1", NULL };
	if (vm->tell & TELL_READY) {
		vm->tell &= ~TELL_READY;
		tell_next(vm);
		vm->events->ready(&vm->base, TRUE, vm->user_data);
		return;
	}
	vm->tell &= ~TELL_ADDRESSES;
	vm->events->addresses(&vm->base, addresses, vm->user_data);
}

static void tell_moved(struct sim_vm *vm)
{
	/* Asked for both before either was told: first the one that is no longer so. */
	guint8 which = vm->tell & (TELL_RESUMED | TELL_PAUSED);
	if (which == (TELL_RESUMED | TELL_PAUSED))
		which = vm->state == SIM_PAUSED ? TELL_RESUMED : TELL_PAUSED;
	vm->tell &= ~which;
	tell_next(vm);
	if (which == TELL_RESUMED)
		vm->events->resumed(&vm->base, vm->user_data);
	else
		vm->events->paused(&vm->base, NULL, vm->user_data);
}

/* The one place events come from; the VM may be gone after each. */
static void on_ring(struct sim_alarm *alarm)
{
	struct sim_vm *vm = (struct sim_vm *)((char *)alarm - offsetof(struct sim_vm, alarm));
	switch ((enum sim_state)vm->state) {
	case SIM_STARTING:
		vm->state = SIM_PAUSED;
		tell_next(vm);
		vm->events->started(&vm->base, vm->user_data);
		return;
	case SIM_ADOPTING:
		vm->state = vm->paused_record ? SIM_PAUSED : SIM_RUNNING;
		tell_next(vm);
		vm->events->adopted(&vm->base, vm->paused_record, vm->user_data);
		return;
	case SIM_ENDING:
		tell_exited(vm);
		return;
	case SIM_PAUSED:
	case SIM_RUNNING:
		if (vm->tell & (TELL_RESUMED | TELL_PAUSED))
			tell_moved(vm);
		else if (vm->tell & (TELL_READY | TELL_ADDRESSES))
			tell_ready(vm);
		return;
	case SIM_NEW:
	case SIM_ENDED:
		return;
	}
}

/* ---- operations ---- */

static gboolean sim_probe(struct engine *engine, struct host *host, GError **error)
{
	static const char *const none[] = { NULL };
	const char *const *have = host->engines ? (const char *const *)host->engines : none;
	if (g_strv_contains(have, "sim"))
		return TRUE;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	for (guint i = 0; have[i]; i++)
		g_strv_builder_add(builder, have[i]);
	g_strv_builder_add(builder, "sim");
	g_strfreev(host->engines);
	host->engines = g_strv_builder_end(builder);
	return TRUE;
}

/* Bad values read as the default. */
static guint from_environment(const char *name, guint otherwise)
{
	const char *text = g_getenv(name);
	guint64 value;
	return text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &value, NULL) ? (guint)value : otherwise;
}

static struct engine *sim_engine_new(const struct dirs *dirs)
{
	struct sim *sim = g_new0(struct sim, 1);
	sim->base.ops = &engine_sim;
	sim->base.dirs = dirs;
	sim->directory = g_build_filename(dirs->run, "sim", NULL);
	if (g_mkdir_with_parents(sim->directory, 0700) < 0)
		g_warning("make %s: %s", sim->directory, g_strerror(errno));
	sim->clock = sim_clock_new(on_ring);
	sim->random = g_rand_new_with_seed(from_environment("POLDER_SIM_SEED", 1));
	sim->start_ms = from_environment("POLDER_SIM_START_MS", START_MS);
	sim->stop_ms = from_environment("POLDER_SIM_STOP_MS", STOP_MS);
	sim->has_ready = g_getenv("POLDER_SIM_READY_MS") != NULL;
	sim->ready_ms = from_environment("POLDER_SIM_READY_MS", 0);
	return &sim->base;
}

static void sim_engine_free(struct engine *engine)
{
	struct sim *sim = (struct sim *)engine;
	sim_clock_free(sim->clock);
	g_rand_free(sim->random);
	g_free(sim->directory);
	g_free(sim);
}

static struct engine_vm *sim_vm_new(struct engine *engine, const struct engine_config *config,
				    const struct engine_events *events, gpointer user_data)
{
	gsize name_bytes = strlen(config->name) + 1;
	struct sim_vm *vm = g_malloc0(sizeof(*vm) + name_bytes);
	vm->base.engine = engine;
	vm->events = events;
	vm->user_data = user_data;
	vm->run = config->run;
	vm->uuid = g_strdup(config->uuid);
	memcpy(vm->name, config->name, name_bytes);
	return &vm->base;
}

static void sim_vm_free(struct engine_vm *engine_vm)
{
	struct sim_vm *vm = vm_of(engine_vm);
	sim_clock_cancel(sim_of(engine_vm)->clock, &vm->alarm);
	g_free(vm->uuid);
	g_free(vm);
}

static void sim_start(struct engine_vm *engine_vm)
{
	struct sim_vm *vm = vm_of(engine_vm);
	struct sim *sim = sim_of(engine_vm);
	g_autoptr(GError) error = NULL;
	if (!record_write(sim, vm, TRUE, &error)) {
		g_warning("%s", error->message);
		end(vm, ENGINE_EXIT_START_FAILED, 0);
		return;
	}
	vm->state = SIM_STARTING;
	vm->ready_at_us = 0;
	after_ms(vm, sim->start_ms);
}

static void sim_adopt(struct engine_vm *engine_vm)
{
	struct sim_vm *vm = vm_of(engine_vm);
	g_autofree char *uuid = NULL;
	if (!record_read(sim_of(engine_vm), vm->name, &uuid, &vm->run, &vm->paused_record)) {
		end(vm, ENGINE_EXIT_LOST, 0);
		return;
	}
	g_free(vm->uuid);
	vm->uuid = g_steal_pointer(&uuid);
	vm->state = SIM_ADOPTING;
	after_ms(vm, 0);
}

static void move(struct engine_vm *engine_vm, enum sim_state state)
{
	struct sim_vm *vm = vm_of(engine_vm);
	struct sim *sim = sim_of(engine_vm);
	if (vm->state != SIM_PAUSED && vm->state != SIM_RUNNING)
		return;
	g_autoptr(GError) error = NULL;
	gboolean paused = state == SIM_PAUSED;
	if (paused != vm->paused_record && !record_write(sim, vm, paused, &error))
		g_warning("%s", error->message);
	vm->state = state;
	vm->tell |= paused ? TELL_PAUSED : TELL_RESUMED;
	if (!paused && sim->has_ready && vm->ready_at_us == 0) {
		vm->tell |= TELL_READY | TELL_ADDRESSES;
		vm->ready_at_us = g_get_monotonic_time() + sim->ready_ms * G_TIME_SPAN_MILLISECOND;
	}
	tell_next(vm);
}

static void sim_resume(struct engine_vm *vm)
{
	move(vm, SIM_RUNNING);
}

static void sim_pause(struct engine_vm *vm)
{
	move(vm, SIM_PAUSED);
}

static gboolean sim_shutdown(struct engine_vm *engine_vm, enum engine_shutdown_step step)
{
	struct sim_vm *vm = vm_of(engine_vm);
	if (step == ENGINE_SHUTDOWN_AGENT || vm->state != SIM_RUNNING)
		return FALSE; /* no guest agent; and a paused VM hears no power button */
	end(vm, ENGINE_EXIT_STOPPED, sim_of(engine_vm)->stop_ms);
	return TRUE;
}

static void sim_kill(struct engine_vm *engine_vm)
{
	struct sim_vm *vm = vm_of(engine_vm);
	if (vm->state != SIM_ENDING && vm->state != SIM_ENDED)
		end(vm, ENGINE_EXIT_STOPPED, 0);
}

static void sim_describe(struct engine_vm *vm, struct status *status)
{
	g_free(status->accelerator);
	status->accelerator = g_strdup("none");
	status->pid = 0;
	status->supervisor_pid = 0;
}

static int sim_stream_open(struct engine_vm *vm, const struct engine_stream *stream, GError **error)
{
	static const char *const nothing[] = {
		[ENGINE_STREAM_EXEC] = "no command can be run in it",
		[ENGINE_STREAM_CONSOLE] = "it has no console",
		[ENGINE_STREAM_LOG] = "it has no log",
	};
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "engine sim runs no guest: %s", nothing[stream->kind]);
	return -1;
}

static char **sim_scan(struct engine *engine)
{
	struct sim *sim = (struct sim *)engine;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	g_autoptr(GDir) dir = g_dir_open(sim->directory, 0, NULL);
	for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir)) {
		if (!strchr(name, '~'))
			g_strv_builder_add(builder, name);
	}
	return g_strv_builder_end(builder);
}

static void sim_clean(struct engine *engine, const char *name)
{
	record_remove((struct sim *)engine, name);
}

static gboolean sim_intent(struct engine *engine, const char *name, char **uuid, guint64 *run)
{
	gboolean paused;
	return record_read((struct sim *)engine, name, uuid, run, &paused);
}

const struct engine_ops engine_sim = {
	.name = "sim",
	.probe = sim_probe,
	.engine_new = sim_engine_new,
	.engine_free = sim_engine_free,
	.vm_new = sim_vm_new,
	.vm_free = sim_vm_free,
	.start = sim_start,
	.adopt = sim_adopt,
	.resume = sim_resume,
	.pause = sim_pause,
	.shutdown = sim_shutdown,
	.kill = sim_kill,
	.describe = sim_describe,
	.stream_open = sim_stream_open,
	.scan = sim_scan,
	.clean = sim_clean,
	.intent = sim_intent,
};
