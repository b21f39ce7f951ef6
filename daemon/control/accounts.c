#include "daemon/control/accounts.h"

#include <string.h>

void accounts_init(struct accounts *accounts)
{
	memset(accounts, 0, sizeof(*accounts));
	accounts->hosts = g_array_new(FALSE, TRUE, sizeof(struct allocation_host));
	accounts->host_names = g_ptr_array_new_with_free_func(g_free);
	accounts->host_engines = g_ptr_array_new_with_free_func(g_free);
	accounts->host_index = g_hash_table_new(g_str_hash, g_str_equal);
}

void accounts_clear(struct accounts *accounts)
{
	g_hash_table_unref(accounts->host_index);
	g_ptr_array_unref(accounts->host_names);
	g_ptr_array_unref(accounts->host_engines);
	g_array_unref(accounts->hosts);
	for (guint i = 0; i < ACCOUNTS_ENGINES_MAX; i++)
		g_free(accounts->engines[i]);
}

/* The engine's bit; 0 when there are too many engines to number. */
static guint32 engine_bit(struct accounts *accounts, const char *name)
{
	for (guint i = 0; i < ACCOUNTS_ENGINES_MAX; i++) {
		if (!accounts->engines[i])
			accounts->engines[i] = g_strdup(name);
		if (strcmp(accounts->engines[i], name) == 0)
			return 1u << i;
	}
	return 0;
}

guint accounts_find(struct accounts *accounts, const char *name)
{
	guint found = GPOINTER_TO_UINT(g_hash_table_lookup(accounts->host_index, name));
	struct allocation_host none = { 0 };
	char *copy;

	if (found)
		return found - 1;
	copy = g_strdup(name);
	g_array_append_val(accounts->hosts, none);
	g_ptr_array_add(accounts->host_names, copy);
	g_ptr_array_add(accounts->host_engines, NULL);
	g_hash_table_insert(accounts->host_index, copy, GUINT_TO_POINTER(accounts->hosts->len));
	return accounts->hosts->len - 1;
}

static struct allocation_host *host_at(const struct accounts *accounts, guint index)
{
	return &g_array_index(accounts->hosts, struct allocation_host, index);
}

gboolean accounts_present(const struct accounts *accounts, guint host)
{
	return g_ptr_array_index(accounts->host_engines, host) != NULL;
}

void accounts_host(struct accounts *accounts, const char *name, const struct host *host)
{
	guint index = accounts_find(accounts, name);
	struct allocation_host *account = host_at(accounts, index);
	char **engines = (char **)&g_ptr_array_index(accounts->host_engines, index);
	gboolean was_present = *engines != NULL;

	g_clear_pointer(engines, g_free);
	account->engines = 0;
	if (host) {
		account->cpus = host->cpus;
		account->memory_bytes = host->memory_bytes;
		account->memory_reserved_bytes = host->memory_reserved_bytes;
		for (char **engine = host->engines; engine && *engine; engine++)
			account->engines |= engine_bit(accounts, *engine);
		*engines = host->engines ? g_strjoinv(", ", host->engines) : g_strdup("");
		accounts->freed = TRUE;
	}
	accounts->hosts_present += (*engines != NULL) - was_present;
}

struct allocation_request accounts_request(struct accounts *accounts, const char *engine, guint64 cpus, guint64 memory)
{
	return (struct allocation_request) { .cpus = cpus,
					     .memory_bytes = memory,
					     .engine = engine_bit(accounts, engine ? engine : ""),
					     .charged = g_strcmp0(engine, "sim") != 0 };
}

enum allocation_constraint accounts_violates(const struct accounts *accounts, guint host,
					     const struct allocation_request *request)
{
	return allocation_violates(host_at(accounts, host), request);
}

gboolean accounts_takes_memory(const struct plan *plan, const struct status *status)
{
	if (plan->remove && !status)
		return FALSE; /* its host has let go of it, or never had it */
	if (plan->desired != VM_DESIRED_STOPPED || !status || g_strcmp0(status->uuid, plan->uuid) != 0)
		return TRUE;
	/* Run 0: it was stopped before it was ever started. A status of an earlier run lags behind: the VM may be starting. */
	return (status->state != VM_STATE_STOPPED && status->state != VM_STATE_FAILED) ||
	       (status->run < plan->run && status->run > 0);
}

void accounts_discharge(struct accounts *accounts, struct charge *charge)
{
	struct allocation_request request = { .memory_bytes = charge->memory_bytes, .charged = charge->real };

	if (!charge->host)
		return;
	allocation_release(host_at(accounts, charge->host - 1), &request);
	accounts->freed |= charge->real;
	*charge = (struct charge) { 0 };
}

void accounts_charge(struct accounts *accounts, struct charge *charge, const struct plan *plan)
{
	struct allocation_request request = accounts_request(accounts, plan->engine, plan->cpus, plan->memory_bytes);

	accounts_discharge(accounts, charge);
	if (plan->refused || !plan->host || !*plan->host)
		return;
	*charge = (struct charge) { .host = accounts_find(accounts, plan->host) + 1,
				    .memory_bytes = request.memory_bytes,
				    .real = request.charged };
	allocation_charge(host_at(accounts, charge->host - 1), &request);
}

struct reason_hosts accounts_hosts(const struct accounts *accounts)
{
	return (struct reason_hosts) { .hosts = (const struct allocation_host *)accounts->hosts->data,
				       .names = (const char *const *)accounts->host_names->pdata,
				       .engines = (const char *const *)accounts->host_engines->pdata,
				       .n_hosts = accounts->hosts->len,
				       .n_present = accounts->hosts_present };
}

guint64 accounts_placed_bytes(const struct accounts *accounts, const char *name)
{
	guint found = GPOINTER_TO_UINT(g_hash_table_lookup(accounts->host_index, name));

	return found ? host_at(accounts, found - 1)->memory_placed_bytes : 0;
}
