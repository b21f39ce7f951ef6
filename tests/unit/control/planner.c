/* Goal: the planner writes exactly what its table says, never overcommits memory, and comes to rest. */
#include "daemon/control/planner.h"

#include <string.h>

#include "daemon/control/reason.h"
#include "daemon/model/nouns.h"

#define GIB (1ull << 30)
#define MIB (1ull << 20)

/* A snapshot: what the store and its cache are to the real loop. */
struct world {
	GHashTable *records; /* key → struct store_kv */
	gint64 revision;
	struct planner *planner;
};

static void kv_free(gpointer kv)
{
	store_kv_free(kv);
}

static const struct store_kv *lookup(const char *key, gpointer user_data)
{
	struct world *world = user_data;

	return g_hash_table_lookup(world->records, key);
}

static void world_init(struct world *world)
{
	world->records = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, kv_free);
	world->revision = 1;
	world->planner = planner_new(lookup, world);
}

static void world_clear(struct world *world)
{
	planner_free(world->planner);
	g_hash_table_unref(world->records);
}

static void put_text(struct world *world, const char *key, char *text)
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

static void del(struct world *world, const char *key)
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

static void put_host(struct world *world, const char *name, guint64 cpus, guint64 memory)
{
	g_autofree char *key = g_strconcat("/host/", name, NULL);
	char *engines[] = { (char *)"qemu", (char *)"sim", NULL };
	struct host host;

	noun_init(&host_noun, &host);
	host.name = g_strdup(name);
	host.engines = g_strdupv(engines);
	host.cpus = cpus;
	host.memory_bytes = memory;
	put_text(world, key, noun_to_json(&host_noun, &host));
	noun_clear(&host_noun, &host);
}

struct wish {
	const char *name, *uuid, *engine;
	guint64 cpus, memory, run;
	gboolean ephemeral;
	int desired;
};

static void put_vm(struct world *world, struct wish wish)
{
	g_autofree char *key = g_strconcat("/vm/", wish.name, NULL);
	struct vm vm;

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
	put_text(world, key, noun_to_json(&vm_noun, &vm));
	noun_clear(&vm_noun, &vm);
}

static void put_status(struct world *world, const char *name, const char *uuid, int state, guint64 run)
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
	put_text(world, key, noun_to_json(&status_noun, &status));
	noun_clear(&status_noun, &status);
}

/* Carry one write out, as the store would: its compare holds, or it is refused. */
static void apply(struct world *world, struct planner_write *write)
{
	g_autofree char *key = g_strconcat(write->action == PLANNER_DELETE_VM ? "/vm/" : "/plan/", write->name, NULL);
	g_autofree char *status = g_strconcat("/status/", write->name, NULL);
	const struct store_kv *found = lookup(key, world);
	gsize bytes;
	const char *text;

	g_assert_cmpint(found ? found->mod_revision : 0, ==, write->revision);
	if (write->action == PLANNER_PUT_PLAN) {
		text = g_bytes_get_data(write->value, &bytes);
		put_text(world, key, g_strndup(text, bytes));
	} else {
		g_assert_true(write->action == PLANNER_DELETE_VM || !lookup(status, world));
		del(world, key);
	}
}

/* Until it rests; how many writes that took. */
static guint settle(struct world *world)
{
	struct planner_write write;
	guint writes = 0;

	while (planner_next(world->planner, &write)) {
		apply(world, &write);
		planner_write_clear(&write);
		g_assert_cmpuint(++writes, <, 100000);
	}
	return writes;
}

static gboolean plan_of(struct world *world, const char *name, struct plan *plan)
{
	g_autofree char *key = g_strconcat("/plan/", name, NULL);
	const struct store_kv *kv = lookup(key, world);
	gsize bytes;
	const char *text;

	if (!kv)
		return FALSE;
	text = g_bytes_get_data(kv->value, &bytes);
	g_assert_true(noun_from_json(&plan_noun, plan, text, bytes, NOUN_FROM_STORE, NULL));
	return TRUE;
}

static void assert_plan(struct world *world, const char *name, const char *host, const char *reason)
{
	struct plan plan;

	g_assert_true(plan_of(world, name, &plan));
	g_assert_cmpint(plan.refused, ==, host == NULL);
	if (host)
		g_assert_cmpstr(plan.host, ==, host);
	if (reason)
		g_assert_cmpstr(plan.reason, ==, reason);
	noun_clear(&plan_noun, &plan);
}

static gboolean plan_removes(struct world *world, const char *name)
{
	struct plan plan;
	gboolean removes;

	g_assert_true(plan_of(world, name, &plan));
	removes = plan.remove;
	noun_clear(&plan_noun, &plan);
	return removes;
}

static void test_placement(void)
{
	struct world world;

	world_init(&world);
	put_vm(&world, (struct wish) { .name = "early" });
	g_assert_cmpuint(settle(&world), ==, 0); /* no host yet: it waits, it is not refused */
	g_assert_cmpuint(planner_waiting(world.planner), ==, 1);
	put_host(&world, "h1", 2, 4 * GIB);
	g_assert_cmpuint(settle(&world), ==, 1);
	assert_plan(&world, "early", "h1", "host h1: the only host; 1 vCPU and 64M fit (4G free of 4G)");
	put_vm(&world, (struct wish) { .name = "web", .cpus = 2, .memory = 512 * MIB });
	settle(&world);
	assert_plan(&world, "web", "h1", "host h1: the only host; 2 vCPUs and 512M fit (4032M free of 4G)");
	put_vm(&world, (struct wish) { .name = "huge", .memory = 9999ull << 40 });
	settle(&world);
	assert_plan(&world, "huge", NULL, "no host has 9999T of memory free: h1 has 3520M");
	put_vm(&world, (struct wish) { .name = "wide", .cpus = 3 });
	settle(&world);
	assert_plan(&world, "wide", NULL, "no host has 3 CPUs: h1 has 2");
	g_assert_cmpuint(planner_waiting(world.planner), ==, 2);
	g_assert_cmpuint(settle(&world), ==, 0);
	world_clear(&world);
}

static void test_retry(void)
{
	struct world world;

	world_init(&world);
	put_host(&world, "h1", 2, 4 * GIB);
	put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB });
	put_vm(&world, (struct wish) { .name = "b", .memory = 3 * GIB });
	put_vm(&world, (struct wish) { .name = "s", .memory = 3 * GIB, .engine = "sim" });
	settle(&world);
	assert_plan(&world, "a", "h1", NULL);
	assert_plan(&world, "b", NULL, NULL);
	assert_plan(&world, "s", "h1", NULL); /* simulated memory is free */
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB);
	put_status(&world, "a", "a", VM_STATE_STOPPED, 1);
	settle(&world);
	assert_plan(&world, "b", NULL, NULL); /* a stopped VM keeps its place */
	del(&world, "/vm/a");
	settle(&world);
	g_assert_true(plan_removes(&world, "a"));
	assert_plan(&world, "b", NULL, NULL);
	del(&world, "/status/a");
	settle(&world);
	g_assert_null(lookup("/plan/a", &world));
	assert_plan(&world, "b", "h1", NULL);
	put_vm(&world, (struct wish) { .name = "c", .memory = 3 * GIB });
	settle(&world);
	assert_plan(&world, "c", NULL, NULL);
	put_host(&world, "h2", 2, 4 * GIB);
	settle(&world);
	assert_plan(&world, "c", "h2",
		    "host h2: the first of 2 that fits; 1 vCPU and 3G fit (4G free of 4G); 1 before it "
		    "lacked memory");
	world_clear(&world);
}

static void test_update(void)
{
	struct world world;
	struct plan plan;

	world_init(&world);
	put_host(&world, "h1", 2, 4 * GIB);
	put_vm(&world, (struct wish) { .name = "a" });
	settle(&world);
	put_vm(&world, (struct wish) { .name = "a", .desired = VM_DESIRED_STOPPED, .run = 2 });
	g_assert_cmpuint(settle(&world), ==, 1);
	g_assert_true(plan_of(&world, "a", &plan));
	g_assert_cmpint(plan.desired, ==, VM_DESIRED_STOPPED);
	g_assert_cmpuint(plan.run, ==, 2);
	g_assert_cmpuint(plan.vm_revision, ==,
			 (guint64)((const struct store_kv *)lookup("/vm/a", &world))->mod_revision);
	noun_clear(&plan_noun, &plan);
	put_status(&world, "a", "a", VM_STATE_RUNNING, 2);
	g_assert_cmpuint(settle(&world), ==, 0);
	/* Its host goes away for a while: the VM stays where it is. */
	del(&world, "/host/h1");
	g_assert_cmpuint(settle(&world), ==, 0);
	assert_plan(&world, "a", "h1", NULL);
	world_clear(&world);
}

static void test_removal(void)
{
	struct world world;

	world_init(&world);
	put_host(&world, "h1", 2, 4 * GIB);
	put_vm(&world, (struct wish) { .name = "a" });
	put_vm(&world, (struct wish) { .name = "r", .cpus = 9 });
	settle(&world);
	del(&world, "/vm/r"); /* refused: no agent ever saw it */
	g_assert_cmpuint(settle(&world), ==, 1);
	g_assert_null(lookup("/plan/r", &world));
	del(&world, "/vm/a"); /* placed, and no agent has answered yet */
	g_assert_cmpuint(settle(&world), ==, 2);
	g_assert_null(lookup("/plan/a", &world));
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 0);
	/* An agent still has what nobody wants. */
	put_status(&world, "a", "old", VM_STATE_RUNNING, 1);
	g_assert_cmpuint(settle(&world), ==, 1);
	g_assert_true(plan_removes(&world, "a"));
	/* A new VM of that name waits until the old one is gone. */
	put_vm(&world, (struct wish) { .name = "a", .uuid = "new" });
	g_assert_cmpuint(settle(&world), ==, 0);
	del(&world, "/status/a");
	settle(&world);
	assert_plan(&world, "a", "h1", NULL);
	world_clear(&world);
}

static void test_ephemeral(void)
{
	struct world world;

	world_init(&world);
	put_host(&world, "h1", 2, 4 * GIB);
	put_vm(&world, (struct wish) { .name = "e", .ephemeral = TRUE });
	settle(&world);
	put_status(&world, "e", "e", VM_STATE_RUNNING, 1);
	g_assert_cmpuint(settle(&world), ==, 0);
	put_status(&world, "e", "e", VM_STATE_FAILED, 1);
	settle(&world);
	g_assert_null(lookup("/vm/e", &world));
	g_assert_true(plan_removes(&world, "e"));
	del(&world, "/status/e");
	settle(&world);
	g_assert_null(lookup("/plan/e", &world));
	world_clear(&world);
}

static void test_failed_write(void)
{
	struct planner_write write;
	struct world world;

	world_init(&world);
	put_host(&world, "h1", 2, 4 * GIB);
	put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB });
	g_assert_true(planner_next(world.planner, &write));
	planner_write_clear(&write);
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB); /* charged while in flight */
	g_assert_cmpuint(settle(&world), ==, 0);
	planner_failed(world.planner, "a");
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 0);
	g_assert_cmpuint(settle(&world), ==, 1);
	assert_plan(&world, "a", "h1", NULL);
	world_clear(&world);
}

static void test_malformed(void)
{
	struct world world;

	world_init(&world);
	put_host(&world, "h1", 2, 4 * GIB);
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "record /vm/bad is malformed*");
	put_text(&world, "/vm/bad", g_strdup("{\"nonsense\":1}"));
	g_assert_cmpuint(settle(&world), ==, 0);
	g_test_assert_expected_messages();
	world_clear(&world);
}

static void test_size(void)
{
	static const struct {
		guint64 bytes;
		const char *text;
	} cases[] = { { 0, "0" },
		      { 1023, "1023" },
		      { 512 * MIB, "512M" },
		      { 2 * GIB, "2G" },
		      { 9999ull << 40, "9999T" },
		      { 1536 * MIB, "1536M" },
		      { 25276502016, "23.5G" },
		      { 1025, "1.0K" },
		      { G_MAXUINT64, "15.9E" } };

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = reason_size(cases[i].bytes);

		g_assert_cmpstr(text, ==, cases[i].text);
	}
}

/* One random step of users and agents. */
static void random_step(struct world *world)
{
	g_autofree char *name = g_strdup_printf("v%d", g_test_rand_int_range(0, 12));
	g_autofree char *vm = g_strconcat("/vm/", name, NULL), *status = g_strconcat("/status/", name, NULL);
	g_autofree char *plan = g_strconcat("/plan/", name, NULL), *uuid = NULL;
	g_autofree char *host = g_strdup_printf("h%d", g_test_rand_int_range(1, 4));
	struct plan parsed;

	switch (g_test_rand_int_range(0, 6)) {
	case 0:
		if (!lookup(vm, world) && !lookup(plan, world) && !lookup(status, world)) {
			uuid = g_strdup_printf("%s-%d", name, g_test_rand_int());
			put_vm(world, (struct wish) { .name = name,
						      .uuid = uuid,
						      .engine = g_test_rand_int_range(0, 4) ? "qemu" : "sim",
						      .cpus = (guint64)g_test_rand_int_range(1, 5),
						      .memory = (guint64)g_test_rand_int_range(1, 5) * GIB,
						      .ephemeral = g_test_rand_bit() });
		}
		break;
	case 1:
		if (lookup(vm, world))
			del(world, vm);
		break;
	case 2:
	case 3: /* the agent does what the plan says */
		if (!plan_of(world, name, &parsed))
			break;
		if (parsed.remove && lookup(status, world))
			del(world, status);
		else if (!parsed.remove && !parsed.refused)
			put_status(world, name, parsed.uuid, g_test_rand_bit() ? VM_STATE_RUNNING : VM_STATE_STOPPED,
				   parsed.run);
		noun_clear(&plan_noun, &parsed);
		break;
	case 4:
		put_host(world, host, 4, (guint64)g_test_rand_int_range(4, 16) * GIB);
		break;
	default:
		break;
	}
}

/* What the plans in the snapshot charge on a host. */
static guint64 charged(struct world *world, const char *host)
{
	GHashTableIter iter;
	gpointer key;
	guint64 sum = 0;

	g_hash_table_iter_init(&iter, world->records);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		struct plan plan;

		if (!g_str_has_prefix(key, "/plan/") || !plan_of(world, (char *)key + strlen("/plan/"), &plan))
			continue;
		if (!plan.refused && strcmp(plan.host, host) == 0 &&
		    strcmp(plan.engine ? plan.engine : "qemu", "sim") != 0)
			sum += plan.memory_bytes;
		noun_clear(&plan_noun, &plan);
	}
	return sum;
}

static void test_property(void)
{
	for (guint round = 0; round < 40; round++) {
		struct world world, again;
		GHashTableIter iter;
		gpointer kv;

		world_init(&world);
		for (guint step = 0; step < 150; step++) {
			random_step(&world);
			if (g_test_rand_bit())
				settle(&world);
		}
		settle(&world);
		g_assert_cmpuint(settle(&world), ==, 0);
		/* The accounts equal the snapshot, and so do accounts made anew from it, which also find nothing to do. */
		again = (struct world) { .records = g_hash_table_ref(world.records), .revision = world.revision };
		again.planner = planner_new(lookup, &again);
		g_hash_table_iter_init(&iter, again.records);
		while (g_hash_table_iter_next(&iter, NULL, &kv))
			planner_changed(again.planner, NULL, kv);
		for (guint h = 1; h < 4; h++) {
			g_autofree char *host = g_strdup_printf("h%u", h);

			g_assert_cmpuint(planner_memory_placed(world.planner, host), ==, charged(&world, host));
			g_assert_cmpuint(planner_memory_placed(again.planner, host), ==, charged(&world, host));
		}
		g_assert_cmpuint(settle(&again), ==, 0);
		world_clear(&again);
		world_clear(&world);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/planner/placement", test_placement);
	g_test_add_func("/planner/retry", test_retry);
	g_test_add_func("/planner/update", test_update);
	g_test_add_func("/planner/removal", test_removal);
	g_test_add_func("/planner/ephemeral", test_ephemeral);
	g_test_add_func("/planner/failed-write", test_failed_write);
	g_test_add_func("/planner/malformed", test_malformed);
	g_test_add_func("/planner/size", test_size);
	g_test_add_func("/planner/property", test_property);
	return g_test_run();
}
