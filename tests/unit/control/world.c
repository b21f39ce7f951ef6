#include "tests/unit/control/world.h"

#include <string.h>

static void kv_free(gpointer kv)
{
	store_kv_free(kv);
}

const struct store_kv *world_lookup(const char *key, gpointer user_data)
{
	struct world *world = user_data;

	return g_hash_table_lookup(world->records, key);
}

void world_init(struct world *world)
{
	world->records = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, kv_free);
	world->revision = 1;
	world->planner = planner_new(world_lookup, world);
}

void world_clear(struct world *world)
{
	planner_free(world->planner);
	g_hash_table_unref(world->records);
}

void world_put_text(struct world *world, const char *key, char *text)
{
	const struct store_kv *found = g_hash_table_lookup(world->records, key);
	struct store_kv *before = found ? store_kv_copy(found) : NULL;
	g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));
	struct store_kv kv = { .key = (char *)key,
			       .value = value,
			       .create_revision = before ? before->create_revision : world->revision + 1,
			       .mod_revision = ++world->revision,
			       .version = 1 };
	struct store_kv *now = store_kv_copy(&kv);

	g_hash_table_replace(world->records, now->key, now);
	planner_changed(world->planner, before, now);
	if (before)
		store_kv_free(before);
}

void world_delete(struct world *world, const char *key)
{
	const struct store_kv *found = g_hash_table_lookup(world->records, key);
	struct store_kv *before;

	g_assert_nonnull(found);
	before = store_kv_copy(found);
	world->revision++;
	g_hash_table_remove(world->records, key);
	planner_changed(world->planner, before, NULL);
	store_kv_free(before);
}

void world_put_host(struct world *world, const char *name, guint64 cpus, guint64 memory)
{
	g_autofree char *key = g_strconcat("/host/", name, NULL);
	char *engines[] = { (char *)"qemu", (char *)"sim", NULL };
	struct host host;

	noun_init(&host_noun, &host);
	host.name = g_strdup(name);
	host.engines = g_strdupv(engines);
	host.cpus = cpus;
	host.memory_bytes = memory;
	world_put_text(world, key, noun_to_json(&host_noun, &host));
	noun_clear(&host_noun, &host);
}

void world_put_vm(struct world *world, struct wish wish)
{
	g_autofree char *key = g_strconcat("/vm/", wish.name, NULL);
	struct vm vm;
	char *text;

	noun_init(&vm_noun, &vm);
	g_free(vm.name);
	g_free(vm.uuid);
	g_free(vm.image);
	vm.name = g_strdup(wish.name);
	vm.uuid = g_strdup(wish.uuid ? wish.uuid : wish.name);
	vm.image = g_strdup("tiny");
	if (wish.engine) {
		g_free(vm.engine);
		vm.engine = g_strdup(wish.engine);
	}
	vm.cpus = wish.cpus ? wish.cpus : 1;
	vm.memory_bytes = wish.memory ? wish.memory : 64 * MIB;
	vm.run = wish.run ? wish.run : 1;
	vm.ephemeral = wish.ephemeral;
	vm.desired = wish.desired;
	text = noun_to_json(&vm_noun, &vm);
	if (wish.members) {
		g_autofree char *plain = text;

		text = g_strdup_printf("%.*s,%s}", (int)strlen(plain) - 1, plain, wish.members);
	}
	world_put_text(world, key, text);
	noun_clear(&vm_noun, &vm);
}

void world_put_status(struct world *world, const char *name, const char *uuid, int state, guint64 run)
{
	g_autofree char *key = g_strconcat("/status/", name, NULL);
	struct status status;

	noun_init(&status_noun, &status);
	g_free(status.uuid);
	g_free(status.host);
	status.uuid = g_strdup(uuid);
	status.host = g_strdup("h1");
	status.state = state;
	status.run = run;
	world_put_text(world, key, noun_to_json(&status_noun, &status));
	noun_clear(&status_noun, &status);
}

/* Carry one write out, as the store would: its compare holds, or it is refused. */
void world_apply(struct world *world, struct planner_write *write)
{
	g_autofree char *key = g_strconcat(write->action == PLANNER_DELETE_VM ? "/vm/" : "/plan/", write->name, NULL);
	g_autofree char *status = g_strconcat("/status/", write->name, NULL);
	const struct store_kv *found = world_lookup(key, world);
	gsize bytes;
	const char *text;

	g_assert_cmpint(found ? found->mod_revision : 0, ==, write->revision);
	if (write->action == PLANNER_PUT_PLAN) {
		text = g_bytes_get_data(write->value, &bytes);
		world_put_text(world, key, g_strndup(text, bytes));
	} else {
		g_assert_true(write->action == PLANNER_DELETE_VM || !world_lookup(status, world));
		world_delete(world, key);
	}
}

/* Until it rests; how many writes that took. */
guint world_settle(struct world *world)
{
	struct planner_write write;
	guint writes = 0;

	while (planner_next(world->planner, &write)) {
		world_apply(world, &write);
		planner_write_clear(&write);
		g_assert_cmpuint(++writes, <, 100000);
	}
	return writes;
}

gboolean world_plan(struct world *world, const char *name, struct plan *plan)
{
	g_autofree char *key = g_strconcat("/plan/", name, NULL);
	const struct store_kv *kv = world_lookup(key, world);
	gsize bytes;
	const char *text;

	if (!kv)
		return FALSE;
	text = g_bytes_get_data(kv->value, &bytes);
	g_assert_true(noun_from_json(&plan_noun, plan, text, bytes, NOUN_FROM_STORE, NULL));
	return TRUE;
}
