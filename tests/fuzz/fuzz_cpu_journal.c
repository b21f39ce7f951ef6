/* The journal of daemon/cpu: what a crash, or another's hand, left in a run directory. */
#include "daemon/cpu/cpu_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	struct cpu_vm *vm = cpu_journal_parse("web", text);

	if (vm) {
		g_assert_cmpint(vm->pid, >, 0);
		for (guint i = 0; i < vm->n_threads; i++)
			g_assert_cmpint(vm->threads[i].tid, >, 0);
	}
	cpu_vm_free(vm);
	return 0;
}
