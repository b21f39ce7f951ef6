/* polder rebalance, and the moves of host drain: what would go where, and what that gains. */
#include "cli/moves.h"

#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "daemon/model/error.h"
#include "daemon/model/units.h"

static void print_rows(JsonArray *rows, const char *const *headings, const char *const *members)
{
	struct table *table = table_new(headings);
	g_autofree char *text = NULL;

	for (guint i = 0; i < json_array_get_length(rows); i++) {
		const char *cells[4] = { NULL };

		for (guint m = 0; members[m]; m++)
			cells[m] = view_text(json_array_get_object_element(rows, i), NULL, members[m]);
		table_add(table, cells);
	}
	text = table_render(table, 0);
	fputs(text, stdout);
	table_free(table);
}

static JsonArray *rows_of(JsonObject *plan, const char *member)
{
	return json_object_has_member(plan, member) ? json_object_get_array_member(plan, member) : NULL;
}

/* What the plan gains and costs: those figures that it changes. */
static void print_gain(JsonObject *plan)
{
	static const struct {
		const char *text, *before, *after;
	} pairs[] = {
		{ "imbalance", "imbalance_before", "imbalance_after" },
		{ "hosts used", "hosts_used_before", "hosts_used_after" },
		{ "overloaded hosts", "overloaded_before", "overloaded_after" },
	};
	JsonObject *gain = json_object_get_object_member(plan, "gain");
	g_autofree char *cost = size_format((guint64)view_number(plan, NULL, "memory_moved_bytes"));

	for (guint i = 0; gain && i < G_N_ELEMENTS(pairs); i++) {
		double before = json_object_get_double_member_with_default(gain, pairs[i].before, 0);
		double after = json_object_get_double_member_with_default(gain, pairs[i].after, 0);

		printf("%-16s %.4g -> %.4g\n", pairs[i].text, before, after);
	}
	printf("%-16s %" G_GINT64_FORMAT "\n", "hosts emptied", gain ? view_number(gain, NULL, "hosts_emptied") : 0);
	printf("%-16s %s of memory moved\n", "cost", cost);
}

void moves_print(JsonObject *plan)
{
	static const char *const drain_headings[] = { "VM", "TO", "REASON", NULL };
	static const char *const drain_members[] = { "vm", "to", "reason", NULL };
	static const char *const move_headings[] = { "VM", "FROM", "TO", NULL };
	static const char *const move_members[] = { "vm", "from", "to", NULL };
	static const char *const stuck_headings[] = { "STUCK", "REASON", NULL };
	static const char *const stuck_members[] = { "vm", "reason", NULL };
	JsonArray *moves = rows_of(plan, "moves"), *stuck = rows_of(plan, "stuck");

	if (moves && json_array_get_length(moves) && json_object_has_member(plan, "host"))
		print_rows(moves, drain_headings, drain_members);
	else if (moves && json_array_get_length(moves))
		print_rows(moves, move_headings, move_members);
	else
		puts("Nothing to move.");
	if (stuck && json_array_get_length(stuck))
		print_rows(stuck, stuck_headings, stuck_members);
	if (json_object_has_member(plan, "gain") && moves && json_array_get_length(moves))
		print_gain(plan);
	if (moves && json_array_get_length(moves))
		puts("This is a plan: Polder does not move running VMs yet.");
}

int verb_rebalance(struct invocation *invocation, GError **error)
{
	const char *max_moves = invocation_option(invocation, "max-moves");
	const char *strategy = invocation_option(invocation, "strategy");
	guint64 moves = 20;
	struct client *client;
	g_autoptr(JsonNode) answer = NULL;

	if (!invocation_flag(invocation, "plan"))
		return usage_error(error, invocation,
				   "only a plan can be made yet, moves are not carried out: say --plan");
	if (max_moves && !g_ascii_string_to_unsigned(max_moves, 10, 1, 100000, &moves, NULL))
		return usage_error(error, invocation, "--max-moves '%s' is not a number from 1 to 100000", max_moves);
	if (strategy && !name_check(strategy, error)) {
		g_prefix_error(error, "--strategy: ");
		return -1;
	}
	client = client_open(invocation, error);
	if (client)
		answer = client_get(client, error, "/v1/rebalance?max_moves=%" G_GUINT64_FORMAT "%s%s", moves,
				    strategy ? "&strategy=" : "", strategy ? strategy : "");
	client_close(client);
	if (answer && invocation_flag(invocation, "json"))
		view_json(answer);
	else if (answer)
		moves_print(json_node_get_object(answer));
	return answer ? 0 : -1;
}
