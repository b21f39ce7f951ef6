/* The state machine against a scripted engine, through a real store. */
#include <glib/gstdio.h>

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

static struct machine *start_web(struct world *world, const struct plan *plan)
{
	struct machine *machine;

	world_plan(world, "web", plan);
	world_answer_all(world);
	machine = world_machine(world, "web");
	g_assert_nonnull(machine);
	return machine;
}

static void test_start(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;
	struct status status;

	world_plan(world, "web", &plan);
	machine = world_machine(world, "web");
	world_assert_state(world, "web", VM_STATE_STARTING);
	g_assert_true(world_answer(machine)); /* started: let go at once */
	world_settle(world);
	g_assert_false(machine->paused);
	world_answer_all(world);
	g_assert_true(world_status(world, "web", &status));
	g_assert_cmpint(status.state, ==, VM_STATE_RUNNING);
	g_assert_cmpstr(status.uuid, ==, UUID_A);
	g_assert_cmpstr(status.host, ==, "here");
	g_assert_cmpuint(status.run, ==, 1);
	g_assert_cmpuint(status.pid, ==, 4711);
	g_assert_cmpint(status.started_at, >, 0);
	noun_clear(&status_noun, &status);
	/* The same plan again changes nothing. */
	world_plan(world, "web", &plan);
	world_answer_all(world);
	g_assert_cmpuint(machine->starts, ==, 1);
}

static void test_pause(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;

	plan.desired = VM_DESIRED_PAUSED;
	machine = start_web(world, &plan);
	world_assert_state(world, "web", VM_STATE_PAUSED);
	g_assert_true(machine->paused);
	plan.desired = VM_DESIRED_RUNNING;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	plan.desired = VM_DESIRED_PAUSED;
	world_plan(world, "web", &plan);
	world_assert_state(world, "web", VM_STATE_RUNNING); /* until the engine has said so */
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_PAUSED);
	/* A paused VM is let go so that it can hear that it is to stop. */
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	g_assert_cmpuint(machine->shutdowns_agent, ==, 1);
	g_assert_cmpuint(machine->kills, ==, 0);
}

/* An I/O error pauses it: it is let go again every 30 s, for as long as it is to run. */
static void test_pause_by_io_error(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	for (guint again = 0; again < 3; again++) {
		guint resumes = machine->resumes;

		world_machine_pauses(machine, "I/O error on disk root: No space left on device");
		world_settle(world);
		world_assert_state(world, "web", VM_STATE_PAUSED);
		world_assert_reason(world, "web", "No space left");
		world_pass(world, 29000);
		g_assert_cmpuint(machine->resumes, ==, resumes);
		world_pass(world, 1500);
		g_assert_cmpuint(machine->resumes, ==, resumes + 1);
		world_answer_all(world);
		world_assert_state(world, "web", VM_STATE_RUNNING);
	}
	/* Resumed by hand: at once. */
	world_machine_pauses(machine, "I/O error on disk root: No space left on device");
	world_settle(world);
	guint resumes = machine->resumes;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	g_assert_cmpuint(machine->resumes, ==, resumes + 1);
	/* It is to be paused now: let alone. */
	world_machine_pauses(machine, "I/O error on disk root: No space left on device");
	plan.desired = VM_DESIRED_PAUSED;
	world_plan(world, "web", &plan);
	world_pass(world, 60000);
	g_assert_cmpuint(machine->resumes, ==, resumes + 1);
	world_assert_state(world, "web", VM_STATE_PAUSED);
	/* To be stopped: resumed, so that the guest hears of it. */
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	g_assert_cmpuint(machine->kills, ==, 0);
	g_assert_cmpuint(machine->starts, ==, 1);
}

static void test_stop_and_start(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_assert_state(world, "web", VM_STATE_STOPPING);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	world_assert_reason(world, "web", "as asked");
	g_assert_false(machine->has_dir);
	/* Running is wanted again but no new run: it was carried out. */
	plan.desired = VM_DESIRED_RUNNING;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	plan.run = 2;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_cmpuint(machine->starts, ==, 2);
	/* A stop and a start that are seen as one change: a new run is a new boot. */
	plan.run = 3;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_cmpuint(machine->starts, ==, 3);
}

/* A start that was taken back before the agent heard of it counts as carried out: nobody waits for it any more. */
static void test_start_taken_back(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);
	struct status status;

	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	plan.run = 2;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	g_assert_true(world_status(world, "web", &status));
	g_assert_cmpuint(status.run, ==, 2);
	noun_clear(&status_noun, &status);
	g_assert_cmpuint(machine->starts, ==, 1);
}

static void test_stop_ladder(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	machine->deaf = TRUE;
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	g_assert_cmpuint(machine->shutdowns_agent, ==, 1);
	g_assert_cmpuint(machine->shutdowns_acpi, ==, 0);
	world_pass(world, 9000);
	g_assert_cmpuint(machine->shutdowns_acpi, ==, 0);
	world_pass(world, 1500);
	g_assert_cmpuint(machine->shutdowns_acpi, ==, 1);
	world_pass(world, 19000);
	g_assert_cmpuint(machine->kills, ==, 0);
	world_pass(world, 1000);
	g_assert_cmpuint(machine->kills, ==, 1);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	world_assert_reason(world, "web", "killed after 30s: the guest did not answer");
}

static void test_force_during_stop(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	machine->deaf = TRUE;
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_pass(world, 3000);
	/* Longer is not granted, shorter is. */
	plan.stop_timeout_ms = 3600000;
	world_plan(world, "web", &plan);
	plan.stop_timeout_ms = 0;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	g_assert_cmpuint(machine->kills, ==, 1);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	world_assert_reason(world, "web", "killed, as asked");
}

/* Asked for once, a deadline only comes nearer. */
static void test_longer_stop_is_not_granted(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	machine->deaf = TRUE;
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	plan.stop_timeout_ms = 3600000;
	world_plan(world, "web", &plan);
	world_pass(world, 30000);
	g_assert_cmpuint(machine->kills, ==, 1);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
}

static void test_start_timeout(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;

	world_plan(world, "web", &plan);
	machine = world_machine(world, "web");
	world_pass(world, 29000);
	world_assert_state(world, "web", VM_STATE_STARTING);
	world_pass(world, 1500);
	g_assert_cmpuint(machine->kills, ==, 1);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_FAILED);
	world_assert_reason(world, "web", "did not start within 30s");
}

static void test_restart_policy(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;
	struct status status;

	plan.restart = VM_RESTART_ON_FAILURE;
	machine = start_web(world, &plan);
	for (guint i = 0; i < 3; i++) {
		world_machine_ends(machine, ENGINE_EXIT_PANIC);
		world_answer_all(world);
		world_assert_state(world, "web", VM_STATE_RESTARTING);
		world_assert_reason(world, "web", "it ended; starts again after");
		g_assert_cmpuint(machine->starts, ==, i + 1);
		world_pass(world, (1000u << i) - 250);
		g_assert_cmpuint(machine->starts, ==, i + 1);
		world_pass(world, 250);
		g_assert_cmpuint(machine->starts, ==, i + 2);
		world_answer_all(world);
		world_assert_state(world, "web", VM_STATE_RUNNING);
	}
	g_assert_true(world_status(world, "web", &status));
	g_assert_cmpuint(status.restarts, ==, 3);
	g_assert_cmpuint(status.run, ==, 1);
	noun_clear(&status_noun, &status);
	/* A minute of running forgives. */
	world_pass(world, 60000);
	world_machine_ends(machine, ENGINE_EXIT_CRASH);
	world_answer_all(world);
	world_pass(world, 1000);
	g_assert_cmpuint(machine->starts, ==, 5);
	world_answer_all(world);
	/* A clean end is no failure. */
	world_machine_ends(machine, ENGINE_EXIT_SHUTDOWN);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_STOPPED);
}

static void test_stop_while_restarting(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;

	plan.restart = VM_RESTART_ALWAYS;
	machine = start_web(world, &plan);
	world_machine_ends(machine, ENGINE_EXIT_SHUTDOWN);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RESTARTING);
	plan.desired = VM_DESIRED_STOPPED;
	world_plan(world, "web", &plan);
	world_assert_state(world, "web", VM_STATE_STOPPED);
	world_pass(world, 5000);
	g_assert_cmpuint(machine->starts, ==, 1);
}

static void test_image(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);

	world->image.state = IMAGE_STATE_BUILDING;
	world->image.progress_percent = 40;
	world->image.step = g_strdup("unpacking");
	world_plan(world, "web", &plan);
	g_assert_cmpuint(world->image_wants, ==, 1);
	world_assert_state(world, "web", VM_STATE_PREPARING);
	world_assert_reason(world, "web", "waiting for image tiny: 40 % unpacking");
	world->image.progress_percent = 50;
	vms_image_changed(world->vms, "tiny");
	world_settle(world);
	world_assert_reason(world, "web", "50 %");
	world->image.state = IMAGE_STATE_READY;
	world->image.notes = g_strsplit("no disk", "|", 0);
	vms_image_changed(world->vms, "tiny");
	world_settle(world);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_cmpuint(world->image_wants, ==, 1);
	/* Another one, and the image can't be made. */
	world->image.state = IMAGE_STATE_FAILED;
	world->image.reason = g_strdup("no network");
	plan.uuid = (char *)UUID_B;
	world_plan(world, "db", &plan);
	world_assert_state(world, "db", VM_STATE_FAILED);
	world_assert_reason(world, "db", "image tiny: no network");
}

static void test_engines(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);

	world->engines[0].probed = FALSE;
	world_plan(world, "web", &plan);
	world_assert_reason(world, "web", "self-test");
	world->engines[0].probed = TRUE;
	world->engines[0].unusable = g_strdup("no QEMU");
	vms_engines_changed(world->vms);
	world_settle(world);
	world_assert_state(world, "web", VM_STATE_FAILED);
	world_assert_reason(world, "web", "no QEMU");
	plan.engine = (char *)"sim";
	world_plan(world, "other", &plan);
	world_assert_reason(world, "other", "no engine sim");
}

static void test_starts_at_a_time(struct world *world)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct plan plan = world_new_plan(UUID_A);

	for (guint i = 0; i < G_N_ELEMENTS(names); i++)
		world_plan(world, names[i], &plan);
	g_assert_cmpuint(world->engines[0].starting, ==, 2);
	world_assert_state(world, "c", VM_STATE_PREPARING);
	world_assert_reason(world, "c", "other VMs");
	g_assert_null(world_machine(world, "c"));
	world_answer_all(world);
	for (guint i = 0; i < G_N_ELEMENTS(names); i++)
		world_assert_state(world, names[i], VM_STATE_RUNNING);
	g_assert_cmpuint(world->engines[0].starting, ==, 0);
}

static void test_remove(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);
	g_autofree char *logs = dirs_vm_state(&world->dirs, "web");
	g_autofree char *log = g_build_filename(logs, "console.log", NULL);
	struct status status;

	g_assert_cmpint(g_mkdir_with_parents(logs, 0700), ==, 0);
	g_assert_true(g_file_set_contents(log, "x", 1, NULL));
	machine->deaf = TRUE;
	plan.remove = TRUE;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	g_assert_false(machine->alive);
	g_assert_false(machine->has_dir);
	g_assert_false(g_file_test(logs, G_FILE_TEST_EXISTS));
	g_assert_false(world_status(world, "web", &status));
	g_assert_cmpuint(vms_count(world->vms), ==, 0);
	/* The name is free again. */
	world_plan(world, "web", NULL);
	plan = world_new_plan(UUID_B);
	world_plan(world, "web", &plan);
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_cmpstr(machine->uuid, ==, UUID_B);
}

static void test_other_uuid(struct world *world)
{
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine = start_web(world, &plan);

	plan.uuid = (char *)UUID_B;
	world_plan(world, "web", &plan);
	world_answer_all(world);
	g_assert_cmpstr(machine->uuid, ==, UUID_B);
	g_assert_true(machine->alive);
	g_assert_cmpuint(machine->starts, ==, 2);
	world_assert_state(world, "web", VM_STATE_RUNNING);
}

static void test_untrusted_plans(struct world *world)
{
	static const char *const malformed[] = {
		"",
		"{",
		"[]",
		"{\"uuid\":\"../../etc\"}",
		"{\"uuid\":\"" UUID_A "\",\"host\":\"here\",\"cpus\":0,\"memory_bytes\":67108864,\"image\":\"tiny\","
		"\"engine\":\"qemu\",\"run\":1}",
		"{\"uuid\":\"" UUID_A "\",\"host\":\"here\",\"cpus\":1,\"memory_bytes\":1,\"image\":\"tiny\","
		"\"engine\":\"qemu\",\"run\":1}",
		"{\"uuid\":\"" UUID_A "\",\"host\":\"here\",\"cpus\":1,\"memory_bytes\":67108864,\"image\":\"../x\","
		"\"engine\":\"qemu\",\"run\":1}",
		"{\"uuid\":\"" UUID_A "\",\"host\":\"here\",\"cpus\":1,\"memory_bytes\":67108864,\"image\":\"tiny\","
		"\"engine\":\"qemu\",\"run\":1,\"surprise\":1}",
	};
	struct plan plan = world_new_plan(UUID_A);
	struct machine *machine;

	for (guint i = 0; i < G_N_ELEMENTS(malformed); i++) {
		g_autofree char *name = g_strdup_printf("bad%u", i);

		g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*plan of vm bad*");
		world_plan_text(world, name, malformed[i]);
		g_test_assert_expected_messages();
		world_assert_state(world, name, VM_STATE_FAILED);
		world_assert_reason(world, name, "malformed");
		g_assert_null(world_machine(world, name));
	}
	/* What runs goes on. */
	machine = start_web(world, &plan);
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*plan of vm web*");
	world_plan_text(world, "web", "{}");
	g_test_assert_expected_messages();
	world_answer_all(world);
	world_assert_state(world, "web", VM_STATE_RUNNING);
	g_assert_true(machine->alive);
	/* Plans that are not for us start nothing and have no status. */
	plan.host = (char *)"elsewhere";
	world_plan(world, "foreign", &plan);
	plan = world_new_plan(UUID_A);
	plan.refused = TRUE;
	world_plan(world, "refused", &plan);
	g_assert_null(world_machine(world, "foreign"));
	g_assert_null(world_machine(world, "refused"));
	struct status status;
	g_assert_false(world_status(world, "foreign", &status));
	g_assert_false(world_status(world, "refused", &status));
}

#define ADD(name, func) g_test_add_data_func("/agent/lifecycle/" name, (gconstpointer)(func), run_in_world)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("start", test_start);
	ADD("pause", test_pause);
	ADD("pause-by-io-error", test_pause_by_io_error);
	ADD("stop-and-start", test_stop_and_start);
	ADD("start-taken-back", test_start_taken_back);
	ADD("stop-ladder", test_stop_ladder);
	ADD("force-during-stop", test_force_during_stop);
	ADD("longer-stop-is-not-granted", test_longer_stop_is_not_granted);
	ADD("start-timeout", test_start_timeout);
	ADD("restart-policy", test_restart_policy);
	ADD("stop-while-restarting", test_stop_while_restarting);
	ADD("image", test_image);
	ADD("engines", test_engines);
	ADD("starts-at-a-time", test_starts_at_a_time);
	ADD("remove", test_remove);
	ADD("other-uuid", test_other_uuid);
	ADD("untrusted-plans", test_untrusted_plans);
	return g_test_run();
}
