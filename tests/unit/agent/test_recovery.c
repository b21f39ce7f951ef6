/* The agent's objects are destroyed in every state and made anew: every VM is found, its state and exit reason right. */
#include "tests/unit/agent/world.h"

#define UUID_A "3f1b7f0e-7c7b-4b0e-9f2e-0d7b1f1a0001"
#define UUID_B "3f1b7f0e-7c7b-4b0e-9f2e-0d7b1f1a0002"

typedef void (*test_func)(struct world *world);

static void run_in_world(gconstpointer data)
{
	struct world world;

	world_init(&world);
	world_agent_start(&world);
	((test_func)data)(&world);
	world_clear(&world);
}

static void restart_agent(struct world *world)
{
	world_agent_stop(world);
	world_agent_start(world);
}

static struct machine *start_web(struct world *world, const struct plan *plan)
{
	world_plan(world, "web", plan);
	world_answer_all(world);
	return world_machine(world, "web");
}

static void test_preparing(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);

	world->image.state = IMAGE_STATE_BUILDING;
	world_plan(world, "web", &plan);
	restart_agent(world);
	world_assert_state(world, "web", VM_STATE_PREPARING);
	world->image.state = IMAGE_STATE_READY;
	restart_agent(world);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_cmpuint(world_machine(world, "web")->starts, ==, 1);
}

static void test_starting(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);

	world_plan(world, "web", &plan);
	restart_agent(world);
	world_assert_state(world, "web", VM_STATE_STARTING);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_cmpuint(world_machine(world, "web")->starts, ==, 1);
}

/* The earlier agent made the run directory and died before anything was run: no end, no failure, just not begun. */
static void test_cut_short(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;
	struct status status;

	world_plan(world, "web", &plan);
	machine = world_machine(world, "web");
	world_agent_stop(world);
	machine->alive = FALSE;
	machine->cut_short = TRUE;
	world_agent_start(world);
	world_answer_all(world);
	g_assert_cmpuint(machine->starts, ==, 2);
	g_assert_true(world_status(world, "web", &status));
	g_assert_cmpint(status.state, ==, VM_STATE_RUNNING);
	g_assert_cmpuint(status.run, ==, 1);
	g_assert_cmpuint(status.restarts, ==, 0);
	noun_clear(&status_noun, &status);
	/* What ran once can't have been cut short: something removed its files. */
	world_agent_stop(world);
	machine->alive = FALSE;
	world_agent_start(world);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_FAILED);
	g_assert_cmpuint(machine->starts, ==, 2);
}

/* The same, but by now it is to be stopped. */
static void test_cut_short_and_stopped(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;

	world_plan(world, "web", &plan);
	machine = world_machine(world, "web");
	world_agent_stop(world);
	machine->alive = FALSE;
	machine->cut_short = TRUE;
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_agent_start(world);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	g_assert_false(machine->has_dir);
	g_assert_cmpuint(machine->starts, ==, 1);
}

static void test_running(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);
	struct status before, after;

	g_assert_true(world_status(world, "web", &before));
	restart_agent(world);
	world_answer_all(world);
	g_assert_true(world_status(world, "web", &after));
	g_assert_cmpint(after.state, ==, VM_STATE_RUNNING);
	g_assert_cmpint(after.started_at, ==, before.started_at);
	g_assert_cmpuint(after.run, ==, 1);
	g_assert_cmpuint(machine->starts, ==, 1);
	noun_clear(&status_noun, &before);
	noun_clear(&status_noun, &after);
	/* The plan moved on while no agent was there. */
	world_agent_stop(world);
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_agent_start(world);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
}

static void test_paused(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;

	plan.desired = VM_DESIRED_PAUSED;
	machine = start_web(world, &plan);
	restart_agent(world);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_PAUSED);
	g_assert_true(machine->paused);
}

static void test_stopping(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	machine->deaf = TRUE;
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_assert_state(world, "web", VM_STATE_STOPPING);
	restart_agent(world);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPING);
	world_pass(world, 30000);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	g_assert_false(machine->has_dir);
}

static void test_ended_meanwhile(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	world_agent_stop(world);
	world_machine_ends(machine, ENGINE_EXIT_PANIC);
	world_agent_start(world);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_FAILED);
	world_assert_reason(world, "web", "it ended");
	g_assert_false(machine->has_dir);
}

/* The end was written, the run directory not yet cleaned. */
static void test_ended_and_recorded(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);
	struct status status;

	world_machine_ends(machine, ENGINE_EXIT_PANIC);
	world_answer_all(world);
	world_agent_stop(world);
	machine->has_dir = machine->ended = TRUE;
	g_assert_true(world_status(world, "web", &status));
	world_agent_start(world);
	world_answer_all(world);
	g_assert_false(machine->has_dir);
	world_assert_state(world, "web", VM_STATE_FAILED);
	world_assert_reason(world, "web", status.reason);
	noun_clear(&status_noun, &status);
}

static void test_restarting(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;

	plan.restart = VM_RESTART_ALWAYS;
	machine = start_web(world, &plan);
	world_machine_ends(machine, ENGINE_EXIT_CRASH);
	world_answer_all(world);
	restart_agent(world);
	world_assert_state(world, "web", VM_STATE_RESTARTING);
	world_pass(world, 2000);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_cmpuint(machine->starts, ==, 2);
}

static void test_reboot(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	world_agent_stop(world);
	world_reboot(world);
	world_agent_start(world);
	world_assert_state(world, "web", VM_STATE_FAILED);
	world_assert_reason(world, "web", "host rebooted");
	g_assert_cmpuint(machine->starts, ==, 1);
}

static void test_reboot_with_restart(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;

	plan.restart = VM_RESTART_ON_FAILURE;
	machine = start_web(world, &plan);
	world_agent_stop(world);
	world_reboot(world);
	world_agent_start(world);
	world_assert_state(world, "web", VM_STATE_RESTARTING);
	world_assert_reason(world, "web", "host rebooted");
	world_pass(world, 2000);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_cmpuint(machine->starts, ==, 2);
}

/* One of each policy, running, paused and stopped: only what is to run, and may start again, does. */
static void test_reboot_of_many(struct world *world)
{
	static const struct {
		const char *name;
		enum vm_restart restart;
		enum vm_desired desired;
		enum vm_state state;
		guint starts;
	} rows[] = {
		{ "always", VM_RESTART_ALWAYS, VM_DESIRED_RUNNING, VM_STATE_RUNNING, 2 },
		{ "failure", VM_RESTART_ON_FAILURE, VM_DESIRED_RUNNING, VM_STATE_RUNNING, 2 },
		{ "never", VM_RESTART_NEVER, VM_DESIRED_RUNNING, VM_STATE_FAILED, 1 },
		{ "paused", VM_RESTART_ALWAYS, VM_DESIRED_PAUSED, VM_STATE_PAUSED, 2 },
		{ "paused-never", VM_RESTART_NEVER, VM_DESIRED_PAUSED, VM_STATE_FAILED, 1 },
		{ "stopped", VM_RESTART_ALWAYS, VM_DESIRED_STOPPED, VM_STATE_STOPPED, 1 },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *uuid = g_uuid_string_random();
		struct plan plan = world_new_plan(uuid);

		plan.restart = rows[i].restart;
		plan.desired = rows[i].desired == VM_DESIRED_STOPPED ? VM_DESIRED_RUNNING : rows[i].desired;
		world_plan(world, rows[i].name, &plan);
		world_answer_all(world);
		plan.desired = rows[i].desired;
		world_plan(world, rows[i].name, &plan);
		world_answer_all(world);
	}
	world_agent_stop(world);
	world_reboot(world);
	world_agent_start(world);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		gboolean ran = rows[i].desired != VM_DESIRED_STOPPED;

		world_assert_state(world, rows[i].name,
				   !ran                  ? VM_STATE_STOPPED
				   : rows[i].starts == 2 ? VM_STATE_RESTARTING
							 : VM_STATE_FAILED);
		if (ran)
			world_assert_reason(world, rows[i].name, "host rebooted");
	}
	world_pass(world, 2000);
	world_answer_all(world);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct status status;

		g_test_message("%s", rows[i].name);
		world_assert_state(world, rows[i].name, rows[i].state);
		g_assert_cmpuint(world_machine(world, rows[i].name)->starts, ==, rows[i].starts);
		g_assert_true(world_status(world, rows[i].name, &status));
		g_assert_cmpuint(status.restarts, ==, rows[i].starts - 1);
		noun_clear(&status_noun, &status);
	}
}

static void test_lost(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	world_agent_stop(world);
	machine->alive = machine->has_dir = FALSE;
	world_agent_start(world);
	world_assert_state(world, "web", VM_STATE_FAILED);
	world_assert_reason(world, "web", "supervisor was killed");
}

static void test_orphan(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);
	struct status status;

	world_agent_stop(world);
	world_plan(world, "web", NULL);
	world_agent_start(world);
	world_answer_all(world);
	g_assert_false(machine->alive);
	g_assert_false(machine->has_dir);
	g_assert_false(world_status(world, "web", &status));
	g_assert_cmpuint(vms_count(world->vms), ==, 0);
}

/* The plan is for another VM of the same name: the one found is ended first. */
static void test_orphan_of_same_name(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	world_agent_stop(world);
	plan.uuid = (char *)UUID_B;
	world_plan(world, "web", &plan);
	world_agent_start(world);
	world_answer_all(world);
	g_assert_cmpuint(machine->kills, ==, 1);
	g_assert_cmpstr(machine->uuid, ==, UUID_B);
	world_assert_state(world, "web", VM_STATE_RUNNING);
}

/* The run directory is ahead of the status: the agent died between start and write. */
static void test_status_behind(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);
	struct status status;

	world_agent_stop(world);
	world_put(world, "/status/web", NULL);
	world_agent_start(world);
	world_answer_all(world);
	g_assert_cmpuint(machine->starts, ==, 1);
	g_assert_true(world_status(world, "web", &status));
	g_assert_cmpint(status.state, ==, VM_STATE_RUNNING);
	g_assert_cmpuint(status.run, ==, 1);
	g_assert_cmpint(status.started_at, >, 0);
	noun_clear(&status_noun, &status);
}

/* A whole run ahead: it was begun and must not be begun again. */
static void test_status_a_run_behind(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);
	struct status status;

	world_agent_stop(world);
	machine->run = plan.run = 2;
	world_plan(world, "web", &plan);
	world_agent_start(world);
	world_answer_all(world);
	g_assert_cmpuint(machine->starts, ==, 1);
	g_assert_true(world_status(world, "web", &status));
	g_assert_cmpuint(status.run, ==, 2);
	noun_clear(&status_noun, &status);
}

static void test_malformed_status(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	world_agent_stop(world);
	world_put(world, "/status/web", "{\"garbage\":");
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*status /status/web is ignored*");
	world_agent_start(world);
	g_test_assert_expected_messages();
	world_answer_all(world);
	g_assert_cmpuint(machine->starts, ==, 1);
	world_assert_state(world, "web", VM_STATE_RUNNING);
}

static void test_removed_meanwhile(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);
	struct status status;

	world_agent_stop(world);
	plan.remove = TRUE;
	world_plan(world, "web", &plan);
	world_agent_start(world);
	world_answer_all(world);
	g_assert_false(machine->alive);
	g_assert_false(world_status(world, "web", &status));
}

#define ADD(name, func) g_test_add_data_func("/agent/recovery/" name, (gconstpointer)(func), run_in_world)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("preparing", test_preparing);
	ADD("starting", test_starting);
	ADD("cut-short", test_cut_short);
	ADD("cut-short-and-stopped", test_cut_short_and_stopped);
	ADD("running", test_running);
	ADD("paused", test_paused);
	ADD("stopping", test_stopping);
	ADD("ended-meanwhile", test_ended_meanwhile);
	ADD("ended-and-recorded", test_ended_and_recorded);
	ADD("restarting", test_restarting);
	ADD("reboot", test_reboot);
	ADD("reboot-with-restart", test_reboot_with_restart);
	ADD("reboot-of-many", test_reboot_of_many);
	ADD("lost", test_lost);
	ADD("orphan", test_orphan);
	ADD("orphan-of-same-name", test_orphan_of_same_name);
	ADD("status-behind", test_status_behind);
	ADD("status-a-run-behind", test_status_a_run_behind);
	ADD("malformed-status", test_malformed_status);
	ADD("removed-meanwhile", test_removed_meanwhile);
	return g_test_run();
}
