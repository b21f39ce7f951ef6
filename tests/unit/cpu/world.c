#include "tests/unit/cpu/world.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cpu/cpu_private.h"

/* ---- Victim ---- */

struct start {
	int fd;
	gboolean busy;
};

static void *victim_thread(void *data)
{
	struct start *start = data;
	pid_t tid = (pid_t)syscall(SYS_gettid);
	cpu_set_t one;

	if (start->busy) {
		CPU_ZERO(&one);
		CPU_SET(0, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	g_assert_cmpint(write(start->fd, &tid, sizeof(tid)), ==, sizeof(tid));
	for (volatile guint64 i = 0; start->busy; i++)
		;
	for (;;)
		pause();
	return NULL;
}

static void victim_main(struct start *start)
{
	pthread_t thread;
	pid_t pid = getpid();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	g_assert_cmpint(write(start->fd, &pid, sizeof(pid)), ==, sizeof(pid));
	for (guint i = 1; i < VICTIM_THREADS; i++)
		pthread_create(&thread, NULL, victim_thread, start);
	for (;;)
		pause();
}

void victim_start(struct victim *victim, gboolean busy)
{
	int ends[2];

	g_assert_cmpint(pipe(ends), ==, 0);
	victim->pid = fork();
	g_assert_cmpint(victim->pid, >=, 0);
	if (!victim->pid) {
		struct start start = { ends[1], busy };

		victim_main(&start);
	}
	for (guint i = 0; i < VICTIM_THREADS; i++)
		g_assert_cmpint(read(ends[0], &victim->tids[i], sizeof(pid_t)), ==, sizeof(pid_t));
	close(ends[0]);
	close(ends[1]);
}

void victim_end(struct victim *victim)
{
	if (victim->pid > 0) {
		kill(victim->pid, SIGKILL);
		waitpid(victim->pid, NULL, 0);
	}
	victim->pid = 0;
}

/* ---- Directories ---- */

char *world_run(const char *name)
{
	char *run = g_dir_make_tmp("polder-cpu-XXXXXX", NULL);
	g_autofree char *vm = g_build_filename(run, name, NULL);

	g_assert_cmpint(mkdir(vm, 0700), ==, 0);
	return run;
}

void world_remove(const char *dir)
{
	GDir *entries = g_dir_open(dir, 0, NULL);
	const char *name;

	while (entries && (name = g_dir_read_name(entries))) {
		g_autofree char *path = g_build_filename(dir, name, NULL);

		if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
			world_remove(path);
		else
			unlink(path);
	}
	if (entries)
		g_dir_close(entries);
	rmdir(dir);
}

char *world_group(void)
{
	static guint n;

	return g_strdup_printf("polder-test-%d-%u", getpid(), n++);
}

char *world_group_dir(struct cpu *cpu)
{
	return g_strdup(cpu->groups.root);
}
