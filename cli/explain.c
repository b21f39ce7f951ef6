/* polder explain: why a VM is where it is, and what would be decided now. */
#include "cli/explain.h"

#include <stdio.h>
#include <string.h>

#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"

/* What comes from the daemon may quote a guest or a user: never to the terminal as it is. */
static void say(const char *label, const char *text)
{
	g_autofree char *printable = text_printable(text);

	if (*printable)
		printf("%-14s %s\n", label, printable);
}

gboolean explanation_refuses(JsonObject *explanation)
{
	return json_object_get_boolean_member_with_default(explanation, "refused", FALSE);
}

static char *joined(JsonObject *object, const char *member, const char *separator)
{
	JsonArray *array = json_object_has_member(object, member) ? json_object_get_array_member(object, member) : NULL;
	GString *out = g_string_new(NULL);

	for (guint i = 0; array && i < json_array_get_length(array); i++)
		g_string_append_printf(out, "%s%s", i ? separator : "", json_array_get_string_element(array, i));
	return g_string_free(out, FALSE);
}

static void print_strategy(JsonObject *explanation)
{
	g_autofree char *parameters = joined(explanation, "parameters", " ");
	g_autofree char *text =
		g_strdup_printf("%s%s%s", view_text(explanation, NULL, "strategy"), *parameters ? " " : "", parameters);

	say("strategy", text);
}

static void print_ruled_out(JsonObject *explanation)
{
	JsonArray *array = json_object_get_array_member(explanation, "ruled_out");

	for (guint i = 0; array && i < json_array_get_length(array); i++)
		say(i ? "" : "ruled out", view_text(json_array_get_object_element(array, i), NULL, "text"));
}

static void print_scores(JsonObject *explanation)
{
	const char *runner_up = view_text(explanation, NULL, "runner_up");
	double score = json_object_get_double_member_with_default(explanation, "score", 0);
	double second = json_object_get_double_member_with_default(explanation, "runner_up_score", 0);
	g_autofree char *text = NULL;

	if (*runner_up) {
		text = g_strdup_printf("%s (cost %.6g, the winner's %.6g)", runner_up, second, score);
		say("runner-up", text);
	}
	say("decided by", view_text(explanation, NULL, "step"));
}

static void print_hosts(JsonObject *explanation)
{
	g_autofree char *text =
		g_strdup_printf("%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " could take it",
				view_number(explanation, NULL, "feasible"), view_number(explanation, NULL, "hosts"));

	say("hosts", text);
}

static void print_tightest(JsonObject *explanation)
{
	const char *tightest = view_text(explanation, NULL, "tightest");
	g_autofree char *text = NULL;

	if (!*tightest)
		return;
	text = g_strdup_printf("%s (%s)", tightest, view_text(explanation, NULL, "tightest_left"));
	say("scarcest there", text);
}

/* The nearest thing that would have led elsewhere. */
static void print_change(JsonObject *explanation)
{
	const char *host = view_text(explanation, NULL, "host"), *next = view_text(explanation, NULL, "runner_up");
	const char *tightest = view_text(explanation, NULL, "tightest");
	g_autoptr(GString) text = NULL;

	if (explanation_refuses(explanation))
		return;
	text = g_string_new(NULL);
	g_string_printf(text, "%s drained", host);
	if (*tightest)
		g_string_append_printf(text, ", or so full that it lacks %s", tightest);
	if (*next)
		g_string_append_printf(text, ": %s is next", next);
	else if (view_number(explanation, NULL, "feasible") == 1)
		g_string_append(text, ": no other host takes it");
	say("would change", text->str);
}

void explanation_print(JsonObject *explanation)
{
	g_autofree char *nodes = joined(explanation, "nodes", ", ");

	if (explanation_refuses(explanation)) {
		say("host", "none");
	} else {
		say("host", view_text(explanation, NULL, "host"));
		say("NUMA nodes", nodes);
	}
	say("why", view_text(explanation, NULL, "reason"));
	print_strategy(explanation);
	if (!explanation_refuses(explanation))
		print_scores(explanation);
	print_hosts(explanation);
	print_ruled_out(explanation);
	print_tightest(explanation);
	print_change(explanation);
	say("would fit if", view_text(explanation, NULL, "relief"));
}

/* ---- An existing VM: the decision then, and what it would be now ---- */

static void print_recorded(JsonObject *recorded)
{
	g_autofree char *ruled_out = joined(recorded, "ruled_out", ", ");

	say("host", view_text(recorded, NULL, "host"));
	say("why", view_text(recorded, NULL, "reason"));
	say("strategy", view_text(recorded, NULL, "strategy"));
	say("decided by", view_text(recorded, NULL, "step"));
	say("runner-up", view_text(recorded, NULL, "runner_up"));
	say("ruled out", ruled_out);
	say("would fit if", view_text(recorded, NULL, "relief"));
}

int verb_explain(struct invocation *invocation, GError **error)
{
	const char *name = invocation_argument(invocation, 0);
	struct client *client = names_check(invocation, error) ? client_open(invocation, error) : NULL;
	g_autoptr(JsonNode) answer = client ? client_get(client, error, "/v1/vms/%s/explain", name) : NULL;
	JsonObject *explanation;

	client_close(client);
	if (!answer)
		return -1;
	if (invocation_flag(invocation, "json")) {
		view_json(answer);
		return 0;
	}
	explanation = json_node_get_object(answer);
	if (json_object_has_member(explanation, "recorded")) {
		puts("When it was decided");
		print_recorded(json_object_get_object_member(explanation, "recorded"));
		puts("\nIf it were decided now");
	}
	explanation_print(explanation);
	return 0;
}
