/* Undoing: of one VM, at its removal; and at start, of what a crash left. */
#include "daemon/cpu/cpu_private.h"

#include <errno.h>
#include <string.h>

#include "daemon/model/error.h"

static int undo_groups(struct cpu *cpu, struct cpu_vm *vm, gboolean runs)
{
	const char *home = vm->home && g_file_test(vm->home, G_FILE_TEST_IS_DIR) ? vm->home : cpu->groups.base;
	g_autofree char *io = g_strconcat(vm->name, ".io", NULL);
	int status = 0, one;

	if (cpu->groups.kind == CPU_GROUPS_NONE)
		return 0;
	if (runs)
		status = cpu_group_go_home(cpu, vm->pid, home);
	/* FIFO threads are in a group they share with other VMs': only ours leave it. */
	for (guint i = 0; cpu->groups.kind == CPU_GROUPS_V1 && i < vm->n_threads; i++) {
		const struct cpu_thread *thread = &vm->threads[i];
		g_autofree char *tasks = g_build_filename(home, "tasks", NULL);
		char number[16];

		g_snprintf(number, sizeof(number), "%d", thread->tid);
		if (cpu_thread_start(cpu, vm->pid, thread->tid) == thread->start)
			cpu->kernel->write(cpu->kernel->data, tasks, number);
	}
	for (guint i = 0; i < vm->n_groups; i++) {
		g_autofree char *name = g_strdup_printf("%s.vcpu%u", vm->name, i);

		one = cpu_group_remove(cpu, name, home);
		status = status ? status : one;
	}
	one = cpu_group_remove(cpu, io, home);
	return status ? status : one;
}

int cpu_vm_undo(struct cpu *cpu, struct cpu_vm *vm)
{
	gboolean runs = cpu_thread_start(cpu, vm->pid, vm->pid) == vm->start;
	int status = 0, one;

	/* Out of FIFO before the group that allows it is left; out of DEADLINE before the affinity changes. */
	for (guint i = 0; runs && i < vm->n_threads; i++)
		if (cpu_thread_start(cpu, vm->pid, vm->threads[i].tid) == vm->threads[i].start) {
			one = cpu_thread_demote(cpu, &vm->threads[i]);
			status = status || one == ESRCH ? status : one;
		}
	one = undo_groups(cpu, vm, runs);
	status = status ? status : one;
	for (guint i = 0; runs && i < vm->n_threads; i++)
		if (cpu_thread_start(cpu, vm->pid, vm->threads[i].tid) == vm->threads[i].start) {
			one = cpu_thread_restore(cpu, &vm->threads[i]);
			status = status || one == ESRCH ? status : one;
		}
	if (!status)
		status = cpu_journal_remove(cpu, vm->name);
	return status;
}

gboolean cpu_clear(struct cpu *cpu, const char *name, GError **error)
{
	struct cpu_vm *vm = g_hash_table_lookup(cpu->vms, name);
	int status = 0;

	if (!cpu_vm_name_is_valid(name))
		return TRUE;
	if (!vm) {
		vm = cpu_journal_read(cpu, name, &status);
		if (!vm && status != ENOENT) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CORRUPT,
				    "undo the CPU plan of VM %s: %s/%s/cpu.journal can't be read", name, cpu->run,
				    name);
			return FALSE;
		}
		if (!vm)
			return TRUE;
		g_hash_table_insert(cpu->vms, vm->name, vm);
	}
	status = cpu_vm_undo(cpu, vm);
	if (status) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "undo the CPU plan of VM %s: %s", name,
			    g_strerror(status));
		return FALSE;
	}
	g_hash_table_remove(cpu->vms, name);
	cpu_groups_balance(cpu);
	if (!g_hash_table_size(cpu->vms))
		cpu_groups_sweep(cpu, NULL);
	return TRUE;
}

static void repair_vm(struct cpu *cpu, const char *name, struct cpu_repaired *repaired)
{
	int status;
	struct cpu_vm *vm = cpu_journal_read(cpu, name, &status);

	if (vm && !vm->half && cpu_thread_start(cpu, vm->pid, vm->pid) == vm->start) {
		repaired->kept++;
	} else if (vm) {
		status = cpu_vm_undo(cpu, vm);
		if (status)
			repaired->failed++;
		else
			repaired->undone++;
	} else if (status != ENOENT) {
		repaired->failed++;
	}
	if (status && status != ENOENT && !repaired->why[0])
		g_snprintf(repaired->why, CPU_WHY_MAX, "VM %s: %s", name,
			   status == EBADMSG ? "its cpu.journal is damaged, or not ours" : g_strerror(status));
	cpu_vm_free(vm);
}

void cpu_repair(struct cpu *cpu, struct cpu_repaired *repaired)
{
	GDir *dir = g_dir_open(cpu->run, 0, NULL);
	const char *name;

	*repaired = (struct cpu_repaired) { 0 };
	while (dir && (name = g_dir_read_name(dir)))
		if (cpu_vm_name_is_valid(name))
			repair_vm(cpu, name, repaired);
	if (dir)
		g_dir_close(dir);
	cpu_groups_sweep(cpu, repaired);
	cpu_groups_balance(cpu);
}
