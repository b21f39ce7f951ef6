/* Pools: from their records to core/allocation's tree. */
#include "daemon/control/accounts.h"

#include <string.h>

#include "daemon/model/placement.h"

static guint64 amount_units(const struct amount *amount)
{
	switch (amount->kind) {
	case AMOUNT_CPU:
	case AMOUNT_CPU_RESERVE:
		return amount->value;
	case AMOUNT_NETWORK:
		return amount->value / 1000000;
	default:
		return amount->value / ACCOUNTS_MIB;
	}
}

static void amounts_convert(char **texts, guint64 amounts[ALLOCATION_DIMENSIONS])
{
	G_STATIC_ASSERT((int)AMOUNT_NETWORK == (int)ALLOCATION_NETWORK && (int)AMOUNT_DISK == (int)ALLOCATION_DISK &&
			(int)AMOUNT_CPU_RESERVE == (int)ALLOCATION_CPU_RESERVE);
	for (; texts && *texts; texts++) {
		struct amount amount;

		if (amount_parse(*texts, &amount, NULL))
			amounts[amount.kind] = amount_units(&amount);
	}
}

void accounts_pool_convert(const struct pool *pool, guint32 parent, struct allocation_pool *out)
{
	*out = (struct allocation_pool) { .parent = parent,
					  .shares = (guint32)pool->shares,
					  .max_vms = pool->max_vms ? pool->max_vms : ALLOCATION_POOL_NO_LIMIT };
	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++)
		out->limit[d] = ALLOCATION_POOL_NO_LIMIT;
	amounts_convert(pool->reserve, out->reserve);
	amounts_convert(pool->limit, out->limit);
}

/* 0 is the root; ALLOCATION_NONE: its parent is not there yet. */
static guint32 parent_of(const struct accounts *accounts, const struct account_pool *pool)
{
	const struct account_pool *parent;

	if (!pool->record.parent || !*pool->record.parent)
		return 0;
	parent = g_hash_table_lookup(accounts->pool_index, pool->record.parent);
	return parent && parent->present ? parent->index : ALLOCATION_NONE;
}

/* TRUE: it is now in the tree with all it is to have. */
static gboolean pool_try(struct accounts *accounts, struct account_pool *pool)
{
	guint32 parent = parent_of(accounts, pool);
	struct allocation_pool wanted;

	if (parent == ALLOCATION_NONE || parent == pool->index)
		return FALSE;
	accounts_pool_convert(&pool->record, parent, &wanted);
	if (allocation_pools_set(accounts->pools, &pool->index, &wanted) == ALLOCATION_POOL_OK) {
		pool->reserves = TRUE;
		return TRUE;
	}
	/* What it is to keep can't be kept now: at least its limits hold. */
	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++)
		wanted.reserve[d] = 0;
	allocation_pools_set(accounts->pools, &pool->index, &wanted);
	return FALSE;
}

/* Parents before children, whatever the order of their records. */
static void pools_try(struct accounts *accounts)
{
	gboolean again = TRUE;

	while (again) {
		GHashTableIter iter;
		gpointer value;

		again = FALSE;
		g_hash_table_iter_init(&iter, accounts->pool_index);
		while (g_hash_table_iter_next(&iter, NULL, &value)) {
			struct account_pool *pool = value;

			if (pool->present && !pool->reserves && pool_try(accounts, pool))
				again = TRUE;
		}
	}
}

void accounts_pools_capacity(struct accounts *accounts)
{
	allocation_pools_capacity(accounts->pools, accounts->total);
	pools_try(accounts);
}

void accounts_pool(struct accounts *accounts, const char *name, const struct pool *record)
{
	struct account_pool *pool = g_hash_table_lookup(accounts->pool_index, name);

	accounts->freed = TRUE;
	accounts->epoch++;
	/* What is kept free for a host's loss is kept of all hosts, whoever asks. */
	if (strcmp(name, "default") == 0)
		allocation_world_headroom(accounts->world, record ? (uint32_t)record->spare_hosts : 0);
	if (!pool) {
		if (!record)
			return;
		pool = g_new0(struct account_pool, 1);
		pool->index = ALLOCATION_NONE;
		noun_init(&pool_noun, &pool->record);
		g_hash_table_insert(accounts->pool_index, g_strdup(name), pool);
	}
	if (record) {
		noun_clear(&pool_noun, &pool->record);
		noun_copy(&pool_noun, record, &pool->record);
		pool->present = TRUE;
		pool->reserves = FALSE;
		pools_try(accounts);
		return;
	}
	pool->present = FALSE;
	/* With VMs left it stays in the tree, without a name to ask for. */
	if (pool->index == ALLOCATION_NONE ||
	    allocation_pools_remove(accounts->pools, pool->index) == ALLOCATION_POOL_OK)
		g_hash_table_remove(accounts->pool_index, name);
}

const struct account_pool *accounts_pool_find(const struct accounts *accounts, const char *name)
{
	const struct account_pool *pool = g_hash_table_lookup(accounts->pool_index, name);

	return pool && pool->present && pool->index != ALLOCATION_NONE ? pool : NULL;
}

const char *accounts_pool_name(const struct accounts *accounts, guint32 index)
{
	GHashTableIter iter;
	gpointer name, value;

	g_hash_table_iter_init(&iter, accounts->pool_index);
	while (g_hash_table_iter_next(&iter, &name, &value)) {
		if (((struct account_pool *)value)->index == index)
			return name;
	}
	return "all";
}
