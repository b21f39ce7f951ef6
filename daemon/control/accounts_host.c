/* Hosts: from their records to what the world knows of them. */
#include <string.h>

#include "daemon/control/accounts.h"
#include "daemon/model/limits.h"
#include "daemon/model/placement.h"

#define OVERCOMMIT_REAL 1600u            /* percent: vCPUs of different VMs share processors */
#define TAINT_OTHER     63u              /* bit of all taints that no VM tolerates */
#define UNKNOWN         (UINT32_MAX / 2) /* a capacity that nobody told: it never runs out */

static struct account_host *host_at(const struct accounts *accounts, guint host)
{
	return host < accounts->hosts->len ? g_ptr_array_index(accounts->hosts, host) : NULL;
}

const struct account_host *accounts_at(const struct accounts *accounts, guint host)
{
	return host_at(accounts, host);
}

static guint32 clamp(guint64 value)
{
	return (guint32)MIN(value, (guint64)UNKNOWN);
}

/* ---- Description ---- */

static guint64 overcommit(guint64 percent, gboolean simulated)
{
	return percent ? percent : simulated ? 100 : OVERCOMMIT_REAL;
}

guint64 accounts_threads(const struct accounts *accounts, guint host)
{
	return host_at(accounts, host)->record.cpus;
}

static void describe_node(const struct account_host *host, const struct node_text *node, guint64 reserved_bytes,
			  guint32 capacity[ALLOCATION_NODE_DIMENSIONS])
{
	guint64 cpu_percent = overcommit(host->spec.cpu_overcommit_percent, host->record.simulated);
	guint64 memory_percent = host->spec.memory_overcommit_percent ? host->spec.memory_overcommit_percent : 100;
	guint64 memory = node->memory_bytes - MIN(reserved_bytes, node->memory_bytes);

	capacity[ALLOCATION_CPU] = clamp(MIN(node->cpus, 1u << 20) * 10 * cpu_percent);
	capacity[ALLOCATION_MEMORY] = clamp(MIN(memory / ACCOUNTS_MIB, (guint64)UNKNOWN) * memory_percent / 100);
	capacity[ALLOCATION_HUGE_2M] = clamp(node->huge_2m_bytes / ACCOUNTS_MIB);
	capacity[ALLOCATION_HUGE_1G] = clamp(node->huge_1g_bytes / ACCOUNTS_MIB);
}

/* What the host keeps for itself comes off its nodes in proportion to their memory. */
static void describe_nodes(const struct account_host *host, struct allocation_host *out)
{
	struct node_text nodes[ALLOCATION_NODES_MAX];
	guint64 sum = 0, left = host->record.memory_reserved_bytes;

	for (char **text = host->record.nodes; text && *text && out->n_nodes < ALLOCATION_NODES_MAX; text++) {
		if (node_parse(*text, &nodes[out->n_nodes], NULL))
			sum += nodes[out->n_nodes++].memory_bytes;
	}
	if (!out->n_nodes) {
		nodes[0] = (struct node_text) { .cpus = host->record.cpus, .memory_bytes = host->record.memory_bytes };
		sum = nodes[0].memory_bytes;
		out->n_nodes = 1;
	}
	for (guint i = 0; i < out->n_nodes; i++) {
		guint64 part = i + 1 == out->n_nodes || !sum ? left
							     : (guint64)((double)host->record.memory_reserved_bytes *
									 ((double)nodes[i].memory_bytes / (double)sum));

		part = MIN(part, left);
		left -= part;
		describe_node(host, &nodes[i], part, out->node_capacity[i]);
	}
}

static gboolean strv_has(char **strv, const char *text)
{
	return strv && g_strv_contains((const char *const *)strv, text);
}

static gboolean has_label(const struct account_host *host, const char *label)
{
	if (label[0] == '#') /* "#cpus>=N" */
		return host->record.cpus >= g_ascii_strtoull(label + strlen("#cpus>="), NULL, 10);
	return strv_has(host->spec.labels, label);
}

static guint64 label_bits(const struct numbers *labels, const struct account_host *host)
{
	guint64 bits = 0;

	for (guint i = 0; i < labels->names->len; i++) {
		const char *label = g_ptr_array_index(labels->names, i);

		if (label && has_label(host, label))
			bits |= 1ull << i;
	}
	return bits;
}

static guint64 taint_bits(const struct numbers *taints, const struct account_host *host)
{
	guint64 bits = 0;

	for (char **taint = host->spec.taints; taint && *taint; taint++) {
		guint32 number = numbers_find(taints, *taint);

		bits |= 1ull << (number ? number - 1 : TAINT_OTHER);
	}
	return bits;
}

/* Of "rack=r1": a number for "r1"; 0: the host has no such label. */
static guint32 domain_ref(struct numbers *domains, const struct account_host *host, const char *prefix)
{
	for (char **label = host->spec.labels; label && *label; label++) {
		if (g_str_has_prefix(*label, prefix))
			return numbers_ref(domains, *label + strlen(prefix), NULL);
	}
	return 0;
}

static void domains_change(struct accounts *accounts, struct account_host *host)
{
	guint32 rack = domain_ref(&accounts->racks, host, "rack="), zone = domain_ref(&accounts->zones, host, "zone=");

	if (host->rack)
		numbers_unref(&accounts->racks, host->rack);
	if (host->zone)
		numbers_unref(&accounts->zones, host->zone);
	host->rack = rack;
	host->zone = zone;
}

static void extended_release(struct accounts *accounts, struct account_host *host)
{
	for (guint i = 0; i < host->extended->len; i++)
		numbers_unref(&accounts->extended, g_array_index(host->extended, guint32, i));
	g_array_set_size(host->extended, 0);
}

static void describe_extended(struct accounts *accounts, struct account_host *host, struct allocation_host *out)
{
	extended_release(accounts, host);
	for (char **text = host->record.extended; text && *text; text++) {
		struct extended extended;
		guint32 number;

		if (!extended_parse(*text, &extended, NULL))
			continue;
		number = numbers_ref(&accounts->extended, extended.name, NULL);
		if (!number) {
			g_warning("host %s: %s is not counted: there are %u other extended resources", host->name,
				  extended.name, LIMIT_EXTENDED);
			continue;
		}
		g_array_append_val(host->extended, number);
		out->capacity[ALLOCATION_EXTENDED - ALLOCATION_NODE_DIMENSIONS + number - 1] = extended.count;
	}
}

/* Simulated VMs on real hosts take nothing and are not the world's business. */
static guint32 engine_bits(struct accounts *accounts, const struct account_host *host)
{
	guint32 bits = 0;

	for (char **engine = host->record.engines; engine && *engine; engine++) {
		guint32 number;

		if (!host->record.simulated && strcmp(*engine, "sim") == 0)
			continue;
		number = numbers_find(&accounts->engines, *engine);
		if (!number)
			number = numbers_ref(&accounts->engines, *engine, NULL);
		bits |= number ? 1u << (number - 1) : 0;
	}
	return bits;
}

static void describe(struct accounts *accounts, struct account_host *host, struct allocation_host *out)
{
	guint32 *capacity = out->capacity;

	memset(out, 0, sizeof(*out));
	describe_nodes(host, out);
	capacity[ALLOCATION_DISK - ALLOCATION_NODE_DIMENSIONS] =
		host->record.disk_bytes ? clamp(host->record.disk_bytes / ACCOUNTS_MIB) : UNKNOWN;
	capacity[ALLOCATION_NETWORK - ALLOCATION_NODE_DIMENSIONS] =
		host->record.network_bps ? clamp(host->record.network_bps / 1000000) : UNKNOWN;
	capacity[ALLOCATION_CPU_RESERVE - ALLOCATION_NODE_DIMENSIONS] =
		clamp(MIN(host->record.cpus, 1u << 20) * 10 * LIMIT_CPU_RESERVE_PERCENT);
	describe_extended(accounts, host, out);
	out->threads_per_core = (guint32)MAX(1, host->record.threads_per_core);
	out->cpu_overcommit_percent = (guint32)overcommit(host->spec.cpu_overcommit_percent, host->record.simulated);
	out->rack = host->rack;
	out->zone = host->zone;
	if (host->record.cpu_level && *host->record.cpu_level)
		cpu_level_parse(host->record.cpu_level, &out->cpu_level, NULL);
	out->engines = engine_bits(accounts, host);
	out->labels = label_bits(&accounts->labels, host);
	out->taints = taint_bits(&accounts->taints, host);
	out->cordoned = host->spec.cordoned;
	out->powered = host->present;
}

/* Adds (sign 1) or takes off (sign -1) what the host has of the sum over all. */
static void total_add(struct accounts *accounts, const struct allocation_host *described, int sign)
{
	guint64 one = sign > 0 ? 1 : G_MAXUINT64;

	if (!described->powered)
		return;
	for (guint d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		for (guint n = 0; n < described->n_nodes; n++)
			accounts->total[d] += one * described->node_capacity[n][d];
	}
	for (guint d = ALLOCATION_NODE_DIMENSIONS; d < ALLOCATION_DIMENSIONS; d++)
		accounts->total[d] += one * described->capacity[d - ALLOCATION_NODE_DIMENSIONS];
}

static void redescribe(struct accounts *accounts, guint number)
{
	struct account_host *host = host_at(accounts, number);
	struct allocation_host now;
	guint64 before[ALLOCATION_DIMENSIONS];

	describe(accounts, host, &now);
	if (memcmp(&now, &host->described, sizeof(now)) == 0)
		return;
	memcpy(before, accounts->total, sizeof(before));
	total_add(accounts, &host->described, -1);
	if (!allocation_placer_host_change(accounts->placer, number, &now))
		g_error("out of memory");
	host->described = now;
	total_add(accounts, &host->described, 1);
	if (now.cpu_overcommit_percent > 100 && host->present)
		accounts->least_cpus = MIN(accounts->least_cpus, host->record.cpus);
	if (memcmp(before, accounts->total, sizeof(before)) != 0)
		accounts_pools_capacity(accounts);
}

/* ---- Coming and going ---- */

guint accounts_lookup(const struct accounts *accounts, const char *name)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(accounts->host_index, name));
}

guint accounts_find(struct accounts *accounts, const char *name)
{
	guint found = accounts_lookup(accounts, name);
	const struct host_spec *spec;
	struct account_host *host;
	guint32 number;

	if (found)
		return found - 1;
	host = g_new0(struct account_host, 1);
	host->name = g_strdup(name);
	host->extended = g_array_new(FALSE, FALSE, sizeof(guint32));
	noun_init(&host_noun, &host->record);
	spec = g_hash_table_lookup(accounts->specs, name);
	if (spec)
		noun_copy(&host_spec_noun, spec, &host->spec);
	else
		noun_init(&host_spec_noun, &host->spec);
	domains_change(accounts, host);
	describe(accounts, host, &host->described);
	number = allocation_placer_host_add(accounts->placer, &host->described);
	if (number == ALLOCATION_NONE)
		g_error("out of memory");
	if (number >= accounts->hosts->len)
		g_ptr_array_set_size(accounts->hosts, (gint)number + 1);
	g_ptr_array_index(accounts->hosts, number) = host;
	g_hash_table_insert(accounts->host_index, host->name, GUINT_TO_POINTER(number + 1));
	return number;
}

static void host_free(struct accounts *accounts, struct account_host *host)
{
	extended_release(accounts, host);
	if (host->rack)
		numbers_unref(&accounts->racks, host->rack);
	if (host->zone)
		numbers_unref(&accounts->zones, host->zone);
	g_array_unref(host->extended);
	noun_clear(&host_noun, &host->record);
	noun_clear(&host_spec_noun, &host->spec);
	g_free(host->name);
	g_free(host);
}

void accounts_forget_if_gone(struct accounts *accounts, guint number)
{
	struct account_host *host = host_at(accounts, number);

	if (!host || host->present || host->n_charges)
		return;
	allocation_placer_host_remove(accounts->placer, number);
	g_hash_table_remove(accounts->host_index, host->name);
	g_ptr_array_index(accounts->hosts, number) = NULL;
	host_free(accounts, host);
}

void accounts_hosts_clear(struct accounts *accounts);

void accounts_hosts_clear(struct accounts *accounts)
{
	for (guint i = 0; i < accounts->hosts->len; i++) {
		if (host_at(accounts, i))
			host_free(accounts, host_at(accounts, i));
	}
}

void accounts_host(struct accounts *accounts, const char *name, const struct host *record)
{
	struct account_host *host;
	guint number;

	if (!record && !accounts_lookup(accounts, name))
		return;
	number = accounts_find(accounts, name);
	host = host_at(accounts, number);
	accounts->n_present += (record != NULL) - (guint)host->present;
	accounts->n_simulated -= host->present && host->record.simulated;
	host->present = record != NULL;
	if (record) {
		noun_clear(&host_noun, &host->record);
		noun_copy(&host_noun, record, &host->record);
		accounts->n_simulated += record->simulated;
		accounts->freed = TRUE;
		accounts->epoch++;
	}
	redescribe(accounts, number);
	accounts_forget_if_gone(accounts, number);
}

static void spec_free(gpointer data)
{
	noun_clear(&host_spec_noun, data);
	g_free(data);
}

void accounts_specs_init(struct accounts *accounts);

void accounts_specs_init(struct accounts *accounts)
{
	accounts->specs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, spec_free);
}

void accounts_spec(struct accounts *accounts, const char *name, const struct host_spec *spec)
{
	guint found = accounts_lookup(accounts, name);
	struct account_host *host;

	if (spec) {
		struct host_spec *copy = g_new0(struct host_spec, 1);

		noun_copy(&host_spec_noun, spec, copy);
		g_hash_table_replace(accounts->specs, g_strdup(name), copy);
	} else {
		g_hash_table_remove(accounts->specs, name);
	}
	if (!found)
		return;
	host = host_at(accounts, found - 1);
	noun_clear(&host_spec_noun, &host->spec);
	if (spec)
		noun_copy(&host_spec_noun, spec, &host->spec);
	else
		noun_init(&host_spec_noun, &host->spec);
	domains_change(accounts, host);
	redescribe(accounts, found - 1);
	accounts->freed = TRUE;
	accounts->epoch++;
}

/* Its number may have been another label's before. */
void accounts_relabel(struct accounts *accounts, const char *label)
{
	for (guint i = 0; i < accounts->hosts->len; i++) {
		struct account_host *host = host_at(accounts, i);

		if (host && (label_bits(&accounts->labels, host) != host->described.labels ||
			     taint_bits(&accounts->taints, host) != host->described.taints))
			redescribe(accounts, i);
	}
}

/* ---- Looks ---- */

gboolean accounts_offers(const struct accounts *accounts, guint host, const char *engine)
{
	const struct account_host *at = host_at(accounts, host);

	return at->present && strv_has(at->record.engines, engine);
}

guint64 accounts_free_bytes(const struct accounts *accounts, guint host)
{
	const struct allocation_host_state *state = &allocation_world_hosts(accounts->world)[host];
	guint64 free = 0;

	for (guint n = 0; n < state->n_nodes; n++)
		free += state->node[n].free[ALLOCATION_MEMORY];
	return free * ACCOUNTS_MIB;
}

guint64 accounts_reserve_most(const struct accounts *accounts, guint host)
{
	return host_at(accounts, host)->described.capacity[ALLOCATION_CPU_RESERVE - ALLOCATION_NODE_DIMENSIONS];
}

guint64 accounts_reserve_left(const struct accounts *accounts, guint host)
{
	return allocation_world_hosts(accounts->world)[host].free[ALLOCATION_CPU_RESERVE - ALLOCATION_NODE_DIMENSIONS];
}

guint64 accounts_placed_bytes(const struct accounts *accounts, const char *name)
{
	guint found = accounts_lookup(accounts, name);

	return found ? host_at(accounts, found - 1)->placed_bytes : 0;
}
