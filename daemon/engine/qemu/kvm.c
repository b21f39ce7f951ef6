#include "daemon/engine/qemu/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GUEST_BYTES 0x200000u
#define GUEST_PML4  0x1000u
#define GUEST_PDPT  0x2000u
#define GUEST_PD    0x3000u
#define GUEST_CODE  0x8000u
#define RUNS        3

/* What the child tells, in one write. */
struct report {
	int error;     /* errno of the step that failed, 0 = none */
	char step[32]; /* which */
	guint32 exit;  /* KVM_EXIT_* when it was not the HLT */
	guint64 real_ns, long_ns;
};

struct machine {
	int vcpu;
	guint8 *memory;
	struct kvm_run *run;
};

/* The child was forked from a process with threads: only system calls from here to child_main(), no allocation. */

static gboolean fail(struct report *report, const char *step)
{
	report->error = errno ? errno : EIO;
	memccpy(report->step, step, 0, sizeof(report->step) - 1);
	return FALSE;
}

static gboolean machine_init(struct machine *machine, const char *device, struct report *report)
{
	int kvm = open(device, O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return fail(report, "open");
	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return fail(report, "KVM_GET_API_VERSION");
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return fail(report, "KVM_CREATE_VM");
	/* Intel needs it before the first vCPU runs in real mode; elsewhere it may be refused. */
	ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul);
	machine->memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (machine->memory == MAP_FAILED)
		return fail(report, "mmap");
	struct kvm_userspace_memory_region region = { .memory_size = GUEST_BYTES,
						      .userspace_addr = (guintptr)machine->memory };
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail(report, "KVM_SET_USER_MEMORY_REGION");
	machine->vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	int run_bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (machine->vcpu < 0 || run_bytes < (int)sizeof(struct kvm_run))
		return fail(report, "KVM_CREATE_VCPU");
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid;
	cpuid.head.nent = G_N_ELEMENTS(cpuid.entries);
	/* Without long mode in CPUID, KVM refuses EFER.LME. */
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0 || ioctl(machine->vcpu, KVM_SET_CPUID2, &cpuid) < 0)
		return fail(report, "KVM_SET_CPUID2");
	machine->run = mmap(NULL, (gsize)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu, 0);
	return machine->run != MAP_FAILED || fail(report, "mmap");
}

static void enter_long_mode(struct machine *machine, struct kvm_sregs *sregs)
{
	struct kvm_segment code = { .limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };

	*(guint64 *)(machine->memory + GUEST_PML4) = GUEST_PDPT | 3;
	*(guint64 *)(machine->memory + GUEST_PDPT) = GUEST_PD | 3;
	*(guint64 *)(machine->memory + GUEST_PD) = 0x83; /* one 2 MiB page */
	sregs->cr3 = GUEST_PML4;
	sregs->cr4 = 0x20;       /* PAE */
	sregs->cr0 = 0x80010033; /* PG WP NE ET MP PE */
	sregs->efer = 0x500;     /* LMA LME */
	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
}

/* Runs `code` (it ends in HLT) RUNS times; the best time. */
static gboolean time_guest(struct machine *machine, const guint8 *code, gsize bytes, gboolean long_mode,
			   struct report *report)
{
	struct timespec before, after;
	struct kvm_sregs sregs;
	guint64 best = G_MAXUINT64;

	memcpy(machine->memory + GUEST_CODE, code, bytes);
	if (ioctl(machine->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return fail(report, "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (long_mode)
		enter_long_mode(machine, &sregs);
	if (ioctl(machine->vcpu, KVM_SET_SREGS, &sregs) < 0)
		return fail(report, "KVM_SET_SREGS");
	for (int i = 0; i < RUNS; i++) {
		struct kvm_regs regs = { .rip = GUEST_CODE, .rflags = 2, .rsp = 0x7000 };
		if (ioctl(machine->vcpu, KVM_SET_REGS, &regs) < 0)
			return fail(report, "KVM_SET_REGS");
		clock_gettime(CLOCK_MONOTONIC, &before);
		int result = ioctl(machine->vcpu, KVM_RUN, 0);
		clock_gettime(CLOCK_MONOTONIC, &after);
		if (result < 0)
			return fail(report, "KVM_RUN");
		if (machine->run->exit_reason != KVM_EXIT_HLT) {
			report->exit = machine->run->exit_reason;
			return fail(report, "KVM_RUN");
		}
		guint64 ns = (guint64)(after.tv_sec - before.tv_sec) * 1000000000u + (guint64)after.tv_nsec -
			     (guint64)before.tv_nsec;
		best = MIN(best, ns);
	}
	*(long_mode ? &report->long_ns : &report->real_ns) = best;
	return TRUE;
}

static void child_main(const char *device, int report_fd)
{
	/* Both: count KVM_TEST_INSTRUCTIONS / 2 down in a two-instruction loop, then HLT. */
	static const guint8 real_code[] = { 0x66, 0xb9, 0x50, 0xc3, 0x00, 0x00, /* mov ecx, 50000 */
					    0x66, 0x49,                         /* dec ecx */
					    0x75, 0xfc,                         /* jnz */
					    0xf4 };
	static const guint8 long_code[] = { 0xb9, 0x50, 0xc3, 0x00, 0x00, /* mov ecx, 50000 */
					    0xff, 0xc9,                   /* dec ecx */
					    0x75, 0xfc,                   /* jnz */
					    0xf4 };
	struct report report = { 0 };
	struct machine machine = { 0 };

	G_STATIC_ASSERT(KVM_TEST_INSTRUCTIONS / 2 == 0xc350);
	if (machine_init(&machine, device, &report) &&
	    time_guest(&machine, real_code, sizeof(real_code), FALSE, &report))
		time_guest(&machine, long_code, sizeof(long_code), TRUE, &report);
	ssize_t n = write(report_fd, &report, sizeof(report));
	_exit(n == (ssize_t)sizeof(report) ? 0 : 1);
}

static void judge(const char *device, const struct report *report, struct kvm_verdict *verdict)
{
	g_autofree char *figure = NULL;

	verdict->real_us = report->real_ns / 1000;
	verdict->long_us = report->long_ns / 1000;
	if (report->error && !strcmp(report->step, "open")) {
		const char *next = report->error == EACCES   ? ": join the group that owns it (usually kvm)"
				   : report->error == ENOENT ? ": this host offers no hardware virtualization"
							     : "";
		verdict->reason = g_strdup_printf("%s: %s%s", device, g_strerror(report->error), next);
		return;
	}
	if (report->exit) {
		verdict->reason = g_strdup_printf("%s opens but its guest stopped early (KVM exit reason %u)", device,
						  report->exit);
		return;
	}
	if (report->error) {
		verdict->reason =
			g_strdup_printf("%s opens but %s failed: %s", device, report->step, g_strerror(report->error));
		return;
	}
	guint64 slowest = MAX(report->real_ns, report->long_ns) / 1000;
	figure = slowest < 10000 ? g_strdup_printf("%.2f ms", (double)slowest / 1000)
				 : g_strdup_printf("%" G_GUINT64_FORMAT " ms", slowest / 1000);
	verdict->usable = slowest <= KVM_TEST_LIMIT_US;
	if (verdict->usable)
		verdict->reason = g_strdup_printf("%s runs %s instructions in %s", device, "100,000", figure);
	else
		verdict->reason = g_strdup_printf("%s opens but %s instructions took %s (hardware: under %u ms): "
						  "an interpreter",
						  device, "100,000", figure, KVM_TEST_LIMIT_US / 1000);
}

/* A killed child that hangs in the kernel is left behind rather than waited for. */
static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	for (int i = 0; i < 100 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		g_usleep(1000);
}

void kvm_self_test(const char *device, guint deadline_ms, struct kvm_verdict *verdict)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)deadline_ms * 1000;
	struct report report = { 0 };
	int fds[2];
	ssize_t n = 0;

	memset(verdict, 0, sizeof(*verdict));
	if (pipe2(fds, O_CLOEXEC) < 0) {
		verdict->reason = g_strdup_printf("the self-test of %s can't run: %s", device, g_strerror(errno));
		return;
	}
	pid_t pid = fork();
	if (pid == 0)
		child_main(device, fds[1]);
	close(fds[1]);
	struct pollfd answer = { .fd = fds[0], .events = POLLIN };
	if (pid > 0) {
		int ready;
		do {
			gint64 left_us = deadline - g_get_monotonic_time();
			ready = poll(&answer, 1, left_us > 0 ? (int)((left_us + 999) / 1000) : 0);
		} while (ready < 0 && errno == EINTR);
		n = ready > 0 ? read(fds[0], &report, sizeof(report)) : 0;
		end_child(pid);
	}
	close(fds[0]);
	if (n == (ssize_t)sizeof(report))
		judge(device, &report, verdict);
	else
		verdict->reason = g_strdup_printf(
			"%s opens but a guest of 100,000 instructions didn't finish within %u ms", device, deadline_ms);
}

void kvm_verdict_clear(struct kvm_verdict *verdict)
{
	g_clear_pointer(&verdict->reason, g_free);
}
