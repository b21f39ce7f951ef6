/* The journal of a VM: everything that must be undone, written down before it is done.
 *
 *     polder-cpu 1
 *     process PID START
 *     groups N                     .vcpu0 … .vcpu(N−1), and .io
 *     home DIRECTORY               where its threads came from; absent without groups
 *     thread TID START POLICY NICE PRIORITY FLAGS RUNTIME DEADLINE PERIOD COOKIE CPUS
 *     state applying | applied
 *     end
 *
 * Written whole, to a file beside it that takes its place: there is never half a journal. "applying" stays when we are
 * killed in between, and then repair undoes all of it. What only changes a value within (a weight) needs no new one. */
#include "daemon/cpu/cpu_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL     "cpu.journal"
#define HEAD        "polder-cpu 1\n"
#define JOURNAL_MAX (4 << 20)
#define THREADS_MAX 4096
#define MASK_WORDS  (SCHEDULING_CPUS_MAX / (8 * sizeof(unsigned long)))

void cpu_vm_free(struct cpu_vm *vm)
{
	if (!vm)
		return;
	g_free(vm->name);
	g_free(vm->home);
	g_free(vm->threads);
	g_free(vm);
}

/* Words of the mask up to the last that is not 0, least first. */
static void put_mask(GString *text, const struct cpu_mask *mask)
{
	guint n = MASK_WORDS;

	while (n > 1 && !mask->bits[n - 1])
		n--;
	for (guint i = 0; i < n; i++)
		g_string_append_printf(text, "%s%lx", i ? "," : "", mask->bits[i]);
}

static GString *journal_text(const struct cpu_vm *vm)
{
	GString *text = g_string_new(HEAD);

	g_string_append_printf(text, "process %d %" G_GUINT64_FORMAT "\ngroups %u\n", vm->pid, vm->start, vm->n_groups);
	if (vm->home)
		g_string_append_printf(text, "home %s\n", vm->home);
	for (guint i = 0; i < vm->n_threads; i++) {
		const struct cpu_thread *thread = &vm->threads[i];
		const struct cpu_attr *attr = &thread->attr;

		g_string_append_printf(text,
				       "thread %d %" G_GUINT64_FORMAT " %u %d %u %" G_GUINT64_FORMAT
				       " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %d ",
				       thread->tid, thread->start, attr->policy, attr->nice, attr->priority,
				       (guint64)attr->flags, (guint64)attr->runtime_ns, (guint64)attr->deadline_ns,
				       (guint64)attr->period_ns, thread->cookie_set || thread->knobs.cookie != 0);
		put_mask(text, &thread->mask);
		g_string_append_c(text, '\n');
	}
	g_string_append_printf(text, "state %s\nend\n", vm->half ? "applying" : "applied");
	return text;
}

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status = fd < 0 || fsync(fd) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return status;
}

int cpu_journal_write(struct cpu *cpu, const struct cpu_vm *vm)
{
	g_autofree char *dir = g_build_filename(cpu->run, vm->name, NULL);
	g_autofree char *path = g_build_filename(dir, JOURNAL, NULL);
	g_autofree char *beside = g_strconcat(path, ".new", NULL);
	g_autoptr(GString) text = journal_text(vm);
	int status = 0, fd;

	unlink(beside); /* from a crash */
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	for (gsize done = 0; done < text->len && !status;) {
		ssize_t got = write(fd, text->str + done, text->len - done);

		if (got < 0 && errno != EINTR)
			status = errno;
		else if (got > 0)
			done += (gsize)got;
	}
	if (!status && fsync(fd) < 0)
		status = errno;
	close(fd);
	if (!status && rename(beside, path) < 0)
		status = errno;
	if (status)
		unlink(beside);
	return status ? status : sync_dir(dir);
}

int cpu_journal_remove(struct cpu *cpu, const char *name)
{
	g_autofree char *dir = g_build_filename(cpu->run, name, NULL);
	g_autofree char *path = g_build_filename(dir, JOURNAL, NULL);
	g_autofree char *beside = g_strconcat(path, ".new", NULL);

	unlink(beside);
	if (unlink(path) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
	return sync_dir(dir);
}

/* ---- Reading ---- */

static gboolean get_mask(const char *text, struct cpu_mask *mask)
{
	g_auto(GStrv) words = g_strsplit(text, ",", MASK_WORDS + 1);
	guint n = g_strv_length(words);

	if (!n || n > MASK_WORDS)
		return FALSE;
	for (guint i = 0; i < n; i++) {
		char *end;

		mask->bits[i] = g_ascii_strtoull(words[i], &end, 16);
		if (end == words[i] || *end)
			return FALSE;
	}
	return TRUE;
}

static gboolean get_thread(const char *line, GArray *threads)
{
	struct cpu_thread thread = { 0 };
	struct cpu_attr *attr = &thread.attr;
	unsigned long long start, flags, runtime, deadline, period;
	int at = 0, tid, cookie;

	if (sscanf(line, "%d %llu %u %d %u %llu %llu %llu %llu %d %n", &tid, &start, &attr->policy, &attr->nice,
		   &attr->priority, &flags, &runtime, &deadline, &period, &cookie, &at) < 10 ||
	    !at || tid <= 0 || threads->len >= THREADS_MAX || !get_mask(line + at, &thread.mask))
		return FALSE;
	thread.tid = tid;
	thread.start = start;
	attr->size = sizeof(*attr);
	attr->flags = flags;
	attr->runtime_ns = runtime;
	attr->deadline_ns = deadline;
	attr->period_ns = period;
	thread.cookie_set = cookie != 0;
	g_array_append_val(threads, thread);
	return TRUE;
}

struct cpu_vm *cpu_journal_parse(const char *name, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autoptr(GArray) threads = g_array_new(FALSE, FALSE, sizeof(struct cpu_thread));
	struct cpu_vm *vm;
	gboolean ended = FALSE, valid = g_str_has_prefix(text, HEAD), stated = FALSE;

	vm = g_new0(struct cpu_vm, 1);
	vm->name = g_strdup(name);
	for (guint i = 1; valid && lines[0] && lines[i] && !ended; i++) {
		const char *line = lines[i];
		unsigned long long start;

		if (g_str_has_prefix(line, "thread ")) {
			valid = get_thread(line + 7, threads);
		} else if (sscanf(line, "process %d %llu", &vm->pid, &start) == 2) {
			vm->start = start;
			valid = vm->pid > 0;
		} else if (sscanf(line, "groups %u", &vm->n_groups) == 1) {
			valid = vm->n_groups <= THREADS_MAX;
		} else if (g_str_has_prefix(line, "home /") && !vm->home) {
			vm->home = g_strdup(line + 5);
		} else if (!strcmp(line, "state applying") || !strcmp(line, "state applied")) {
			vm->half = !strcmp(line, "state applying");
			stated = TRUE;
		} else {
			ended = !strcmp(line, "end");
			valid = ended;
		}
	}
	if (!valid || !ended || !stated || !vm->pid) {
		cpu_vm_free(vm);
		return NULL;
	}
	vm->n_threads = threads->len;
	vm->threads = (struct cpu_thread *)g_array_free(g_steal_pointer(&threads), FALSE);
	return vm;
}

/* The whole file, if it is one of ours: a VM may own its run directory, and must not tell us what to undo. */
static int get_text(const char *path, char **text)
{
	struct stat info;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	gsize used = 0;
	ssize_t got = 1;
	int status = 0;

	if (fd < 0)
		return errno == ENOTDIR ? ENOENT : errno == ELOOP ? EBADMSG : errno;
	if (fstat(fd, &info) < 0)
		status = errno;
	else if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || info.st_nlink != 1 || info.st_size > JOURNAL_MAX)
		status = EBADMSG;
	if (!status) {
		*text = g_malloc0((gsize)info.st_size + 1);
		while (used < (gsize)info.st_size && got > 0) {
			got = read(fd, *text + used, (gsize)info.st_size - used);
			if (got > 0)
				used += (gsize)got;
			else if (got < 0 && errno == EINTR)
				got = 1;
		}
		if (got < 0)
			status = errno;
	}
	close(fd);
	return status;
}

struct cpu_vm *cpu_journal_read(struct cpu *cpu, const char *name, int *status)
{
	g_autofree char *path = g_build_filename(cpu->run, name, JOURNAL, NULL);
	g_autofree char *text = NULL;
	struct cpu_vm *vm = NULL;

	*status = get_text(path, &text);
	if (!*status && !(vm = cpu_journal_parse(name, text)))
		*status = EBADMSG;
	return vm;
}
