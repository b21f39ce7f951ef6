#include "daemon/engine/qemu/internal.h"

#include <string.h>

#include "daemon/engine/qemu/args.h"
#include "daemon/engine/qemu/message.h"
#include "daemon/engine/qemu/run_socket.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/source.h"

#define RECONNECT_MAX_MS 30000u
#define BOOT_LOOP_RESETS 5u
#define BOOT_LOOP_US     (60 * G_USEC_PER_SEC)

static gboolean on_reconnect(gpointer data)
{
	struct qemu_vm *vm = data;

	source_clear(&vm->reconnect_timer);
	monitor_connect(vm);
	return G_SOURCE_REMOVE;
}

static void reconnect_later(struct qemu_vm *vm)
{
	source_set_timeout(vm, &vm->reconnect_timer, vm->reconnect_ms, on_reconnect);
	vm->reconnect_ms = MIN(vm->reconnect_ms * 2, RECONNECT_MAX_MS);
}

/* Both events may be asked for by a user of the engine or come from QEMU alone (I/O error, another reason). */
static void now_paused(struct qemu_vm *vm)
{
	g_autofree char *reason = g_steal_pointer(&vm->io_error);
	gboolean news = !vm->paused || vm->pausing;

	vm->paused = TRUE;
	if (vm->pausing)
		g_clear_pointer(&reason, g_free);
	else if (!reason)
		reason = g_strdup("QEMU stopped it");
	vm->pausing = FALSE;
	if (news)
		vm->events->paused(&vm->base, reason, vm->user_data);
}

static void now_running(struct qemu_vm *vm)
{
	gboolean news = vm->paused || vm->resuming;

	vm->paused = FALSE;
	vm->resuming = FALSE;
	g_clear_pointer(&vm->io_error, g_free);
	if (news)
		vm->events->resumed(&vm->base, vm->user_data);
}

static void on_stop_reply(JsonNode *value, const GError *error, gpointer data)
{
	struct qemu_vm *vm = data;

	if (!vm->pausing || g_error_matches(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE))
		return; /* the event came first, as it should; or it is asked again once connected */
	if (!error) {
		now_paused(vm);
	} else if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_FAILED)) {
		vm->pausing = FALSE;
		vm->events->resumed(&vm->base, vm->user_data);
	}
}

static void on_cont_reply(JsonNode *value, const GError *error, gpointer data)
{
	struct qemu_vm *vm = data;

	if (!vm->resuming || g_error_matches(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE))
		return;
	if (!error) {
		now_running(vm);
	} else if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_FAILED)) {
		vm->resuming = FALSE;
		vm->events->paused(&vm->base, error->message, vm->user_data);
	}
}

static void send_wish(struct qemu_vm *vm)
{
	if (!vm->qmp || vm->phase != PHASE_UP)
		return;
	if (vm->pausing)
		qmp_send(vm->qmp, "stop", on_stop_reply, vm);
	if (vm->resuming)
		qmp_send(vm->qmp, "cont", on_cont_reply, vm);
}

void monitor_pause(struct qemu_vm *vm)
{
	vm->resuming = FALSE;
	vm->pausing = TRUE;
	send_wish(vm);
}

void monitor_resume(struct qemu_vm *vm)
{
	vm->pausing = FALSE;
	vm->resuming = TRUE;
	send_wish(vm);
}

gboolean monitor_powerdown(struct qemu_vm *vm)
{
	if (!vm->qmp || vm->phase != PHASE_UP)
		return FALSE;
	qmp_send(vm->qmp, "system_powerdown", NULL, NULL);
	return TRUE;
}

/* QEMU answers: the launch is over, or a lost connection is back. */
static void on_status(JsonNode *value, const GError *error, gpointer data)
{
	struct qemu_vm *vm = data;
	JsonObject *object = value && JSON_NODE_HOLDS_OBJECT(value) ? json_node_get_object(value) : NULL;
	gboolean running = qmp_boolean(object, "running", FALSE);
	gboolean first = !vm->told, open_now = vm->agent_open_now;

	if (error)
		return; /* the connection's end says the same */
	vm->phase = PHASE_UP;
	vm->told = TRUE;
	vm->reconnect_ms = ((struct qemu_engine *)vm->base.engine)->reconnect_ms;
	g_clear_pointer(&vm->monitor_problem, g_free);
	source_clear(&vm->start_timer);
	process_find_child(vm->run_dir, &vm->process);
	send_wish(vm); /* what was asked for while there was no connection */
	/* Only news: while it is open, "open" again means that the guest started its agent anew. */
	if (first ? open_now : open_now != vm->agent_open)
		guest_port_opened(vm->guest, open_now);
	vm->agent_open = open_now;
	if (first) {
		vm->paused = !running;
		if (vm->adopting)
			vm->events->adopted(&vm->base, vm->paused, vm->user_data);
		else
			vm->events->started(&vm->base, vm->user_data);
	} else if (running) {
		now_running(vm);
	} else if (!vm->ending) {
		now_paused(vm);
	}
}

static void on_chardevs(JsonNode *value, const GError *error, gpointer data)
{
	struct qemu_vm *vm = data;
	JsonArray *list = value && JSON_NODE_HOLDS_ARRAY(value) ? json_node_get_array(value) : NULL;

	for (guint i = 0; list && i < json_array_get_length(list); i++) {
		JsonNode *node = json_array_get_element(list, i);
		JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
		if (g_strcmp0(qmp_string(object, "label"), ARGS_AGENT_ID) == 0)
			vm->agent_open_now = qmp_boolean(object, "frontend-open", FALSE);
	}
}

/* None is left out: the place in the list is the CPU's number. A QEMU that tells nonsense has none. */
static void on_vcpus(JsonNode *value, const GError *error, gpointer data)
{
	struct qemu_vm *vm = data;
	JsonArray *list = value && JSON_NODE_HOLDS_ARRAY(value) ? json_node_get_array(value) : NULL;
	guint n = list ? json_array_get_length(list) : 0;
	g_autofree pid_t *vcpus = NULL;

	if (n < 1 || n > LIMIT_VM_CPUS_MAX)
		return;
	vcpus = g_new0(pid_t, n);
	for (guint i = 0; i < n; i++) {
		JsonNode *node = json_array_get_element(list, i);
		JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
		JsonNode *id = object ? json_object_get_member(object, "thread-id") : NULL;
		JsonNode *index = object ? json_object_get_member(object, "cpu-index") : NULL;
		gint64 thread = id && JSON_NODE_HOLDS_VALUE(id) ? json_node_get_int(id) : 0;
		gint64 at = index && JSON_NODE_HOLDS_VALUE(index) ? json_node_get_int(index) : -1;

		if (thread < 1 || thread > G_MAXINT32 || at < 0 || at >= n || vcpus[at])
			return;
		vcpus[at] = (pid_t)thread;
	}
	g_free(vm->vcpus);
	vm->vcpus = g_steal_pointer(&vcpus);
	vm->n_vcpus = n;
}

static void on_io_error(struct qemu_vm *vm, JsonObject *data)
{
	const char *device = qmp_string(data, "device");
	const char *reason = qmp_string(data, "reason");

	if (g_strcmp0(qmp_string(data, "action"), "stop") != 0)
		return;
	g_free(vm->io_error);
	vm->io_error = g_strdup_printf("I/O error on disk %s: %.200s", device && *device ? device : "?",
				       reason ? reason : "unknown");
}

/* A kernel that crashes before it can tell (no pvpanic driver yet) and starts over, and over: a crash, not a reboot. */
static void count_reset(struct qemu_vm *vm)
{
	gint64 now_us = g_get_monotonic_time();

	if (vm->resets == 0 || now_us - vm->first_reset_us > BOOT_LOOP_US) {
		vm->resets = 0;
		vm->first_reset_us = now_us;
	}
	if (++vm->resets < BOOT_LOOP_RESETS)
		return;
	vm->boot_loop = TRUE;
	process_kill(&vm->process);
}

static void on_event(const char *name, JsonObject *data, gpointer user_data)
{
	struct qemu_vm *vm = user_data;

	if (!strcmp(name, "RESUME")) {
		now_running(vm);
	} else if (!strcmp(name, "STOP")) {
		if (!vm->ending)
			now_paused(vm);
	} else if (!strcmp(name, "SHUTDOWN")) {
		vm->ending = TRUE;
	} else if (!strcmp(name, "GUEST_PANICKED")) {
		vm->panicked = vm->ending = TRUE;
	} else if (!strcmp(name, "BLOCK_IO_ERROR")) {
		on_io_error(vm, data);
	} else if (!strcmp(name, "RESET")) {
		/* The guest starts over in the same QEMU. Its port was closed by this; told of that or not (QEMU merges
		 * close and open when they are less than a second apart), the agent is another one. */
		if (vm->guest && vm->agent_open)
			guest_port_opened(vm->guest, FALSE);
		vm->agent_open = vm->agent_open_now = FALSE;
		if (qmp_boolean(data, "guest", FALSE))
			count_reset(vm);
	} else if (!strcmp(name, "VSERPORT_CHANGE") && vm->guest &&
		   g_strcmp0(qmp_string(data, "id"), ARGS_AGENT_ID) == 0) {
		vm->agent_open = vm->agent_open_now = qmp_boolean(data, "open", FALSE);
		guest_port_opened(vm->guest, vm->agent_open);
	}
}

/* QEMU ended (polder-vm will tell), or its monitor misbehaves: then the VM is marked and left alone. */
static void on_closed(const GError *error, gpointer user_data)
{
	struct qemu_vm *vm = user_data;

	g_clear_pointer(&vm->qmp, qmp_free);
	g_free(vm->monitor_problem);
	vm->monitor_problem = g_strdup(error->message);
	if (vm->phase == PHASE_CONNECTING && !vm->adopting) {
		if (!g_error_matches(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE))
			qemu_vm_give_up(vm, error->message);
		else
			reconnect_later(vm);
		return;
	}
	reconnect_later(vm);
	/* An end of file is no answer yet: QEMU has just ended, or still serves the agent before us. */
	if (!vm->told && !g_error_matches(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE)) {
		vm->phase = PHASE_UP;
		vm->told = TRUE;
		vm->events->adopted(&vm->base, FALSE, vm->user_data);
	}
}

void monitor_connect(struct qemu_vm *vm)
{
	static const struct qmp_events events = { .event = on_event, .closed = on_closed };
	struct qemu_engine *engine = (struct qemu_engine *)vm->base.engine;
	g_autoptr(GError) error = NULL;
	gboolean starting = !vm->told && !vm->adopting;

	int fd = run_socket_connect(vm->run_dir, "qmp.sock", &error);
	if (fd < 0) {
		g_free(vm->monitor_problem);
		vm->monitor_problem = g_strdup(error->message);
		reconnect_later(vm);
		return;
	}
	vm->qmp = qmp_new(fd, starting ? engine->start_timeout_ms : engine->qmp_timeout_ms, &events, vm);
	qmp_send(vm->qmp, "query-chardev", on_chardevs, vm);
	if (!vm->vcpus)
		qmp_send(vm->qmp, "query-cpus-fast", on_vcpus, vm);
	qmp_send(vm->qmp, "query-status", on_status, vm);
}

void monitor_disconnect(struct qemu_vm *vm)
{
	source_clear(&vm->reconnect_timer);
	g_clear_pointer(&vm->qmp, qmp_free);
}
