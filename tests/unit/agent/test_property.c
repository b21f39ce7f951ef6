/* Random plans, engine events, passing time, agent restarts and reboots. Whatever the order, at the end every VM is as
 * its plan wants it, with exactly one status, and nothing is left of those removed. Engine fake asserts throughout that
 * nothing is started twice. POLDER_TEST_SEED repeats one run; POLDER_TEST_LONG does many. */
#include <stdlib.h>

#include "tests/unit/agent/world.h"

#define NAMES 4
#define STEPS 120

struct play {
	struct world world;
	GRand *rand;
	struct {
		char name[8];
		char *uuid;
		struct plan plan;
		gboolean exists;
	} vms[NAMES];
};

static void write_plan(struct play *play, guint i)
{
	world_plan(&play->world, play->vms[i].name, play->vms[i].exists ? &play->vms[i].plan : NULL);
}

static void create(struct play *play, guint i)
{
	g_free(play->vms[i].uuid);
	play->vms[i].uuid = g_strdup_printf("3f1b7f0e-7c7b-4b0e-9f2e-%012x", g_rand_int(play->rand));
	play->vms[i].plan = world_new_plan(play->vms[i].uuid);
	play->vms[i].plan.restart = g_rand_int_range(play->rand, 0, 3);
	play->vms[i].plan.desired = g_rand_int_range(play->rand, 0, 3);
	play->vms[i].plan.stop_timeout_ms = g_rand_boolean(play->rand) ? 3000 : 0;
	play->vms[i].exists = TRUE;
}

static void change_plan(struct play *play, guint i)
{
	struct plan *plan = &play->vms[i].plan;
	struct status status;

	if (!play->vms[i].exists) {
		create(play, i);
	} else if (plan->remove) { /* as control does: the plan goes once the status has gone */
		if (world_status(&play->world, play->vms[i].name, &status)) {
			noun_clear(&status_noun, &status);
			return;
		}
		play->vms[i].exists = FALSE;
	} else {
		switch (g_rand_int_range(play->rand, 0, 7)) {
		case 0:
			plan->remove = TRUE;
			break;
		case 1:
			plan->desired = VM_DESIRED_STOPPED;
			break;
		case 2:
			plan->desired = VM_DESIRED_PAUSED;
			break;
		case 3:
			plan->desired = VM_DESIRED_RUNNING;
			break;
		case 4:
			plan->desired = VM_DESIRED_RUNNING;
			plan->run++;
			break;
		case 5:
			plan->stop_timeout_ms = (guint64)g_rand_int_range(play->rand, 0, 6000);
			break;
		default:
			if (g_rand_int_range(play->rand, 0, 5) == 0)
				create(play, i); /* another VM of that name, without a removal in between */
			else
				plan->restart = g_rand_int_range(play->rand, 0, 3);
			break;
		}
	}
	write_plan(play, i);
}

static void machine_event(struct play *play, guint i)
{
	static const enum engine_exit_cause causes[] = { ENGINE_EXIT_SHUTDOWN, ENGINE_EXIT_PANIC, ENGINE_EXIT_CRASH };
	struct machine *machine = world_machine(&play->world, play->vms[i].name);

	if (!machine)
		return;
	machine->deaf = g_rand_int_range(play->rand, 0, 4) == 0;
	machine->no_agent = g_rand_boolean(play->rand);
	if (g_rand_int_range(play->rand, 0, 3) == 0)
		world_machine_ends(machine, causes[g_rand_int_range(play->rand, 0, 3)]);
	else
		world_answer(machine);
	world_settle(&play->world);
}

static void restart_agent(struct play *play)
{
	world_agent_stop(&play->world);
	if (g_rand_int_range(play->rand, 0, 4) == 0)
		world_reboot(&play->world);
	for (guint i = 0; i < NAMES; i++) {
		struct machine *machine = world_machine(&play->world, play->vms[i].name);

		if (machine && machine->alive && !machine->started && g_rand_boolean(play->rand)) {
			machine->alive = FALSE; /* the agent had made its directory, and no more */
			machine->cut_short = TRUE;
		}
		if (machine && g_rand_int_range(play->rand, 0, 4) == 0)
			world_machine_ends(machine, ENGINE_EXIT_PANIC);
		if (g_rand_int_range(play->rand, 0, 4) == 0)
			change_plan(play, i);
	}
	world_agent_start(&play->world);
}

static void step(struct play *play)
{
	guint i = (guint)g_rand_int_range(play->rand, 0, NAMES);
	gint dice = g_rand_int_range(play->rand, 0, 100);

	if (dice < 35)
		change_plan(play, i);
	else if (dice < 75)
		machine_event(play, i);
	else if (dice < 85)
		world_pass(&play->world, 250u << g_rand_int_range(play->rand, 0, 5));
	else if (dice < 93)
		restart_agent(play);
	else {
		play->world.image.state = g_rand_boolean(play->rand) ? IMAGE_STATE_READY : IMAGE_STATE_BUILDING;
		vms_image_changed(play->world.vms, "tiny");
		world_settle(&play->world);
	}
}

/* No more surprises: every request is answered and time passes. */
static void converge(struct play *play)
{
	play->world.image.state = IMAGE_STATE_READY;
	vms_image_changed(play->world.vms, "tiny");
	for (guint i = 0; i < 16; i++) {
		world_answer_all(&play->world);
		world_pass(&play->world, 10000);
	}
	world_answer_all(&play->world);
}

static void check_removed(struct play *play, guint i)
{
	struct machine *machine = world_machine(&play->world, play->vms[i].name);
	struct status status;

	g_assert_false(machine && (machine->alive || machine->has_dir));
	g_assert_false(world_status(&play->world, play->vms[i].name, &status));
	g_assert_null(vms_get(play->world.vms, play->vms[i].name));
}

static void check(struct play *play, guint i)
{
	const struct plan *plan = &play->vms[i].plan;
	struct machine *machine = world_machine(&play->world, play->vms[i].name);
	gboolean alive = machine && machine->alive;
	struct status status;
	gboolean ended;

	if (!play->vms[i].exists || plan->remove) {
		check_removed(play, i);
		return;
	}
	g_assert_true(world_status(&play->world, play->vms[i].name, &status));
	g_assert_cmpstr(status.uuid, ==, plan->uuid);
	g_assert_cmpuint(status.run, <=, plan->run);
	ended = status.state == VM_STATE_STOPPED || status.state == VM_STATE_FAILED;
	if (ended) {
		g_assert_false(machine && (machine->alive || machine->has_dir));
	} else {
		g_assert_true(alive);
		g_assert_cmpstr(machine->uuid, ==, plan->uuid);
		g_assert_cmpuint(machine->run, ==, status.run);
		g_assert_cmpint(status.state, ==, machine->paused ? VM_STATE_PAUSED : VM_STATE_RUNNING);
	}
	if (plan->desired == VM_DESIRED_STOPPED) {
		g_assert_true(ended);
	} else {
		g_assert_cmpuint(status.run, ==, plan->run); /* the run was carried out */
		if (!ended)
			g_assert_cmpint(status.state, ==,
					plan->desired == VM_DESIRED_PAUSED ? VM_STATE_PAUSED : VM_STATE_RUNNING);
	}
	noun_clear(&status_noun, &status);
}

static void play_once(guint32 seed)
{
	struct play play = { 0 };

	g_test_message("seed %u (POLDER_TEST_SEED=%u repeats it)", seed, seed);
	play.rand = g_rand_new_with_seed(seed);
	world_init(&play.world);
	world_agent_start(&play.world);
	for (guint i = 0; i < NAMES; i++)
		g_snprintf(play.vms[i].name, sizeof play.vms[i].name, "vm%u", i);
	for (guint i = 0; i < STEPS; i++)
		step(&play);
	converge(&play);
	for (guint i = 0; i < NAMES; i++)
		check(&play, i);
	g_assert_cmpuint(play.world.engines[0].starting, ==, 0);
	for (guint i = 0; i < NAMES; i++)
		g_free(play.vms[i].uuid);
	world_clear(&play.world);
	g_rand_free(play.rand);
}

static void test_random(void)
{
	const char *given = g_getenv("POLDER_TEST_SEED");
	guint runs = g_getenv("POLDER_TEST_LONG") ? 500 : 15;

	if (given) {
		play_once((guint32)strtoul(given, NULL, 10));
		return;
	}
	for (guint i = 0; i < runs; i++)
		play_once(g_test_rand_int() & G_MAXINT32);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/agent/property/random", test_random);
	return g_test_run();
}
