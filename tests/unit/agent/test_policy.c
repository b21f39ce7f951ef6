/* Backoff, the meaning of an end, and the ladder of a stop. */
#include <glib.h>

#include "daemon/agent/policy.h"
#include "daemon/model/limits.h"

static void test_backoff(void)
{
	g_assert_cmpuint(restart_delay_ms(0), ==, 1000);
	g_assert_cmpuint(restart_delay_ms(1), ==, 2000);
	g_assert_cmpuint(restart_delay_ms(5), ==, 32000);
	g_assert_cmpuint(restart_delay_ms(6), ==, LIMIT_RESTART_BACKOFF_MAX_MS);
	g_assert_cmpuint(restart_delay_ms(G_MAXUINT), ==, LIMIT_RESTART_BACKOFF_MAX_MS);
	for (guint i = 0; i < 100; i++) {
		g_assert_cmpuint(restart_delay_ms(i), <=, restart_delay_ms(i + 1));
		g_assert_cmpuint(restart_delay_ms(i), >=, LIMIT_RESTART_BACKOFF_MIN_MS);
	}
	g_assert_cmpuint(restart_failures(7, 59999), ==, 7);
	g_assert_cmpuint(restart_failures(7, 60000), ==, 0);
}

static void test_end_state(void)
{
	const struct {
		struct end end;
		enum vm_restart policy;
		enum vm_state state;
	} rows[] = {
		{ { ENGINE_EXIT_SHUTDOWN, FALSE, FALSE }, VM_RESTART_NEVER, VM_STATE_STOPPED },
		{ { ENGINE_EXIT_SHUTDOWN, FALSE, FALSE }, VM_RESTART_ON_FAILURE, VM_STATE_STOPPED },
		{ { ENGINE_EXIT_SHUTDOWN, FALSE, FALSE }, VM_RESTART_ALWAYS, VM_STATE_RESTARTING },
		{ { ENGINE_EXIT_PANIC, FALSE, FALSE }, VM_RESTART_NEVER, VM_STATE_FAILED },
		{ { ENGINE_EXIT_PANIC, FALSE, FALSE }, VM_RESTART_ON_FAILURE, VM_STATE_RESTARTING },
		{ { ENGINE_EXIT_LOST, FALSE, FALSE }, VM_RESTART_ON_FAILURE, VM_STATE_RESTARTING },
		{ { ENGINE_EXIT_LOST, FALSE, FALSE }, VM_RESTART_NEVER, VM_STATE_FAILED },
		{ { ENGINE_EXIT_START_FAILED, FALSE, FALSE }, VM_RESTART_NEVER, VM_STATE_FAILED },
		/* Asked to end: the policy has no say. */
		{ { ENGINE_EXIT_SHUTDOWN, TRUE, FALSE }, VM_RESTART_ALWAYS, VM_STATE_STOPPED },
		{ { ENGINE_EXIT_STOPPED, TRUE, TRUE }, VM_RESTART_ALWAYS, VM_STATE_STOPPED },
		{ { ENGINE_EXIT_CRASH, TRUE, TRUE }, VM_RESTART_ALWAYS, VM_STATE_STOPPED },
		{ { ENGINE_EXIT_CRASH, TRUE, FALSE }, VM_RESTART_ALWAYS, VM_STATE_FAILED },
		{ { ENGINE_EXIT_PANIC, TRUE, FALSE }, VM_RESTART_ALWAYS, VM_STATE_FAILED },
		{ { ENGINE_EXIT_LOST, TRUE, FALSE }, VM_RESTART_ALWAYS, VM_STATE_STOPPED },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
		g_assert_cmpint(end_state(&rows[i].end, rows[i].policy), ==, rows[i].state);
}

static void test_ladder(void)
{
	struct stop_ladder ladder = { .begun_us = 1000, .deadline_us = 1000 + 30 * G_USEC_PER_SEC };
	gint64 again_us = 0, now_us = 1000;

	g_assert_cmpint(stop_next(&ladder, now_us, &again_us), ==, STOP_AGENT);
	stop_done(&ladder, STOP_AGENT, TRUE, now_us);
	g_assert_cmpint(stop_next(&ladder, now_us, &again_us), ==, STOP_WAIT);
	g_assert_cmpint(again_us, ==, 1000 + 10 * G_USEC_PER_SEC);
	now_us = again_us;
	g_assert_cmpint(stop_next(&ladder, now_us, &again_us), ==, STOP_ACPI);
	stop_done(&ladder, STOP_ACPI, TRUE, now_us);
	g_assert_cmpint(stop_next(&ladder, now_us, &again_us), ==, STOP_WAIT);
	g_assert_cmpint(again_us, ==, ladder.deadline_us);
	now_us = again_us;
	g_assert_cmpint(stop_next(&ladder, now_us, &again_us), ==, STOP_KILL);
	stop_done(&ladder, STOP_KILL, TRUE, now_us);
	g_assert_cmpint(stop_next(&ladder, now_us, &again_us), ==, STOP_WAIT);
	/* A kill that nothing follows is repeated. */
	g_assert_cmpint(again_us, >, now_us);
	g_assert_cmpint(stop_next(&ladder, again_us, &again_us), ==, STOP_KILL);
}

static void test_ladder_without_agent(void)
{
	struct stop_ladder ladder = { .begun_us = 0, .deadline_us = 30 * G_USEC_PER_SEC };
	gint64 again_us = 0;

	stop_done(&ladder, STOP_AGENT, FALSE, 0);
	g_assert_cmpint(stop_next(&ladder, 0, &again_us), ==, STOP_ACPI);
}

static void test_ladder_force(void)
{
	struct stop_ladder ladder = { .begun_us = 5, .deadline_us = 5 };
	gint64 again_us = 0;

	g_assert_cmpint(stop_next(&ladder, 5, &again_us), ==, STOP_KILL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/agent/policy/backoff", test_backoff);
	g_test_add_func("/agent/policy/end-state", test_end_state);
	g_test_add_func("/agent/policy/ladder", test_ladder);
	g_test_add_func("/agent/policy/ladder-without-agent", test_ladder_without_agent);
	g_test_add_func("/agent/policy/ladder-force", test_ladder_force);
	return g_test_run();
}
