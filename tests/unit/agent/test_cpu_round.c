/* Goal: who may share a core is what was chosen: VMs of one tenant, no two vCPUs, or anyone; a host that can't do it says so
 * when it is asked for, and only then. */
#include <errno.h>
#include <string.h>

#include "daemon/agent/cpu_round.h"
#include "daemon/agent/cpu_shares.h"
#include "tests/unit/cpu/fake.h"
#include "tests/unit/cpu/world.h"

#define N_VMS 3

/* Three VMs with two vCPUs each, of which the first two are one tenant's. */
static const struct {
	const char *name;
	pid_t pid;
	guint32 tenant;
} vms[N_VMS] = { { "a", 1000, CPU_ROUND_TENANTS },
		 { "b", 2000, CPU_ROUND_TENANTS },
		 { "c", 3000, CPU_ROUND_TENANTS + 1 } };

struct fixture {
	struct fake fake;
	char *run;
	struct cpu *cpu;
	struct cpu_shares *shares;
	struct strategy_values values;
};

static void begin(struct fixture *f)
{
	fake_init(&f->fake, TRUE, "cpuset cpu io\n");
	f->shares = cpu_shares_new();
	f->run = world_run(vms[0].name);
	for (guint i = 0; i < N_VMS; i++) {
		g_autofree char *dir = g_build_filename(f->run, vms[i].name, NULL);

		g_mkdir_with_parents(dir, 0700);
		fake_process(&f->fake, vms[i].pid, 3, "/");
	}
	f->cpu = fake_open(&f->fake, f->run);
}

static void end(struct fixture *f)
{
	for (guint i = 0; i < N_VMS; i++)
		g_assert_true(cpu_clear(f->cpu, vms[i].name, NULL));
	cpu_close(f->cpu);
	cpu_shares_free(f->shares);
	world_remove(f->run);
	g_free(f->run);
	fake_clear(&f->fake);
}

/* One round; the notes of the first VM, joined. Caller frees. */
static char *run(struct fixture *f, const char *strategy, enum scheduling_sharing sharing)
{
	struct cpu_round *round = cpu_round_new();
	const struct cpu_round_vm *first;
	char *notes;

	round->cpu = &f->cpu;
	round->shares = f->shares;
	round->run = f->run;
	round->strategy = scheduling_strategy_find(strategy);
	strategy_values_init(&round->strategy->info, &f->values);
	round->values = &f->values;
	round->sharing = sharing;
	round->chosen = round->apply = TRUE;
	round->n_cpus = 4;
	for (guint i = 0; i < N_VMS; i++) {
		const pid_t vcpus[] = { vms[i].pid + 1, vms[i].pid + 2 };
		struct cpu_round_vm *vm = cpu_round_add(round, vms[i].name, vcpus, 2);

		vm->pid = vms[i].pid;
		vm->weight = SCHEDULING_WEIGHT_NORMAL;
		vm->tenant_number = vms[i].tenant;
	}
	cpu_round_run(round);
	first = round->vms->pdata[0];
	g_assert_true(first->applied);
	notes = first->notes ? g_strjoinv("\n", first->notes) : g_strdup("");
	cpu_round_free(round);
	return notes;
}

static guint cookie(struct fixture *f, guint vm, guint vcpu)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(f->fake.cookies, GINT_TO_POINTER(vms[vm].pid + 1 + (pid_t)vcpu)));
}

/* Whether two vCPUs of the six may share a core, by the sharing chosen. */
static gboolean may_share(enum scheduling_sharing sharing, guint a, guint b)
{
	return sharing == SCHEDULING_SHARE_ANY || a == b ||
	       (sharing == SCHEDULING_SHARE_VM && vms[a / 2].tenant == vms[b / 2].tenant);
}

static void check(struct fixture *f, const char *strategy, enum scheduling_sharing sharing)
{
	g_autofree char *notes = run(f, strategy, sharing);

	g_assert_null(strstr(notes, "core scheduling"));
	for (guint a = 0; a < 2 * N_VMS; a++) {
		for (guint b = 0; b < 2 * N_VMS; b++)
			g_assert_cmpint(cookie(f, a / 2, a % 2) == cookie(f, b / 2, b % 2), ==,
					may_share(sharing, a, b));
		g_assert_cmpint(cookie(f, a / 2, a % 2) != 0, ==, sharing != SCHEDULING_SHARE_ANY);
	}
}

/* From each to each, as the choice may change while they run. */
static void test_sharing(void)
{
	static const enum scheduling_sharing way[] = { SCHEDULING_SHARE_ANY,  SCHEDULING_SHARE_VM,
						       SCHEDULING_SHARE_NONE, SCHEDULING_SHARE_VM,
						       SCHEDULING_SHARE_ANY,  SCHEDULING_SHARE_NONE,
						       SCHEDULING_SHARE_NONE, SCHEDULING_SHARE_ANY };
	struct fixture f;

	begin(&f);
	for (guint i = 0; i < G_N_ELEMENTS(way); i++)
		check(&f, "eevdf", way[i]);
	check(&f, "stride", SCHEDULING_SHARE_VM);
	end(&f);
}

static void test_lacking(void)
{
	static const struct {
		int status;
		const char *note;
	} kernels[] = { { EINVAL, "CPU: core scheduling is not enforced here: this kernel has no core scheduling" },
			{ ENODEV,
			  "CPU: core scheduling is not enforced here: this machine's cores run one thread each" } };

	for (guint i = 0; i < G_N_ELEMENTS(kernels); i++) {
		g_autofree char *asked = NULL, *unasked = NULL;
		struct fixture f;

		begin(&f);
		f.fake.core_status = kernels[i].status;
		asked = run(&f, "eevdf", SCHEDULING_SHARE_VM);
		unasked = run(&f, "eevdf", SCHEDULING_SHARE_ANY);
		g_assert_nonnull(strstr(asked, kernels[i].note));
		g_assert_null(strstr(unasked, "core scheduling"));
		end(&f);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cpu-round/sharing", test_sharing);
	g_test_add_func("/cpu-round/lacking", test_lacking);
	return g_test_run();
}
