#include "guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/process.h"

#define CONSOLE_PATH     "/dev/ttyS0"
#define END_GRACE_MS     2000 /* from SIGTERM to SIGKILL at power-off */
#define SHELL_RESPAWN_MS 1000 /* a shell that ends sooner is started again only then */

void init_mount(void)
{
	static const struct {
		const char *type, *path, *options;
		unsigned mode;
	} mounts[] = {
		{ "proc", "/proc", NULL, 0555 },
		{ "sysfs", "/sys", NULL, 0555 },
		{ "devtmpfs", "/dev", "mode=0755", 0755 },
		{ "devpts", "/dev/pts", "ptmxmode=0666,mode=0620,gid=5", 0755 },
		{ "tmpfs", "/dev/shm", "mode=1777", 0755 },
		{ "tmpfs", "/tmp", "mode=1777", 01777 },
		{ "tmpfs", "/run", "mode=0755", 0755 },
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].path, mounts[i].mode);
		if (mount(mounts[i].type, mounts[i].path, mounts[i].type, MS_NOSUID, mounts[i].options) < 0 &&
		    errno != EBUSY)
			fprintf(stderr, "polder: mount %s: %s\n", mounts[i].path, strerror(errno));
	}
	/* What udev would link. */
	if (symlink("/proc/self/fd", "/dev/fd") < 0 || symlink("/proc/self/fd/0", "/dev/stdin") < 0 ||
	    symlink("/proc/self/fd/1", "/dev/stdout") < 0 || symlink("/proc/self/fd/2", "/dev/stderr") < 0)
		fprintf(stderr, "polder: /dev/fd: %s\n", strerror(errno));
}

bool init_option(const char *name, char *value, unsigned bytes)
{
	char line[4096];
	size_t name_bytes = strlen(name);
	bool found = false;
	FILE *file = fopen("/proc/cmdline", "re");

	value[0] = 0;
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
		if (strncmp(word, name, name_bytes) || word[name_bytes] != '=')
			continue;
		snprintf(value, bytes, "%s", word + name_bytes + 1);
		found = true;
	}
	return found;
}

void init_hostname(void)
{
	char name[65];

	if (!init_option("polder.name", name, sizeof(name)) || !name[0])
		snprintf(name, sizeof(name), "tiny");
	if (sethostname(name, strlen(name)) < 0)
		fprintf(stderr, "polder: host name %s: %s\n", name, strerror(errno));
	FILE *hosts = fopen("/etc/hosts", "we");
	if (!hosts)
		return;
	fprintf(hosts, "127.0.0.1 localhost %s\n::1 localhost\n", name);
	fclose(hosts);
}

/* ---- Console ---- */

struct console {
	struct loop *loop;
	uint64_t started_ms;
};

static void shell_start(void *data);

static void shell_ended(void *data, pid_t pid, int status)
{
	struct console *console = data;
	uint64_t lived_ms = loop_now_ms() - console->started_ms;

	loop_timer(console->loop, lived_ms < SHELL_RESPAWN_MS ? SHELL_RESPAWN_MS : 0, shell_start, console);
}

static void shell_start(void *data)
{
	struct console *console = data;
	/* A plain "sh" and no login shell: nothing of /etc/profile is there to read. */
	char *argv[] = { (char *)"sh", NULL }, *env[] = { (char *)"TERM=vt100", (char *)"ENV=/etc/shrc", NULL };
	char error[200];
	int fd = open(CONSOLE_PATH, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct process_config config = {
		.argv = argv, .env = env, .cwd = "/root", .stdio = { fd, fd, fd }, .tty = true
	};

	if (fd < 0)
		return; /* no serial console: nobody could type */
	console->started_ms = loop_now_ms();
	pid_t pid = process_spawn(&config, error, sizeof(error));
	if (pid < 0)
		fprintf(stderr, "polder: console: %s\n", error);
	else
		loop_child(console->loop, pid, shell_ended, console);
	close(fd);
}

void init_console(struct loop *loop)
{
	static struct console console;
	struct utsname name;

	console.loop = loop;
	uname(&name);
	dprintf(STDERR_FILENO, "\n%s: %s %s, Polder's tiny image. \"poweroff\" ends the VM; there is no disk.\n\n",
		name.nodename, name.sysname, name.release);
	shell_start(&console);
}

/* ---- Power ---- */

/* Wait until no child is left: orphans have become ours. False when some remain after `ms`. */
static bool wait_for_all(unsigned ms)
{
	uint64_t until = loop_now_ms() + ms;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0 && errno == ECHILD)
			return true;
		if (pid > 0)
			continue;
		uint64_t now = loop_now_ms();
		if (now >= until)
			return false;
		struct timespec left = { (until - now) / 1000, (until - now) % 1000 * 1000000 };
		sigtimedwait(&child, NULL, &left);
	}
}

void init_power(enum power_action action)
{
	/* Interactive shells ignore SIGTERM and end on SIGHUP. */
	kill(-1, SIGTERM);
	kill(-1, SIGHUP);
	kill(-1, SIGCONT);
	if (!wait_for_all(END_GRACE_MS)) {
		kill(-1, SIGKILL);
		wait_for_all(END_GRACE_MS);
	}
	sync();
	reboot(action == POWER_REBOOT ? RB_AUTOBOOT : RB_POWER_OFF);
	_exit(1); /* the end of PID 1 panics the kernel: the VM ends, whatever happens */
}
