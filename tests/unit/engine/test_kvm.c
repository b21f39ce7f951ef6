/* The timed self-test of /dev/kvm: it decides in time whatever the device is. */
#include "daemon/engine/qemu/kvm.h"

#include <glib/gstdio.h>
#include <string.h>

static void judge(const char *device, guint deadline_ms, const char *reason)
{
	struct kvm_verdict verdict;
	gint64 start_us = g_get_monotonic_time();

	kvm_self_test(device, deadline_ms, &verdict);
	g_test_message("%s", verdict.reason);
	g_assert_cmpint(g_get_monotonic_time() - start_us, <, 10 * G_USEC_PER_SEC);
	g_assert_nonnull(strstr(verdict.reason, reason));
	g_assert_false(verdict.usable);
	kvm_verdict_clear(&verdict);
}

static void test_not_kvm(void)
{
	judge("/nonexistent/kvm", 2000, "no hardware virtualization");
	judge("/dev/null", 2000, "opens but");
	judge("/dev/zero", 2000, "opens but");
	judge("/proc/self", 2000, "Is a directory");
}

/* A device that hangs is one that never answers within the deadline. */
static void test_deadline(void)
{
	if (g_file_test(KVM_DEVICE, G_FILE_TEST_EXISTS))
		judge(KVM_DEVICE, 0, "didn't finish within 0 ms");
	else
		g_test_skip("no " KVM_DEVICE " here");
}

/* The verdict and its figures agree, and repeat. */
static void test_here(void)
{
	struct kvm_verdict first, again;

	kvm_self_test(KVM_DEVICE, KVM_TEST_DEADLINE_MS, &first);
	kvm_self_test(KVM_DEVICE, KVM_TEST_DEADLINE_MS, &again);
	g_test_message("%s (real mode %" G_GUINT64_FORMAT " us, long mode %" G_GUINT64_FORMAT " us)", first.reason,
		       first.real_us, first.long_us);
	g_assert_cmpint(first.usable, ==, again.usable);
	if (first.usable)
		g_assert_cmpuint(MAX(first.real_us, first.long_us), <=, KVM_TEST_LIMIT_US);
	else
		g_assert_true(first.real_us == 0 || first.long_us == 0 ||
			      MAX(first.real_us, first.long_us) > KVM_TEST_LIMIT_US);
	kvm_verdict_clear(&first);
	kvm_verdict_clear(&again);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kvm/not-kvm", test_not_kvm);
	g_test_add_func("/kvm/deadline", test_deadline);
	g_test_add_func("/kvm/here", test_here);
	return g_test_run();
}
