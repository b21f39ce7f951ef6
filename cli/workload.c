#include "cli/workload.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/progress.h"
#include "lab/allocation.h"
#include "lab/error.h"
#include "lab/packing.h"
#include "lab/scheduling/family.h"
#include "lab/plot.h"

#define SEEDS_MAX   1000
#define THREADS_MAX 256
#define QUIET_MS    1000

const struct lab_family *const families[] = { &lab_allocation_family, &lab_scheduling_family, NULL };
const char *const family_names[] = { "allocation", "scheduling", NULL };

const struct lab_family *family_find(const char *name, GError **error)
{
	g_autofree char *names = g_strjoinv(", ", (char **)family_names);

	for (guint i = 0; families[i]; i++)
		if (strcmp(families[i]->name, name) == 0)
			return families[i];
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "there is no family of strategies '%s'; there is %s", name,
		    names);
	return NULL;
}

gboolean workload_fetch(struct invocation *invocation, const struct lab_family *family, char **fetched, GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/trace/%s", family->name);
	struct client *client = client_open(invocation, error);
	g_autoptr(GInputStream) stream = client ? client_read(client, path, error) : NULL;
	g_autoptr(GOutputStream) out = NULL;
	gboolean ok = FALSE;
	int fd;

	if (stream) {
		fd = g_file_open_tmp("polder-trace-XXXXXX.csv", fetched, error);
		if (fd >= 0) {
			g_autoptr(GFile) file = g_file_new_for_path(*fetched);

			g_close(fd, NULL);
			out = G_OUTPUT_STREAM(g_file_replace(file, NULL, FALSE, G_FILE_CREATE_NONE, NULL, error));
		}
		ok = out &&
		     g_output_stream_splice(out, stream,
					    G_OUTPUT_STREAM_SPLICE_CLOSE_SOURCE | G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET,
					    NULL, error) >= 0;
	}
	client_close(client);
	return ok;
}

/* The family's options: what makes seeds differ, ours by name, those given as they are, and last what --apply asks for. Caller
 * frees with g_strfreev(). */
static GStrv load_options(struct invocation *invocation, const struct lab_family *family)
{
	g_autoptr(GStrvBuilder) options = g_strv_builder_new();
	g_autofree const char **given = invocation_options(invocation, "option");
	const char *hosts = invocation_option(invocation, "hosts");
	gboolean single = g_strcmp0(invocation_option(invocation, "seeds"), "1") == 0;

	/* One run has nothing to be compared with: it sees the whole trace. */
	for (guint i = 0; !single && family->resample && family->resample[i]; i++)
		g_strv_builder_add(options, family->resample[i]);
	if (hosts && family != &lab_packing_family) {
		g_autofree char *option = g_strconcat("hosts=", hosts, NULL);

		g_strv_builder_add(options, option);
	}
	for (guint i = 0; given[i]; i++)
		g_strv_builder_add(options, given[i]);
	for (guint i = 0; invocation_flag(invocation, "apply") && family->live && family->live[i]; i++)
		g_strv_builder_add(options, family->live[i]);
	return g_strv_builder_end(options);
}

gboolean workload_load(struct workload_loaded *workload, struct invocation *invocation, const struct lab_family *family,
		       GError **error)
{
	const char *trace = invocation_option(invocation, "trace");
	const char *hosts = invocation_option(invocation, "hosts");
	g_auto(GStrv) options = NULL;
	g_autofree char *name = NULL;

	memset(workload, 0, sizeof(*workload));
	workload->family = family;
	workload->notes = g_ptr_array_new_with_free_func(g_free);
	if (!trace) {
		usage_error(error, invocation, "--trace is missing: a file, or live for what this daemon recorded");
		return FALSE;
	}
	/* Instances of packing are allocation's, asked all at once. */
	if (family == &lab_allocation_family && (g_str_has_suffix(trace, ".vbp") || g_str_has_suffix(trace, ".vbp.gz")))
		workload->family = &lab_packing_family;
	if (strcmp(trace, "live") == 0 && !workload_fetch(invocation, family, &workload->fetched, error))
		return FALSE;
	options = load_options(invocation, workload->family);
	name = g_path_get_basename(trace);
	workload->source = hosts ? g_strdup_printf("%s on %s", name, hosts) : g_strdup(name);
	workload->data = workload->family->load(workload->fetched ? workload->fetched : trace,
						(const char *const *)options, workload->notes, error);
	return workload->data != NULL;
}

void workload_clear(struct workload_loaded *workload)
{
	if (workload->data)
		workload->family->free(workload->data);
	g_clear_pointer(&workload->notes, g_ptr_array_unref);
	if (workload->fetched)
		g_unlink(workload->fetched);
	g_free(workload->fetched);
	g_free(workload->source);
	memset(workload, 0, sizeof(*workload));
}

struct lab_ranking *workload_ranking(const struct workload_loaded *workload, enum lab_part part)
{
	struct lab_ranking *ranking = lab_ranking_new(workload->family, workload->data, part);

	ranking->source = g_strdup(workload->source);
	for (guint i = 0; i < workload->notes->len; i++)
		g_ptr_array_add(ranking->notes, g_strdup(workload->notes->pdata[i]));
	return ranking;
}

gboolean workload_drawing_check(struct invocation *invocation, const char *option, GError **error)
{
	const char *path = invocation_option(invocation, option);
	g_autofree char *dir = path ? g_path_get_dirname(path) : NULL;

	if (!path || (g_file_test(dir, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_DIR)))
		return TRUE;
	usage_error(error, invocation, "--%s can't write %s: %s", option, path,
		    g_file_test(path, G_FILE_TEST_IS_DIR) ? "it is a directory" : "there is no such directory");
	return FALSE;
}

gboolean workload_drawing_write(struct invocation *invocation, const char *option, const char *svg, GError **error)
{
	const char *path = invocation_option(invocation, option);
	g_autoptr(GError) cause = NULL;

	if (g_file_set_contents(path, svg, -1, &cause))
		return TRUE;
	g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "--%s can't write %s:%s", option, path,
		    strrchr(cause->message, ':') ? strrchr(cause->message, ':') + 1 : cause->message);
	return FALSE;
}

gboolean workload_plot(struct invocation *invocation, const struct lab_ranking *ranking, GError **error)
{
	g_autofree char *svg = invocation_option(invocation, "plot") ? lab_plot_svg(ranking) : NULL;

	return !svg || workload_drawing_write(invocation, "plot", svg, error);
}

gboolean workload_rank(struct invocation *invocation, struct lab_ranking *ranking, const char *doing, GError **error)
{
	g_autofree const char **require = invocation_options(invocation, "require");
	g_autoptr(GArray) floors = NULL;
	struct lab_run run = { .progress = progress_count };
	struct score_weights weights;
	gboolean normalized = FALSE, ok;
	guint64 seed = 1, seeds = 1;

	if (!lab_weights_parse(invocation_option(invocation, "weights"), &weights, &normalized, error) ||
	    !invocation_number(invocation, "seed", (guint64[]) { 0, G_MAXINT64 }, &seed, error) ||
	    !invocation_number(invocation, "seeds", (guint64[]) { 1, SEEDS_MAX }, &seeds, error))
		return FALSE;
	if (require[0] && !(floors = lab_floors_parse(require, error)))
		return FALSE;
	run.seed = seed;
	run.n_seeds = (guint)seeds;
	run.user_data = progress_new(STDERR_FILENO, doing, QUIET_MS);
	ok = lab_ranking_run(ranking, &run, error);
	progress_free(run.user_data);
	return ok && lab_ranking_select(ranking, &weights, normalized, floors, error);
}

gboolean workload_run(struct invocation *invocation, guint seeds, struct lab_run *run, GError **error)
{
	guint64 first = 1, count = seeds, threads = 0;

	memset(run, 0, sizeof(*run));
	if (!invocation_number(invocation, "seed", (guint64[]) { 0, G_MAXUINT32 }, &first, error) ||
	    !invocation_number(invocation, "seeds", (guint64[]) { 1, SEEDS_MAX }, &count, error) ||
	    !invocation_number(invocation, "threads", (guint64[]) { 1, THREADS_MAX }, &threads, error))
		return FALSE;
	run->seed = first;
	run->n_seeds = (guint)count;
	run->n_threads = (guint)threads;
	run->progress = progress_count;
	run->user_data = progress_new(STDERR_FILENO, "Evaluating", QUIET_MS);
	return TRUE;
}

void workload_run_end(struct lab_run *run)
{
	progress_free(g_steal_pointer(&run->user_data));
}
