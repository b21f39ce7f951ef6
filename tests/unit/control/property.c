/* Goal: whatever users and agents do, the planner never overcommits memory or reserved CPU, its accounts are right, and it
 * comes to rest. */
#include <string.h>

#include "daemon/control/accounts.h"
#include "tests/unit/control/world.h"

#define HOSTS  3
#define CPUS   4 /* of each */
#define ROUNDS 40
#define STEPS  150

/* A user starts or stops a VM, or changes what is to be kept for it, as the API would. */
static void random_wish(struct world *world, const char *name, const char *vm)
{
	const struct store_kv *kv = world_lookup(vm, world);
	gsize bytes;
	const char *text = kv ? g_bytes_get_data(kv->value, &bytes) : NULL;
	struct vm wanted;

	if (!kv)
		return;
	g_assert_true(noun_from_json(&vm_noun, &wanted, text, bytes, NOUN_FROM_STORE, NULL));
	if (g_test_rand_bit()) {
		wanted.cpu_reserve_percent = (guint64)g_test_rand_int_range(0, 10) * 10 * wanted.cpus;
	} else {
		if (wanted.desired == VM_DESIRED_STOPPED)
			wanted.run++;
		wanted.desired = wanted.desired == VM_DESIRED_STOPPED ? VM_DESIRED_RUNNING : VM_DESIRED_STOPPED;
	}
	world_put_text(world, vm, noun_to_json(&vm_noun, &wanted));
	noun_clear(&vm_noun, &wanted);
}

static const char *const members[] = {
	NULL,
	NULL,
	"\"anti_affinity\":[\"group=db\"]",
	"\"anti_affinity\":[\"group=db:soft\"],\"groups\":[\"db\",\"web\"]",
	"\"affinity\":[\"vm=v1\"]",
	"\"anti_affinity\":[\"vm=v2\",\"group=web\"]",
	"\"groups\":[\"db\"],\"spread\":[\"host:2\"]",
	"\"require\":[\"disk=ssd\"]",
	"\"avoid_labels\":[\"disk=ssd\"]",
	"\"pool\":\"gold\"",
	"\"exclusive\":\"host\"",
	"\"cpu_reserve_percent\":90",
	"\"cpu_reserve_percent\":60,\"pool\":\"gold\"",
	"\"cpu_reserve_percent\":20",
	"\"gang\":\"g\",\"gang_size\":2",
};

static void random_fleet(struct world *world)
{
	static const char *const specs[] = { "{}", "{\"labels\":[\"disk=ssd\",\"rack=r1\"]}", "{\"cordoned\":true}",
					     "{\"memory_overcommit_percent\":150}" };
	static const char *const strategies[] = { "first-fit", "best-fit", "worst-fit", "random", "next-fit" };
	g_autofree char *key = g_strdup_printf("/host-spec/h%d", g_test_rand_int_range(1, HOSTS + 1));

	if (g_test_rand_bit())
		world_put_text(world, key, g_strdup(specs[g_test_rand_int_range(0, G_N_ELEMENTS(specs))]));
	else
		world_put_text(world, "/strategy/allocation/all",
			       g_strdup_printf("{\"name\":\"%s\"}",
					       strategies[g_test_rand_int_range(0, G_N_ELEMENTS(strategies))]));
}

/* One random step of users and agents. */
static void random_step(struct world *world)
{
	g_autofree char *name = g_strdup_printf("v%d", g_test_rand_int_range(0, 12));
	g_autofree char *vm = g_strconcat("/vm/", name, NULL), *status = g_strconcat("/status/", name, NULL);
	g_autofree char *plan = g_strconcat("/plan/", name, NULL), *uuid = NULL;
	g_autofree char *host = g_strdup_printf("h%d", g_test_rand_int_range(1, HOSTS + 1));
	struct plan parsed;

	switch (g_test_rand_int_range(0, 9)) {
	case 0:
		if (!world_lookup(vm, world) && !world_lookup(plan, world) && !world_lookup(status, world)) {
			uuid = g_strdup_printf("%s-%d", name, g_test_rand_int());
			world_put_vm(
				world,
				(struct wish) { .name = name,
						.uuid = uuid,
						.engine = g_test_rand_int_range(0, 4) ? "qemu" : "sim",
						.cpus = (guint64)g_test_rand_int_range(1, 5),
						.memory = (guint64)g_test_rand_int_range(1, 5) * GIB,
						.ephemeral = g_test_rand_bit(),
						.members = members[g_test_rand_int_range(0, G_N_ELEMENTS(members))] });
		}
		break;
	case 1:
		if (world_lookup(vm, world))
			world_delete(world, vm);
		break;
	case 2:
	case 3: /* the agent does what the plan says */
		if (!world_plan(world, name, &parsed))
			break;
		if (parsed.remove && world_lookup(status, world))
			world_delete(world, status);
		else if (!parsed.remove && !parsed.refused)
			world_put_status(world, name, parsed.uuid,
					 parsed.desired != VM_DESIRED_STOPPED && g_test_rand_bit() ? VM_STATE_RUNNING
												   : VM_STATE_STOPPED,
					 parsed.run);
		noun_clear(&plan_noun, &parsed);
		break;
	case 4:
		world_put_host(world, host, CPUS, (guint64)g_test_rand_int_range(4, 16) * GIB);
		break;
	case 5:
	case 6:
		random_wish(world, name, vm);
		break;
	case 7:
		random_fleet(world);
		break;
	default:
		break;
	}
}

/* The plan's run has ended for good, or the VM is to go and its host has let go of it. */
static gboolean at_rest(struct world *world, const char *name, const struct plan *plan)
{
	g_autofree char *key = g_strconcat("/status/", name, NULL);
	const struct store_kv *kv = world_lookup(key, world);
	gsize bytes;
	const char *text = kv ? g_bytes_get_data(kv->value, &bytes) : NULL;
	struct status status;
	gboolean rests;

	if (!kv)
		return plan->remove;
	if (plan->desired != VM_DESIRED_STOPPED)
		return FALSE;
	g_assert_true(noun_from_json(&status_noun, &status, text, bytes, NOUN_FROM_STORE, NULL));
	rests = strcmp(status.uuid, plan->uuid) == 0 && status.state == VM_STATE_STOPPED &&
		(status.run >= plan->run || status.run == 0);
	noun_clear(&status_noun, &status);
	return rests;
}

/* What the plans in the snapshot charge on a host: memory, and the CPU reserved there. */
static guint64 charged(struct world *world, const char *host, guint64 *reserve_percent)
{
	GHashTableIter iter;
	gpointer key;
	guint64 sum = 0;

	*reserve_percent = 0;
	g_hash_table_iter_init(&iter, world->records);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		struct plan plan;

		if (!g_str_has_prefix(key, "/plan/") || !world_plan(world, (char *)key + strlen("/plan/"), &plan))
			continue;
		if (!plan.refused && strcmp(plan.host, host) == 0 &&
		    strcmp(plan.engine ? plan.engine : "qemu", "sim") != 0 &&
		    !at_rest(world, (char *)key + strlen("/plan/"), &plan)) {
			sum += plan.memory_bytes;
			*reserve_percent += plan.cpu_reserve_percent;
		}
		noun_clear(&plan_noun, &plan);
	}
	return sum;
}

static guint64 host_memory(struct world *world, const char *name)
{
	g_autofree char *key = g_strconcat("/host/", name, NULL);
	const struct store_kv *kv = world_lookup(key, world);
	gsize bytes;
	const char *text = kv ? g_bytes_get_data(kv->value, &bytes) : NULL;
	struct host host;
	guint64 memory;

	if (!kv)
		return 0;
	g_assert_true(noun_from_json(&host_noun, &host, text, bytes, NOUN_FROM_STORE, NULL));
	memory = host.memory_bytes;
	noun_clear(&host_noun, &host);
	return memory;
}

/* Since the last look, a host's charge rose only to what the host has now. (A host that shrank keeps what it had.) */
static void check_charges(struct world *world, guint64 *before)
{
	for (guint h = 0; h < HOSTS; h++) {
		g_autofree char *host = g_strdup_printf("h%u", h + 1);
		guint64 now = planner_memory_placed(world->planner, host);

		if (now > before[h])
			g_assert_cmpuint(now, <=, host_memory(world, host) * 3 / 2); /* at most overcommitted so */
		before[h] = now;
	}
}

/* Group by group, and by what core/allocation counts itself. */
static void check_worlds(struct world *world, struct world *again)
{
	const struct accounts *left = planner_accounts(world->planner), *right = planner_accounts(again->planner);

	g_assert_null(allocation_world_verify(left->world));
	g_assert_null(allocation_world_verify(right->world));
	for (guint g = 0; g < left->groups.names->len; g++) {
		const char *name = g_ptr_array_index(left->groups.names, g);
		guint32 other = name ? numbers_find(&right->groups, name) : 0;

		/* Who is referred to by one that waits, is a group where that was tried. */
		if (name && g_str_has_prefix(name, "g:"))
			g_assert_cmpuint(allocation_world_members(left->world, g + 1), ==,
					 other ? allocation_world_members(right->world, other) : 0);
	}
}

/* Never more than may be, and what is left is what nobody has. */
static void check_reserves(struct world *world)
{
	const struct accounts *accounts = planner_accounts(world->planner);
	const guint64 most = CPUS * LIMIT_CPU_RESERVE_PERCENT;

	for (guint h = 0; h < HOSTS; h++) {
		g_autofree char *host = g_strdup_printf("h%u", h + 1);
		guint found = accounts_lookup(accounts, host);
		guint64 reserved;

		charged(world, host, &reserved);
		g_assert_cmpuint(reserved, <=, most);
		if (found && accounts_at(accounts, found - 1)->present)
			g_assert_cmpuint(accounts_reserve_left(accounts, found - 1), ==, (most - reserved) * 10);
	}
}

static void check_accounts(struct world *world, struct world *again)
{
	check_worlds(world, again);
	check_reserves(again);
	for (guint h = 0; h < HOSTS; h++) {
		g_autofree char *host = g_strdup_printf("h%u", h + 1);
		guint64 reserved;

		g_assert_cmpuint(planner_memory_placed(world->planner, host), ==, charged(world, host, &reserved));
		g_assert_cmpuint(planner_memory_placed(again->planner, host), ==, charged(world, host, &reserved));
	}
}

static void run_round(void)
{
	struct world world, again;
	guint64 before[HOSTS] = { 0 };
	GHashTableIter iter;
	gpointer kv;

	world_init(&world);
	world_put_text(&world, "/pool/gold",
		       g_strdup("{\"name\":\"gold\",\"max_vms\":2,\"limit\":[\"cpu-reserve=1\"]}"));
	for (guint step = 0; step < STEPS; step++) {
		guint64 charges[HOSTS];

		memcpy(charges, before, sizeof(charges));
		random_step(&world);
		/* What users and agents write charges nothing by itself: only decisions do. */
		check_charges(&world, before);
		for (guint h = 0; h < HOSTS; h++)
			g_assert_cmpuint(before[h], <=, charges[h]);
		if (g_test_rand_bit()) {
			world_settle(&world);
			check_reserves(&world);
		}
		check_charges(&world, before);
	}
	world_settle(&world);
	g_assert_cmpuint(world_settle(&world), ==, 0);
	/* The accounts equal the snapshot, and so do accounts made anew from it, which also find nothing to do. */
	again = (struct world) { .records = g_hash_table_ref(world.records), .revision = world.revision };
	again.planner = planner_new(world_lookup, &again);
	g_hash_table_iter_init(&iter, again.records);
	while (g_hash_table_iter_next(&iter, NULL, &kv))
		planner_changed(again.planner, NULL, kv);
	check_accounts(&world, &again);
	g_assert_cmpuint(world_settle(&again), ==, 0);
	world_clear(&again);
	world_clear(&world);
}

static void test_property(void)
{
	for (guint round = 0; round < ROUNDS; round++)
		run_round();
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/planner/property", test_property);
	return g_test_run();
}
