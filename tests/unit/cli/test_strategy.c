/* The strategy verbs ask the daemon for what they promise, and refuse what is wrong before asking. */
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "daemon/model/error.h"
#include "lab/error.h"
#include "tests/unit/cli/server.h"

static const char choice[] =
	"{\"family\":\"allocation\",\"scope\":\"all\",\"name\":\"best-fit\",\"parameters\":[\"a=1\",\"b=2\"],"
	"\"reason\":\"because\",\"previous\":[\"first-fit\",\"random\"]}";
static const char trace[] = "time_s,event,vm,cpus,memory_mib,tenant,group,numa_nodes,priority,host,strategy,note\n"
			    "0,host,h1,16,65536,,r1,1,,,,\n0,host,h2,16,65536,,r2,1,,,,\n"
			    "1,create,a,4,8192,,,,,h1,first-fit,\n2,create,b,4,8192,,,,,h1,first-fit,\n"
			    "50,delete,a,,,,,,,,,\n100,delete,b,,,,,,,,,\n";

/* Two vCPUs on one CPU: one that never stops, one that wakes. */
static const char recorded[] =
	"time_s,event,vm,vcpu,tenant,weight,limit_percent,reserve_percent,latency_us,interval_us,run_us,"
	"ready_us,throttled_us,wakeups,switches,cpus,threads_per_core,cores_per_llc,llcs_per_node\n"
	"10,host,,,,,,,,,,,,,,1,1,1,1\n"
	"11,vcpu,busy,0,red,100,0,0,0,1000000,700000,300000,0,0,90,,,,\n"
	"11,vcpu,web,0,blue,100,0,0,2000,1000000,250000,50000,0,80,90,,,,\n"
	"12,vcpu,busy,0,red,100,0,0,0,1000000,700000,300000,0,0,90,,,,\n"
	"12,vcpu,web,0,blue,100,0,0,2000,1000000,250000,50000,0,80,90,,,,\n";

struct seen {
	GMutex lock;
	GString *requests; /* "METHOD PATH BODY" a line */
};

static void handle(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
	SoupMessageBody *body = soup_server_message_get_request_body(message);
	struct seen *seen = data;

	g_mutex_lock(&seen->lock);
	g_string_append_printf(seen->requests, "%s %s %.*s\n", soup_server_message_get_method(message), path,
			       (int)body->length, body->length ? body->data : "");
	g_mutex_unlock(&seen->lock);
	if (strcmp(path, "/v1/trace/allocation") == 0)
		test_server_answer(message, 200, "text/csv", trace);
	else if (strcmp(path, "/v1/trace/scheduling") == 0)
		test_server_answer(message, 200, "text/csv", recorded);
	else
		test_server_answer(message, 200, "application/json", choice);
}

static void setup(SoupServer *server, gpointer seen)
{
	soup_server_add_handler(server, NULL, handle, seen, NULL);
}

struct outcome {
	int status;
	char *out;
	GError *error;
	char *asked;
};

typedef struct outcome outcome_auto; /* for g_auto() */

static void outcome_clear(struct outcome *outcome)
{
	g_free(outcome->out);
	g_free(outcome->asked);
	g_clear_error(&outcome->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(outcome_auto, outcome_clear)

/* The libraries' own messages are told on a test's standard output. Caller frees. */
static char *without_messages(const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autoptr(GStrvBuilder) kept = g_strv_builder_new();
	g_auto(GStrv) rest = NULL;

	for (guint i = 0; lines[i]; i++)
		if (!g_str_has_prefix(lines[i], "# "))
			g_strv_builder_add(kept, lines[i]);
	rest = g_strv_builder_end(kept);
	return g_strjoinv("\n", rest);
}

/* One `polder strategy …`, its standard output caught. */
static struct outcome polder(const char *words)
{
	struct seen seen = { .requests = g_string_new(NULL) };
	struct test_server *server = test_server_new(setup, &seen);
	g_autofree char *line = g_strdup_printf("polder --socket %s strategy %s", test_server_socket(server), words);
	g_auto(GStrv) argv = NULL;
	g_autofree char *path = NULL, *caught = NULL;
	struct outcome outcome = { .status = -1 };
	struct invocation invocation;
	int fd = g_file_open_tmp("polder-out-XXXXXX", &path, NULL), out;

	g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
	fflush(stdout);
	out = dup(STDOUT_FILENO);
	dup2(fd, STDOUT_FILENO);
	if (invocation_init(&invocation, argv, &outcome.error))
		outcome.status = invocation.command->carry_out(&invocation, &outcome.error);
	invocation_clear(&invocation);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	close(fd);
	g_assert_true(g_file_get_contents(path, &caught, NULL, NULL));
	outcome.out = without_messages(caught);
	g_unlink(path);
	test_server_free(server);
	outcome.asked = g_string_free(seen.requests, FALSE);
	return outcome;
}

static void test_apply(void)
{
	g_auto(outcome_auto) plain = polder("apply allocation power-of-d --reason 'a test'");
	g_auto(outcome_auto) with = polder("apply allocation best-fit memory-per-cpu-mib=8192 --json");
	g_auto(outcome_auto) same = polder("apply allocation best-fit memory-per-cpu-mib=4096");

	g_assert_cmpint(plain.status, ==, 0);
	g_assert_cmpstr(
		plain.asked, ==,
		"PUT /v1/strategies/allocation {\"name\":\"power-of-d\",\"parameters\":[],\"reason\":\"a test\"}\n");
	g_assert_cmpstr(plain.out, ==, "allocation: best-fit (a=1 b=2): because\n");
	g_assert_nonnull(strstr(with.asked, "\"parameters\":[\"memory-per-cpu-mib=8192\"]"));
	g_assert_nonnull(strstr(same.asked, "\"parameters\":[]")); /* what is the default is not said */
}

/* What goes with any strategy of the family is put to work with it, given by hand or chosen under. */
static void test_modifier(void)
{
	g_auto(outcome_auto) by_hand = polder("apply scheduling eevdf sharing=vm slice-us=4000");
	g_auto(outcome_auto) chosen = polder(
		"select scheduling --trace synthetic:attack,cpus=2,seconds=1 --strategy eevdf,stride --seeds 1 --apply "
		"-o sharing=vcpu -o threads=2");

	g_assert_no_error(by_hand.error);
	g_assert_nonnull(strstr(by_hand.asked, "\"parameters\":[\"slice-us=4000\",\"sharing=vm\"]"));
	g_assert_no_error(chosen.error);
	g_assert_nonnull(strstr(chosen.asked, "\"parameters\":[\"sharing=vcpu\"]"));
}

static void test_status(void)
{
	g_auto(outcome_auto) status = polder("status allocation"), json = polder("status allocation --json");
	g_auto(outcome_auto) rollback = polder("rollback allocation");

	g_assert_cmpstr(status.out, ==, "allocation: best-fit (a=1 b=2): because; before: first-fit, random\n");
	g_assert_cmpstr(status.asked, ==, "GET /v1/strategies/allocation \n");
	g_assert_nonnull(strstr(json.out, "\"previous\""));
	g_assert_cmpstr(rollback.asked, ==, "POST /v1/strategies/allocation/rollback \n");
}

/* Exit status 2, a hint, and nothing asked. */
static void assert_refused(const char *words, const char *hint)
{
	g_auto(outcome_auto) outcome = polder(words);
	int status = outcome.error && outcome.error->domain == LAB_ERROR ? lab_error_exit_status(outcome.error)
									 : polder_error_exit_status(outcome.error);

	g_assert_cmpint(outcome.status, ==, -1);
	g_assert_cmpint(status, ==, 2);
	if (!strstr(outcome.error->message, hint))
		g_error("'%s' says '%s', not '%s'", words, outcome.error->message, hint);
	g_assert_cmpstr(outcome.asked, ==, "");
}

static void test_refused(void)
{
	assert_refused("apply allocation nosuch", "best-fit");
	assert_refused("apply nosuch best-fit", "allocation");
	assert_refused("apply allocation best-fit nosuch=1", "it has memory-per-cpu-mib");
	assert_refused("apply allocation best-fit memory-per-cpu-mib=1", "64 to 262144");
	assert_refused("apply allocation best-fit memory-per-cpu-mib", "NAME=VALUE");
	assert_refused("apply allocation ffd", "batch");
	assert_refused("apply allocation best-fit sharing=vm", "it has memory-per-cpu-mib");
	assert_refused("status nosuch", "allocation");
	assert_refused("show nosuch", "best-fit");
	assert_refused("select allocation", "--trace");
	assert_refused("select allocation --trace x --weights speed=1", "performance=0.5");
	assert_refused("select allocation --trace x --require availability", "availability>=0.99");
	assert_refused("optimize allocation best-fit --trace x --budget 0", "5000");
	assert_refused("optimize allocation nosuch --trace x", "best-fit");
}

static void test_live(void)
{
	g_auto(outcome_auto) chosen = polder("select allocation --trace live --seeds 1 --apply --json -o leave-out=0");
	g_autoptr(JsonNode) node = json_from_string(chosen.out, NULL);
	g_auto(GStrv) asked = g_strsplit(chosen.asked, "\n", -1);
	JsonObject *root;

	g_assert_no_error(chosen.error);
	g_assert_nonnull(node);
	root = json_node_get_object(node);
	g_assert_cmpstr(json_object_get_string_member(root, "trace"), ==, "live");
	g_assert_true(json_object_get_boolean_member(root, "applied"));
	g_assert_cmpstr(asked[0], ==, "GET /v1/trace/allocation ");
	g_assert_true(g_str_has_prefix(asked[1], "PUT /v1/strategies/allocation {\"name\":\""));
	g_assert_nonnull(strstr(asked[1], json_object_get_string_member(root, "winner")));
}

/* What is put to work is ranked by what the kernel makes of it, whatever was asked for. */
static void test_live_scheduling(void)
{
	g_auto(outcome_auto) chosen =
		polder("select scheduling --trace live --seeds 1 --apply --json -o model=ideal --weights security=0.6");
	g_autoptr(JsonNode) node = json_from_string(chosen.out, NULL);
	g_auto(GStrv) asked = g_strsplit(chosen.asked, "\n", -1);
	JsonObject *root;

	g_assert_no_error(chosen.error);
	g_assert_nonnull(node);
	root = json_node_get_object(node);
	g_assert_true(json_object_get_boolean_member(root, "applied"));
	g_assert_nonnull(strstr(chosen.out, "recorded live: the last 2 of 2 s"));
	g_assert_nonnull(strstr(chosen.out, "projected: "));
	g_assert_cmpstr(asked[0], ==, "GET /v1/trace/scheduling ");
	g_assert_true(g_str_has_prefix(asked[1], "PUT /v1/strategies/scheduling {\"name\":\""));
	g_assert_nonnull(strstr(asked[1], json_object_get_string_member(root, "winner")));
}

static void test_none_meets(void)
{
	g_auto(outcome_auto) none = polder("select allocation --trace live --seeds 1 --apply --require "
					   "'performance>=1,peak_hosts<1'");

	g_assert_error(none.error, LAB_ERROR, LAB_ERROR_CONFLICT);
	g_assert_cmpint(lab_error_exit_status(none.error), ==, 4);
	g_assert_nonnull(strstr(none.error->message, "nearest"));
	g_assert_nonnull(strstr(none.out, "RANK"));
	g_assert_null(strstr(none.asked, "PUT"));
}

static void test_optimize(void)
{
	g_auto(outcome_auto) same = polder("optimize allocation best-fit --trace live --budget 6 --apply");
	g_auto(outcome_auto) again = polder("optimize allocation best-fit --trace live --budget 6 --apply --threads 1");

	g_assert_no_error(same.error);
	g_assert_cmpint(same.status, ==, 0);
	g_assert_cmpstr(same.asked, ==, "GET /v1/trace/allocation \n"); /* two VMs and one host leave nothing to gain */
	g_assert_nonnull(strstr(same.out, "No gain"));
	g_assert_nonnull(strstr(same.out, "Nothing was applied"));
	g_assert_cmpstr(same.out, ==, again.out);
}

static void test_ls(void)
{
	g_auto(outcome_auto) names = polder("ls allocation -q"), json = polder("ls --json");
	g_auto(outcome_auto) show = polder("show best-fit"), show_json = polder("show best-fit --json");
	g_autoptr(JsonNode) node = json_from_string(json.out, NULL), one = json_from_string(show_json.out, NULL);

	g_assert_nonnull(strstr(names.out, "best-fit\n"));
	g_assert_cmpstr(names.asked, ==, "");
	g_assert_true(json_object_has_member(json_node_get_object(node), "strategies"));
	g_assert_nonnull(strstr(show.out, "\nLoses\n"));
	g_assert_cmpuint(json_array_get_length(json_object_get_array_member(json_node_get_object(one), "about")), >=,
			 4);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/strategy/apply", test_apply);
	g_test_add_func("/strategy/modifier", test_modifier);
	g_test_add_func("/strategy/status", test_status);
	g_test_add_func("/strategy/refused", test_refused);
	g_test_add_func("/strategy/live", test_live);
	g_test_add_func("/strategy/live-scheduling", test_live_scheduling);
	g_test_add_func("/strategy/none-meets", test_none_meets);
	g_test_add_func("/strategy/optimize", test_optimize);
	g_test_add_func("/strategy/ls", test_ls);
	return g_test_run();
}
