/* What the engine says of this host: which QEMU, which accelerator and why. */
#include <string.h>

#include "daemon/engine/qemu/qemu.h"
#include "tests/unit/engine/rom.h"
#include "tests/unit/engine/vm_fixture.h"

static void test_probe(void)
{
	struct fixture f;
	struct host host = { 0 };
	g_autoptr(GError) error = NULL;

	fixture_init(&f, "HELLO\n", ROM_HALT);
	g_assert_true(engine_qemu.probe(f.engine, &host, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(host.engines[0], ==, "qemu");
	g_assert_nonnull(host.qemu_version);
	g_assert_nonnull(host.accelerator_reason);
	g_test_message("%s: %s; QEMU %s", host.accelerator, host.accelerator_reason, host.qemu_version);
	noun_clear(&host_noun, &host);
	fixture_clear(&f);
}

/* POLDER_ACCELERATOR overrules the self-test, as far as the device lets it, and says so. */
static void test_accelerator(void)
{
	static const char *const values[] = { "tcg", "kvm", "vax" };

	for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
		struct fixture f;
		struct host host = { 0 };
		g_autoptr(GError) error = NULL;

		fixture_init(&f, "HELLO\n", ROM_HALT);
		g_setenv("POLDER_ACCELERATOR", values[i], TRUE);
		g_assert_true(engine_qemu.probe(f.engine, &host, &error));
		g_unsetenv("POLDER_ACCELERATOR");
		g_test_message("%s: %s, %s", values[i], host.accelerator, host.accelerator_reason);
		/* Or it says what keeps VMs from the device. */
		if (i == 0 || (i == 1 && g_str_equal(host.accelerator, "kvm")))
			g_assert_true(g_str_has_prefix(host.accelerator_reason, "POLDER_ACCELERATOR="));
		if (i == 2)
			g_assert_nonnull(strstr(host.limits[0], "POLDER_ACCELERATOR is 'vax' and ignored"));
		if (i == 0)
			g_assert_cmpstr(host.accelerator, ==, "tcg");
		noun_clear(&host_noun, &host);
		fixture_clear(&f);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/probe/host", test_probe);
	g_test_add_func("/probe/accelerator", test_accelerator);
	return g_test_run();
}
