#include "daemon/history/history.h"

#include <string.h>

#include "daemon/history/history_private.h"
#include "daemon/model/nouns.h"
#include "daemon/model/placement.h"

#define MIB             ((guint64)1 << 20)
#define REAL_OVERCOMMIT 16u /* as control's default: vCPUs for each processor of a real host */

/* ---- Rows ---- */

gboolean history_row_fields(const char *row, const char **event, gsize *event_bytes, const char **vm, gsize *vm_bytes)
{
	const char *comma = strchr(row, ',');

	if (!comma || !g_ascii_isdigit(*row))
		return FALSE;
	*event = comma + 1;
	*event_bytes = strcspn(*event, ",\n");
	if ((*event)[*event_bytes] != ',')
		return FALSE;
	*vm = *event + *event_bytes + 1;
	*vm_bytes = strcspn(*vm, ",\n");
	return *vm_bytes > 0;
}

gint64 history_row_time(const char *row)
{
	char *end;
	guint64 seconds, part = 0;

	if (!g_ascii_isdigit(*row))
		return -1;
	seconds = g_ascii_strtoull(row, &end, 10);
	if (*end == '.') {
		guint64 unit = 100000;

		for (end++; g_ascii_isdigit(*end); end++, unit /= 10)
			part += unit * (guint64)(*end - '0');
	}
	return *end == ',' && seconds < 1ull << 40 ? (gint64)(seconds * 1000000 + part) : -1;
}

static void row_begin(struct history *history, const char *event, const char *name)
{
	history->now_us = MAX(history->now_us, g_get_real_time());
	g_string_append_printf(history->rows, "%" G_GINT64_FORMAT ".%06" G_GINT64_FORMAT ",%s,%s,",
			       history->now_us / 1000000, history->now_us % 1000000, event, name);
}

/* `rest`: from `cpus` on, without the end of the line. */
static void row_append(struct history *history, const char *event, const char *name, const char *rest)
{
	row_begin(history, event, name);
	g_string_append(history->rows, rest);
	g_string_append_c(history->rows, '\n');
}

/* ---- Files ---- */

/* The newer file is begun with all there is, marked so that who reads both leaves it out. */
static void begin_file(struct history *history)
{
	GHashTableIter iter;
	gpointer name, rest;

	g_string_append(history->rows, HISTORY_HEADER);
	g_hash_table_iter_init(&iter, history->hosts);
	while (g_hash_table_iter_next(&iter, &name, &rest)) {
		g_autofree char *marked = g_strconcat(rest, HISTORY_AGAIN, NULL);

		if (g_hash_table_contains(history->told, name))
			row_append(history, "host", name, marked);
	}
	g_hash_table_iter_init(&iter, history->live);
	while (g_hash_table_iter_next(&iter, &name, &rest)) {
		g_autofree char *marked = g_strconcat(rest, HISTORY_AGAIN, NULL);

		row_append(history, "create", name, marked);
	}
	row_file_append(&history->file, history->rows);
}

static void rotate(struct history *history)
{
	if (!row_file_turn(&history->file))
		return;
	begin_file(history);
	/* Time goes on when all there is fills a file by itself. */
	history->file_bytes = MAX(history->file_bytes, history->file.bytes * 2);
}

void history_settled(struct history *history)
{
	if (!history || !history->rows->len)
		return;
	row_file_append(&history->file, history->rows);
	if (history->file.bytes >= history->file_bytes)
		rotate(history);
}

/* ---- What was written before ---- */

/* One whole row of our own: what it says is alive after it. `rest` borrowed. */
static void learn_row(struct history *history, char *row)
{
	const char *event, *vm;
	gsize event_bytes, vm_bytes;
	g_autofree char *name = NULL;
	char *rest, *note;

	if (!history_row_fields(row, &event, &event_bytes, &vm, &vm_bytes))
		return;
	history->now_us = MAX(history->now_us, history_row_time(row));
	name = g_strndup(vm, vm_bytes);
	rest = (char *)vm + vm_bytes + (vm[vm_bytes] == ',');
	note = strrchr(rest, ',');
	if (note)
		note[1] = '\0';
	if (strncmp(event, "create,", 7) == 0)
		g_hash_table_replace(history->live, g_steal_pointer(&name), g_strdup(rest));
	else if (strncmp(event, "delete,", 7) == 0)
		g_hash_table_remove(history->live, name);
	else if (strncmp(event, "host,", 5) == 0) {
		g_hash_table_add(history->told, g_strdup(name));
		g_hash_table_replace(history->hosts, g_steal_pointer(&name), g_strdup(rest));
	}
}

static gboolean learn(struct history *history, GError **error)
{
	g_autofree char *text = NULL;
	gsize bytes = 0;
	char *at, *end;

	if (!history->file.bytes) {
		begin_file(history);
		return TRUE;
	}
	if (!g_file_get_contents(history->file.path, &text, &bytes, error))
		return FALSE;
	for (at = text; (end = memchr(at, '\n', (gsize)(text + bytes - at))) != NULL; at = end + 1) {
		*end = '\0';
		learn_row(history, at);
	}
	return TRUE;
}

struct history *history_open(const char *dir, guint64 file_bytes, GError **error)
{
	struct history *history = g_new0(struct history, 1);
	g_autofree char *path = g_build_filename(dir, "allocation.csv", NULL);

	history->file_bytes = file_bytes ? file_bytes : HISTORY_FILE_BYTES;
	history->rows = g_string_new(NULL);
	history->live = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	history->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	history->racks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	history->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	history->pending = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!row_file_open(&history->file, path, HISTORY_HEADER, error) || !learn(history, error)) {
		history_free(history);
		return NULL;
	}
	return history;
}

void history_free(struct history *history)
{
	if (!history)
		return;
	if (history->file.fd >= 0) {
		history_settled(history);
		row_file_close(&history->file);
	}
	g_hash_table_unref(history->live);
	g_hash_table_unref(history->hosts);
	g_hash_table_unref(history->racks);
	g_hash_table_unref(history->told);
	g_hash_table_unref(history->pending);
	g_string_free(history->rows, TRUE);
	g_free(history);
}

/* ---- Changes ---- */

static gboolean parse(const struct noun *noun, const struct store_kv *kv, gpointer object)
{
	gsize bytes;
	const char *text = kv ? g_bytes_get_data(kv->value, &bytes) : NULL;

	return kv && noun_from_json(noun, object, text, bytes, NOUN_FROM_STORE, NULL);
}

static void spec_changed(struct history *history, const char *name, const struct store_kv *now)
{
	struct host_spec spec;

	g_hash_table_remove(history->racks, name);
	if (!parse(&host_spec_noun, now, &spec))
		return;
	for (char **label = spec.labels; label && *label; label++) {
		if (g_str_has_prefix(*label, "rack="))
			g_hash_table_replace(history->racks, g_strdup(name), g_strdup(*label + strlen("rack=")));
	}
	noun_clear(&host_spec_noun, &spec);
}

/* Told once, before the next VM: its rack may be said in the same revision. */
static void host_changed(struct history *history, const char *name, const struct store_kv *now)
{
	struct host host;
	guint nodes;

	if (g_hash_table_contains(history->told, name) || !parse(&host_noun, now, &host))
		return;
	nodes = host.nodes ? g_strv_length(host.nodes) : 0;
	g_hash_table_replace(history->hosts, g_strdup(name),
			     g_strdup_printf("%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ",|%u,,,,",
					     host.cpus * (host.simulated ? 1 : REAL_OVERCOMMIT),
					     host.memory_bytes / MIB, MAX(nodes, 1)));
	g_hash_table_add(history->pending, g_strdup(name));
	noun_clear(&host_noun, &host);
}

static void tell_hosts(struct history *history)
{
	g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(history->pending), (GCompareFunc)strcmp);

	for (GList *item = names; item; item = item->next) {
		const char *name = item->data, *rack = g_hash_table_lookup(history->racks, name);
		g_auto(GStrv) parts = g_strsplit(g_hash_table_lookup(history->hosts, name), "|", 2);
		/* cpus,memory_mib,tenant,group,numa_nodes,priority,host,strategy,note */
		char *rest = g_strdup_printf("%s,%s,%s", parts[0], rack ? rack : "", parts[1]);

		/* parts[0] ends with the comma before tenant. */
		row_append(history, "host", name, rest);
		g_hash_table_add(history->told, g_strdup(name));
		g_hash_table_replace(history->hosts, g_strdup(name), rest);
	}
	g_hash_table_remove_all(history->pending);
}

/* The group its likes share: the first it names, else that of its anti-affinity. */
static char *group_of(const struct plan *plan)
{
	struct term term;

	if (plan->groups && *plan->groups)
		return g_strdup(*plan->groups);
	for (char **text = plan->anti_affinity; text && *text; text++) {
		if (term_parse(*text, &term, NULL) && !term.is_vm)
			return g_strdup(term.name);
	}
	return g_strdup("");
}

/* From `cpus` to the comma before the note. */
static char *plan_rest(const struct plan *plan)
{
	g_autofree char *group = group_of(plan);
	g_autofree char *tenant = plan->tenant && *plan->tenant
					  ? g_strdup(plan->tenant)
					  : g_strdup_printf("uid-%" G_GUINT64_FORMAT, plan->owner_uid);
	char nodes[24] = "";

	if (plan->numa == VM_NUMA_ONE)
		g_strlcpy(nodes, "1", sizeof(nodes));
	else if (plan->numa == VM_NUMA_SPLIT)
		g_snprintf(nodes, sizeof(nodes), "%" G_GUINT64_FORMAT, MAX(2, plan->numa_nodes));
	return g_strdup_printf("%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ",%s,%s,%s,%d,%s,%s,", plan->cpus,
			       (plan->memory_bytes + MIB - 1) / MIB, tenant, group, nodes, (int)plan->priority - 500,
			       plan->refused || !plan->host ? "" : plan->host, plan->strategy ? plan->strategy : "");
}

static void end_vm(struct history *history, const char *name)
{
	if (g_hash_table_remove(history->live, name))
		row_append(history, "delete", name, ",,,,,,,,");
}

static void plan_changed(struct history *history, const char *name, const struct store_kv *before,
			 const struct store_kv *now)
{
	gboolean is_live = g_hash_table_contains(history->live, name);
	struct plan plan;
	char *rest;

	if (!parse(&plan_noun, now, &plan)) {
		end_vm(history, name);
		return;
	}
	if (plan.refused && !plan.remove) {
		g_autofree char *refused = plan_rest(&plan);

		end_vm(history, name);
		row_append(history, "refuse", name, refused);
	} else if (plan.remove || plan.desired == VM_DESIRED_STOPPED) {
		end_vm(history, name);
	} else if (!is_live && plan.host && *plan.host) {
		tell_hosts(history);
		rest = plan_rest(&plan);
		row_append(history, "create", name, rest);
		g_hash_table_replace(history->live, g_strdup(name), rest);
	}
	noun_clear(&plan_noun, &plan);
}

void history_changed(struct history *history, const struct store_kv *before, const struct store_kv *now)
{
	const char *key = now ? now->key : before->key;

	if (!history)
		return;
	if (g_str_has_prefix(key, "/plan/"))
		plan_changed(history, key + strlen("/plan/"), before, now);
	else if (g_str_has_prefix(key, "/host/"))
		host_changed(history, key + strlen("/host/"), now);
	else if (g_str_has_prefix(key, "/host-spec/"))
		spec_changed(history, key + strlen("/host-spec/"), now);
}

/* ---- The first look: what happened unseen ---- */

static gboolean first_look(const struct store_kv *kv, gpointer user_data)
{
	struct plan plan;

	/* What was refused, was told when it was. */
	if (g_str_has_prefix(kv->key, "/plan/") && parse(&plan_noun, kv, &plan)) {
		gboolean refused = plan.refused;

		noun_clear(&plan_noun, &plan);
		if (refused)
			return TRUE;
	}
	history_changed(user_data, NULL, kv);
	return TRUE;
}

void history_ready(struct history *history, const struct store_cache *cache)
{
	static const char *const kinds[] = { "/host-spec/", "/host/", "/plan/" };
	g_autoptr(GList) names = NULL;

	if (!history)
		return;
	names = g_hash_table_get_keys(history->live);
	for (GList *item = names; item; item = item->next) {
		g_autofree char *key = g_strconcat("/plan/", item->data, NULL);

		if (!store_cache_get(cache, key))
			end_vm(history, item->data);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
		store_cache_foreach(cache, kinds[i], first_look, history);
	history_settled(history);
}
