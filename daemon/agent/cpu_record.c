#include "daemon/agent/cpu_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/rows/rows.h"

#define INTERVAL_US_MAX 3600000000 /* longer ago is another time */
#define ROW_BYTES_MAX   1024u
#define HEADER                                                                                                     \
	"time_s,event,vm,vcpu,tenant,weight,limit_percent,reserve_percent,latency_us,interval_us,run_us,ready_us," \
	"throttled_us,wakeups,switches,cpus,threads_per_core,cores_per_llc,llcs_per_node\n"

/* What a VM's counters were. */
struct known {
	guint64 round; /* the last it was seen in */
	pid_t pid;
	gint64 monotonic_us;
	guint n_vcpus;
	struct {
		pid_t tid;
		struct cpu_usage usage;
	} vcpus[];
};

struct cpu_record {
	struct row_file file;
	guint64 file_bytes;
	struct cpu_record_host host;
	GHashTable *known; /* VM → struct known, owned */
	GString *rows;
	guint64 round;
	gint64 wall_us; /* of the last rows: time never stands still or runs backwards */
};

/* ---- The file ---- */

static void append_time(struct cpu_record *record, const char *event)
{
	g_string_append_printf(record->rows, "%" G_GINT64_FORMAT ".%06" G_GINT64_FORMAT ",%s,",
			       record->wall_us / 1000000, record->wall_us % 1000000, event);
}

static void append_host(struct cpu_record *record)
{
	const struct cpu_record_host *host = &record->host;

	append_time(record, "host");
	g_string_append_printf(record->rows, ",,,,,,,,,,,,,%u,%u,%u,%u\n", host->cpus, host->threads_per_core,
			       host->cores_per_llc, host->llcs_per_node);
}

static void begin_file(struct cpu_record *record)
{
	GString *rows = g_steal_pointer(&record->rows);

	record->rows = g_string_new(HEADER);
	append_host(record);
	row_file_append(&record->file, record->rows);
	g_string_free(record->rows, TRUE);
	record->rows = rows;
}

/* The time of the file's last row; 0: it has none. */
static gint64 last_time_us(const struct row_file *file)
{
	char text[ROW_BYTES_MAX + 1] = "";
	gsize from = (gsize)MAX((gint64)file->bytes - ROW_BYTES_MAX, 0);
	ssize_t got = pread(file->fd, text, ROW_BYTES_MAX, (off_t)from);
	const char *row;

	if (got < 2)
		return 0;
	text[got - 1] = '\0';
	row = strrchr(text, '\n');
	return row ? (gint64)(g_ascii_strtod(row + 1, NULL) * 1e6) + 1 : 0;
}

struct cpu_record *cpu_record_open(const char *path, guint64 file_bytes, const struct cpu_record_host *host,
				   GError **error)
{
	struct cpu_record *record = g_new0(struct cpu_record, 1);

	if (!row_file_open(&record->file, path, HEADER, error)) {
		g_free(record);
		return NULL;
	}
	record->file_bytes = file_bytes;
	record->host = *host;
	record->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	record->rows = g_string_new(NULL);
	record->wall_us = MAX(last_time_us(&record->file), g_get_real_time());
	if (!record->file.bytes) {
		begin_file(record);
	} else {
		append_host(record); /* it may have changed while we were away */
		row_file_append(&record->file, record->rows);
	}
	return record;
}

void cpu_record_close(struct cpu_record *record)
{
	if (!record)
		return;
	row_file_close(&record->file);
	g_hash_table_unref(record->known);
	g_string_free(record->rows, TRUE);
	g_free(record);
}

/* ---- Rows ---- */

static void append_tenant(GString *rows, const char *tenant)
{
	for (; tenant && *tenant; tenant++)
		g_string_append_c(rows, strchr(",\"\n\r", *tenant) ? '_' : *tenant);
}

static void append_vcpu(struct cpu_record *record, const struct cpu_round_vm *vm, guint i, const struct known *known,
			gint64 interval_us)
{
	const struct cpu_usage *now = &vm->usage[i], *before = &known->vcpus[i].usage;
	GString *rows = record->rows;

	append_time(record, "vcpu");
	g_string_append_printf(rows, "%s,%u,", vm->name, i);
	append_tenant(rows, vm->tenant);
	g_string_append_printf(rows, ",%u,%u,%u,%u,%" G_GINT64_FORMAT, vm->weight, vm->limit_percent,
			       vm->reserve_percent, vm->latency_us, interval_us);
	g_string_append_printf(rows, ",%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT,
			       (now->run_ns - before->run_ns) / 1000, (now->ready_ns - before->ready_ns) / 1000,
			       (now->throttled_ns - before->throttled_ns) / 1000);
	if (now->has_switches && before->has_switches && now->wakeups >= before->wakeups &&
	    now->switches >= before->switches)
		g_string_append_printf(rows, ",%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ",,,,\n",
				       now->wakeups - before->wakeups, now->switches - before->switches);
	else
		g_string_append(rows, ",,,,,,\n");
}

/* Both times it was the same thread, and its counters went on. (A group's begin anew when it is made anew.) */
static gboolean follows(const struct cpu_round_vm *vm, guint i, const struct known *known)
{
	const struct cpu_usage *now = &vm->usage[i], *before = &known->vcpus[i].usage;

	return vm->vcpus[i] == known->vcpus[i].tid && now->was_read && before->was_read &&
	       now->run_ns >= before->run_ns && now->ready_ns >= before->ready_ns &&
	       now->throttled_ns >= before->throttled_ns;
}

static struct known *remember(struct cpu_record *record, const struct cpu_round_vm *vm)
{
	struct known *known = g_hash_table_lookup(record->known, vm->name);

	if (known && known->pid == vm->pid && known->n_vcpus == vm->n_vcpus)
		return known;
	known = g_malloc0(sizeof(*known) + vm->n_vcpus * sizeof(known->vcpus[0]));
	known->pid = vm->pid;
	known->n_vcpus = vm->n_vcpus;
	g_hash_table_replace(record->known, g_strdup(vm->name), known);
	return known;
}

static void add_vm(struct cpu_record *record, const struct cpu_round_vm *vm, gint64 monotonic_us)
{
	struct known *known = remember(record, vm);
	gint64 interval_us = monotonic_us - known->monotonic_us;
	gboolean seen = known->round + 1 == record->round && interval_us >= 1000 && interval_us <= INTERVAL_US_MAX;

	for (guint i = 0; i < vm->n_vcpus; i++) {
		if (seen && follows(vm, i, known))
			append_vcpu(record, vm, i, known, interval_us);
		known->vcpus[i].tid = vm->vcpus[i];
		known->vcpus[i].usage = vm->usage[i];
	}
	known->round = record->round;
	known->monotonic_us = monotonic_us;
}

static gboolean is_gone(gpointer name, gpointer known, gpointer record)
{
	return ((const struct known *)known)->round != ((const struct cpu_record *)record)->round;
}

void cpu_record_add(struct cpu_record *record, const struct cpu_round *round, const struct cpu_record_time *time)
{
	record->round++;
	record->wall_us = MAX(record->wall_us + 1, time->wall_us);
	for (guint i = 0; i < round->vms->len; i++) {
		const struct cpu_round_vm *vm = round->vms->pdata[i];

		if (vm->usage)
			add_vm(record, vm, time->monotonic_us);
	}
	g_hash_table_foreach_remove(record->known, is_gone, record);
	if (!record->rows->len)
		return;
	if (record->file.bytes + record->rows->len > record->file_bytes && row_file_turn(&record->file))
		begin_file(record);
	row_file_append(&record->file, record->rows);
}

/* ---- Copying ---- */

static gboolean write_all(int fd, const char *text, gsize bytes)
{
	while (bytes) {
		ssize_t n = write(fd, text, bytes);

		if (n < 0 && errno != EINTR)
			return FALSE;
		text += MAX(n, 0);
		bytes -= (gsize)MAX(n, 0);
	}
	return TRUE;
}

/* A file's rows, without its header. Not there: nothing. */
static gboolean copy_rows(const char *path, int to)
{
	FILE *file = fopen(path, "re");
	char text[65536];
	gboolean ok = TRUE;
	gsize got;

	if (!file)
		return errno == ENOENT;
	if (fseek(file, (long)strlen(HEADER), SEEK_SET) == 0)
		while (ok && (got = fread(text, 1, sizeof(text), file)) > 0)
			ok = write_all(to, text, got);
	ok = ok && !ferror(file);
	fclose(file);
	return ok;
}

int cpu_record_copy(const struct cpu_record *record, GError **error)
{
	int fd = memfd_create("polder-scheduling", MFD_CLOEXEC);

	if (fd >= 0 && write_all(fd, HEADER, strlen(HEADER)) && copy_rows(record->file.older, fd) &&
	    copy_rows(record->file.path, fd) && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "copy %s: %s", record->file.path, g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}
