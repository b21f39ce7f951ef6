/* polder cpu top: what each vCPU gets. */
#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/view.h"

#define INTERVAL_MS 1000u

static JsonObject *find(JsonNode *answer, JsonObject *wanted)
{
	g_autoptr(GPtrArray) vcpus = view_objects(answer, "vcpus");

	for (guint i = 0; i < vcpus->len; i++) {
		JsonObject *vcpu = vcpus->pdata[i];

		if (view_number(vcpu, NULL, "thread") == view_number(wanted, NULL, "thread") &&
		    g_str_equal(view_text(vcpu, NULL, "vm"), view_text(wanted, NULL, "vm")))
			return vcpu;
	}
	return NULL;
}

/* What it gained between the two readings, in percent of the time between them. */
static char *gained(JsonObject *before, JsonObject *now, const char *name, gint64 elapsed_us)
{
	gint64 delta_ns = view_number(now, NULL, name) - (before ? view_number(before, NULL, name) : 0);

	if (!before || elapsed_us <= 0)
		return g_strdup("-");
	return g_strdup_printf("%.1f %%", (double)MAX(delta_ns, 0) / 10.0 / (double)elapsed_us);
}

static void add_row(struct table *table, JsonNode *before, JsonObject *vcpu, gint64 elapsed_us)
{
	JsonObject *earlier = find(before, vcpu);
	g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, view_number(vcpu, NULL, "vcpu"));
	g_autofree char *weight = g_strdup_printf("%" G_GINT64_FORMAT, view_number(vcpu, NULL, "weight"));
	g_autofree char *run = gained(earlier, vcpu, "run_ns", elapsed_us);
	g_autofree char *ready = gained(earlier, vcpu, "ready_ns", elapsed_us);
	g_autofree char *throttled = gained(earlier, vcpu, "throttled_ns", elapsed_us);
	g_autofree char *entitlement = NULL;
	double percent = json_object_has_member(vcpu, "entitlement_percent")
				 ? json_object_get_double_member(vcpu, "entitlement_percent")
				 : 0;

	entitlement = g_strdup_printf("%.1f %%", percent);
	table_add(table, (const char *const[]) { view_text(vcpu, NULL, "vm"), number, run, ready, entitlement,
						 throttled, weight, NULL });
}

static void print_between(JsonNode *before, JsonNode *now)
{
	static const char *const headings[] = {
		"VM", "VCPU", "RUN", "READY", "ENTITLEMENT", "THROTTLED", "WEIGHT", NULL
	};
	gint64 elapsed_us = view_number(json_node_get_object(now), NULL, "time_us") -
			    view_number(json_node_get_object(before), NULL, "time_us");
	g_autoptr(GPtrArray) vcpus = view_objects(now, "vcpus");
	struct table *table = table_new(headings);
	g_autofree char *text = NULL;

	for (guint i = 0; i < vcpus->len; i++)
		add_row(table, before, vcpus->pdata[i], elapsed_us);
	text = table_render(table, 0);
	fputs(text, stdout);
	fflush(stdout);
	table_free(table);
}

static int top(struct invocation *invocation, struct client *client, GError **error)
{
	gboolean once = invocation_flag(invocation, "once"), as_json = invocation_flag(invocation, "json");
	g_autoptr(JsonNode) before = client_get(client, error, "/v1/cpu");

	if (before && as_json) {
		view_json(before);
		return 0;
	}
	while (before) {
		g_autoptr(JsonNode) now = NULL;

		client_pass(INTERVAL_MS);
		now = client_get(client, error, "/v1/cpu");
		if (!now)
			break;
		if (!once && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		print_between(before, now);
		if (once)
			return 0;
		json_node_unref(before);
		before = g_steal_pointer(&now);
	}
	return -1;
}

int verb_cpu_top(struct invocation *invocation, GError **error)
{
	struct client *client = client_open(invocation, error);
	int status = client ? top(invocation, client, error) : -1;

	client_close(client);
	return status;
}
