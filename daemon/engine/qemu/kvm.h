/* Is /dev/kvm hardware virtualization, or something that merely opens? A kernel may offer the device and interpret every
 * instruction of an unmodified guest (seen: a paravirtual module, some 300 ns an instruction; a Linux kernel then never
 * finishes booting). So a tiny guest is timed, in real mode and in 64-bit mode with paging at CPL 0: hardware takes
 * well under a millisecond for KVM_TEST_INSTRUCTIONS, an interpreter tens. */
#pragma once

#include <glib.h>

#define KVM_DEVICE            "/dev/kvm"
#define KVM_TEST_INSTRUCTIONS 100000u
#define KVM_TEST_LIMIT_US     5000u /* slowest that still counts as hardware: 50 ns an instruction, best of three */
#define KVM_TEST_DEADLINE_MS  2000u

struct kvm_verdict {
	gboolean usable;
	guint64 real_us, long_us; /* best time of each guest; 0 when it didn't get that far */
	char *reason;             /* one line for people, with the figures */
};

/* kvm_self_test(device, deadline_ms, verdict): blocks for at most about `deadline_ms`; the guests run in a child process
 * that is killed then. Callable from any thread. kvm_verdict_clear() frees what it filled in. */
void kvm_self_test(const char *device, guint deadline_ms, struct kvm_verdict *verdict);
void kvm_verdict_clear(struct kvm_verdict *verdict);
