#include "tests/unit/guest/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/model/dirs.h"
#include "daemon/storage/image.h"

/* ---- The VM ---- */

static void wait_a_little(gpointer data)
{
	struct vm_here *vm = data;
	struct pollfd fds[] = { { .fd = vm->qga.fd, .events = POLLIN }, { .fd = vm->stream.fd, .events = POLLIN } };

	poll(fds, G_N_ELEMENTS(fds), 20);
}

static int connect_to(struct vm_here *vm, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", vm->dir, name);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		g_assert_true(errno == ENOENT || errno == ECONNREFUSED);
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
		poll(NULL, 0, 5);
	}
	return fd;
}

/* A test that aborts leaves no VM behind. */
static void end_with_test(gpointer data)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void vm_here_init(struct vm_here *vm, const struct image_status *image)
{
	g_autoptr(GError) error = NULL;
	*vm = (struct vm_here) { .dir = g_dir_make_tmp("polder-boot-XXXXXX", NULL),
				 .started_us = g_get_monotonic_time() };
	g_autofree char *append = g_strconcat(image->cmdline, " polder.name=boot polder.net=user", NULL);
	g_autofree char *qga = g_strdup_printf("socket,id=qga,path=%s/qga,server=on,wait=off", vm->dir);
	g_autofree char *stream = g_strdup_printf("socket,id=stream,path=%s/stream,server=on,wait=off", vm->dir);
	g_autofree char *qmp = g_strdup_printf("unix:%s/qmp,server=on,wait=off", vm->dir);
	g_autofree char *console = g_strdup_printf("file:%s/console", vm->dir);

	g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
	g_subprocess_launcher_set_child_setup(launcher, end_with_test, NULL, NULL);
	vm->qemu = g_subprocess_launcher_spawn(
		launcher, &error, "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-m", "256M", "-nodefaults",
		"-no-user-config", "-display", "none", "-action", "panic=exit-failure", "-kernel", image->kernel,
		"-initrd", image->initrd, "-append", append, "-device", "virtio-serial-pci", "-chardev", qga, "-device",
		"virtserialport,chardev=qga,name=" STREAM_AGENT_PORT_NAME, "-chardev", stream, "-device",
		"virtserialport,chardev=stream,name=" STREAM_PORT_NAME, "-netdev", "user,id=net", "-device",
		"virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci", "-device", "pvpanic-pci", "-serial",
		console, "-qmp", qmp, NULL);
	g_assert_no_error(error);
	client_init(&vm->qga, connect_to(vm, "qga"), wait_a_little, vm);
	client_init(&vm->stream, connect_to(vm, "stream"), wait_a_little, vm);
}

int vm_here_qmp(struct vm_here *vm)
{
	static const char capabilities[] = "{\"execute\":\"qmp_capabilities\"}\n";
	int fd = connect_to(vm, "qmp");

	g_assert_cmpint(write(fd, capabilities, strlen(capabilities)), ==, strlen(capabilities));
	return fd;
}

static gboolean timed_out(gpointer data)
{
	*(gboolean *)data = TRUE;
	return G_SOURCE_CONTINUE;
}

static void ended(GObject *source, GAsyncResult *result, gpointer data)
{
	*(gboolean *)data = g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL);
}

gboolean vm_here_wait(struct vm_here *vm, guint seconds)
{
	g_autoptr(GCancellable) cancellable = g_cancellable_new();
	gboolean late = FALSE, gone = FALSE, *finished = &gone;
	guint timer = g_timeout_add_seconds(seconds, timed_out, &late);

	g_subprocess_wait_async(vm->qemu, cancellable, ended, finished);
	while (!gone && !late)
		g_main_context_iteration(NULL, TRUE);
	g_source_remove(timer);
	g_cancellable_cancel(cancellable);
	while (g_main_context_iteration(NULL, FALSE))
		;
	return gone;
}

char *vm_here_console(struct vm_here *vm)
{
	g_autofree char *path = g_build_filename(vm->dir, "console", NULL);
	char *text = NULL;

	g_file_get_contents(path, &text, NULL, NULL);
	return text;
}

void vm_here_clear(struct vm_here *vm)
{
	static const char *const names[] = { "qga", "stream", "qmp", "console" };

	g_subprocess_force_exit(vm->qemu);
	g_subprocess_wait(vm->qemu, NULL, NULL);
	g_object_unref(vm->qemu);
	client_clear(&vm->qga);
	client_clear(&vm->stream);
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(vm->dir, names[i], NULL);
		g_unlink(path);
	}
	g_rmdir(vm->dir);
	g_free(vm->dir);
}
