/* Recorded utilization (PlanetLab's form): a file a VM, a whole percentage a line, five minutes each; in a directory or tar. */
#include <string.h>

#include "lab/error.h"
#include "lab/scheduling/workload.h"

#define SAMPLE_NS      (300 * G_GINT64_CONSTANT(1000000000))
#define PERIOD_NS      G_GINT64_CONSTANT(1000000000) /* in which a sample's share of CPU time is wanted */
#define SAMPLES_MAX    100000
#define FILES_MAX      100000
#define FILE_BYTES_MAX (16 << 20)
#define TAR_BYTES_MAX  (1024 << 20)
#define TAR_BLOCK      512
#define DEPTH_MAX      4

gboolean workload_add_utilization(struct workload *workload, const char *name, const char *text, gsize bytes,
				  GError **error)
{
	guint first = workload->samples->len, line = 0;
	struct task *task;

	for (gsize at = 0; at < bytes;) {
		const char *end = memchr(text + at, '\n', bytes - at);
		gsize length = end ? (gsize)(end - (text + at)) : bytes - at;
		guint value = 0;
		struct sample sample = { 0 };

		line++;
		if (length && text[at + length - 1] == '\r')
			length--;
		for (gsize i = 0; i < length && value <= 100; i++)
			value = g_ascii_isdigit(text[at + i]) ? value * 10 + (guint)(text[at + i] - '0') : 1000;
		if (!length || value > 100 || workload->samples->len - first >= SAMPLES_MAX) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "%s:%u: a line is a whole percentage of a CPU, 0 to 100, for five minutes", name,
				    line);
			return FALSE;
		}
		sample.use_ppm = value * (SAMPLE_PPM / 100);
		g_array_append_val(workload->samples, sample);
		at = end ? (gsize)(end - text) + 1 : bytes;
	}
	if (workload->samples->len == first) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s: it has no samples", name);
		return FALSE;
	}
	workload_add_vm(workload, name, workload_add_tenant(workload, name));
	task = workload_add_task(workload);
	task->first_sample = first;
	task->n_samples = workload->samples->len - first;
	/* Periods begin at different times, or all would wake at once. */
	task->start_ns = (gint64)((guint64)(workload->tasks->len - 1) * 618033989 % (guint64)PERIOD_NS);
	workload_add_step(workload, STEP_USE, PERIOD_NS, 0);
	workload->horizon_ns = MAX(workload->horizon_ns, (gint64)task->n_samples * SAMPLE_NS);
	return TRUE;
}

struct file {
	char *name;
	GBytes *bytes;
};

static void file_clear(gpointer data)
{
	struct file *file = data;

	g_free(file->name);
	g_bytes_unref(file->bytes);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static gboolean directory_read(GArray *files, const char *path, guint depth, GError **error)
{
	g_autoptr(GDir) directory = g_dir_open(path, 0, error);
	const char *name;

	if (!directory)
		return FALSE;
	while ((name = g_dir_read_name(directory))) {
		g_autofree char *child = g_build_filename(path, name, NULL);
		struct file file;
		char *text = NULL;
		gsize bytes = 0;

		if (g_file_test(child, G_FILE_TEST_IS_DIR)) {
			if (depth < DEPTH_MAX && !directory_read(files, child, depth + 1, error))
				return FALSE;
			continue;
		}
		if (files->len >= FILES_MAX || !g_file_get_contents(child, &text, &bytes, error))
			return files->len >= FILES_MAX;
		file.name = g_steal_pointer(&child);
		file.bytes = g_bytes_new_take(text, bytes);
		g_array_append_val(files, file);
	}
	return TRUE;
}

/* A tar's octal field. */
static gsize octal(const char *field, gsize width)
{
	gsize value = 0;

	for (gsize i = 0; i < width && field[i] >= '0' && field[i] <= '7'; i++)
		value = value * 8 + (gsize)(field[i] - '0');
	return value;
}

static gboolean tar_read(GArray *files, GBytes *tar, const char *path, GError **error)
{
	gsize size, at = 0;
	const char *data = g_bytes_get_data(tar, &size);

	while (at + TAR_BLOCK <= size && data[at]) {
		const char *header = data + at;
		gsize bytes = octal(header + 124, 12);

		at += TAR_BLOCK;
		if (memcmp(header + 257, "ustar", 5) != 0 || bytes > FILE_BYTES_MAX || bytes > size - at) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "%s: it is not a whole tar of utilization files (at byte %" G_GSIZE_FORMAT ")",
				    path, at - TAR_BLOCK);
			return FALSE;
		}
		if ((header[156] == '0' || !header[156]) && files->len < FILES_MAX) {
			struct file file = { .name = g_strndup(header, 100),
					     .bytes = g_bytes_new_from_bytes(tar, at, bytes) };

			g_array_append_val(files, file);
		}
		at += (bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	}
	return TRUE;
}

static GBytes *unpack(const char *path, GError **error)
{
	const char *program = g_str_has_suffix(path, ".xz")                                     ? "xz"
			      : g_str_has_suffix(path, ".gz") || g_str_has_suffix(path, ".tgz") ? "gzip"
												: "cat";
	g_autoptr(GSubprocess) process =
		g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, error, program,
				 *program == 'c' ? "--" : "-dc", path, NULL);
	GBytes *bytes = NULL;

	if (!process || !g_subprocess_communicate(process, NULL, NULL, &bytes, NULL, error))
		return NULL;
	if (!g_subprocess_get_successful(process) || g_bytes_get_size(bytes) > TAR_BYTES_MAX) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s: %s could not unpack it", path, program);
		g_clear_pointer(&bytes, g_bytes_unref);
	}
	return bytes;
}

struct workload *workload_read_utilization(const char *path, guint n_vms, GError **error)
{
	g_autoptr(workload_auto) workload = workload_new();
	g_autoptr(GArray) files = g_array_new(FALSE, FALSE, sizeof(struct file));
	g_autoptr(GBytes) tar = NULL;

	g_array_set_clear_func(files, file_clear);
	if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
		if (!directory_read(files, path, 0, error))
			return NULL;
	} else {
		tar = unpack(path, error);
		if (!tar || !tar_read(files, tar, path, error))
			return NULL;
	}
	g_array_sort(files, by_name);
	workload->sample_ns = SAMPLE_NS;
	workload->horizon_ns = 0;
	for (guint i = 0; i < files->len && (!n_vms || i < n_vms); i++) {
		const struct file *file = &g_array_index(files, struct file, i);
		gsize bytes;
		const char *text = g_bytes_get_data(file->bytes, &bytes);

		if (!workload_add_utilization(workload, file->name, text, bytes, error))
			return NULL;
	}
	workload->topology.n_cpus = CLAMP(workload->tasks->len / 16, 1, WORKLOAD_CPUS_MAX);
	workload->topology.switch_ns = 1500;
	workload->topology.migrate_ns = 5000;
	workload->topology.migrate_llc_ns = 20000;
	return g_steal_pointer(&workload);
}

static struct workload *task_set_open(const char *text, const char *name, guint line, GError **error)
{
	g_autoptr(GArray) sets = task_sets_read(text, name, error);
	const struct task_set *set = NULL;

	for (guint i = 0; sets && i < sets->len && !set; i++)
		if (!line || g_array_index(sets, struct task_set, i).line == line)
			set = &g_array_index(sets, struct task_set, i);
	if (sets && !set)
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s:%u: there is no task set on that line", name,
			    line);
	return set ? workload_from_task_set(set) : NULL;
}

static struct workload *csv_open(const char *path, const char *name, const struct workload_part *part, GError **error)
{
	g_autoptr(GBytes) content = unpack(path, error);
	g_autofree char *text = NULL;
	const char *data;
	gsize bytes;

	if (!content)
		return NULL;
	data = g_bytes_get_data(content, &bytes);
	if (bytes > strlen(WORKLOAD_RECORDED) && memcmp(data, WORKLOAD_RECORDED, strlen(WORKLOAD_RECORDED)) == 0)
		return workload_read_recorded(data, bytes, name, part, error);
	text = g_strndup(data, bytes);
	return task_set_open(text, name, part->line, error);
}

struct workload *workload_open(const char *path, const struct workload_part *part, GError **error)
{
	g_autoptr(workload_auto) workload = NULL;
	g_autofree char *name = g_path_get_basename(path), *text = NULL;
	gsize bytes = 0;

	if (g_str_has_prefix(path, "synthetic:")) {
		workload = workload_generate(path + strlen("synthetic:"), error);
	} else if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_NOT_FOUND,
			    "%s: no such file; name a workload (.json, .csv, a directory or tar of utilizations) or "
			    "synthetic:mixed",
			    path);
	} else if (g_file_test(path, G_FILE_TEST_IS_DIR) || strstr(name, ".tar") || g_str_has_suffix(name, ".tgz")) {
		workload = workload_read_utilization(path, part->n_vms, error);
	} else if (strstr(name, ".csv")) {
		workload = csv_open(path, name, part, error);
	} else if (g_file_get_contents(path, &text, &bytes, error)) {
		workload = workload_read_json(text, bytes, name, error);
	}
	if (!workload || !workload_check(workload, error))
		return NULL;
	return g_steal_pointer(&workload);
}
