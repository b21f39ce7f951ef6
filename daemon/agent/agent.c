#include "daemon/agent/agent.h"

#include <string.h>

#include "daemon/agent/cpu_control.h"
#include "daemon/agent/host.h"
#include "daemon/agent/images.h"
#include "daemon/agent/streams.h"
#include "daemon/agent/topology.h"
#include "daemon/agent/vms.h"
#include "daemon/engine/sim.h"
#include "daemon/model/error.h"

#define ENGINES_MAX 8
#define STARTS_MIN  4 /* real starts at a time, and two more for each processor */

/* A self-test under way: in a worker, which has `found` to itself until it answers. */
struct agent_engine {
	struct life_engine *life;
	struct host found;
};

struct agent {
	const struct dirs *dirs;
	void (*ended)(const GError *error, gpointer user_data);
	gpointer user_data;
	gboolean has_ended;
	struct life_engine engines[ENGINES_MAX + 1];
	struct agent_engine tested[ENGINES_MAX];
	guint probing; /* self-tests under way */
	gboolean recovered;
	struct host host;
	char *boot_id;
	struct store *store;
	struct writer *writer;
	struct images *images;
	struct vms *vms;
	struct cpu_control *cpus;
	struct streams *streams;
	struct host_record *record;
};

static void end(struct agent *agent, const GError *error)
{
	if (agent->has_ended)
		return;
	agent->has_ended = TRUE;
	agent->ended(error, agent->user_data);
}

/* ---- The host's record: once the engines were tested and the earlier record was read ---- */

static void publish_host(struct agent *agent)
{
	if (agent->recovered && !agent->probing)
		host_record_publish(agent->record, &agent->host);
}

static void probe_in_worker(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
	struct agent_engine *tested = data;
	struct engine *engine = tested->life->engine;
	GError *error = NULL;

	if (engine->ops->probe(engine, &tested->found, &error))
		g_task_return_boolean(task, TRUE);
	else
		g_task_return_error(task, error);
}

/* In the order of preference, whichever self-test ended first. */
static void merge_found(struct agent *agent)
{
	for (guint i = 0; agent->engines[i].engine; i++) {
		struct life_engine *engine = &agent->engines[i];

		if (engine->unusable) {
			g_autofree char *limit =
				g_strdup_printf("engine %s: %s", engine->engine->ops->name, engine->unusable);

			host_add_limit(&agent->host, limit);
		}
		host_merge(&agent->host, &agent->tested[i].found);
	}
}

static void probe_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct agent *agent = user_data;
	struct agent_engine *tested = g_task_get_task_data(G_TASK(result));
	g_autoptr(GError) error = NULL;

	tested->life->probed = TRUE;
	if (!g_task_propagate_boolean(G_TASK(result), &error)) {
		g_message("engine %s can't be used here: %s", tested->life->engine->ops->name, error->message);
		tested->life->unusable = g_strdup(error->message);
	}
	if (--agent->probing == 0)
		merge_found(agent);
	if (agent->vms)
		vms_engines_changed(agent->vms);
	publish_host(agent);
}

static void begin_probe(struct agent *agent, guint i)
{
	struct agent_engine *tested = &agent->tested[i];
	g_autoptr(GTask) task = g_task_new(NULL, NULL, probe_done, agent);

	tested->life = &agent->engines[i];
	noun_init(&host_noun, &tested->found);
	g_task_set_task_data(task, tested, NULL);
	agent->probing++;
	g_task_run_in_thread(task, probe_in_worker);
}

static void make_engines(struct agent *agent)
{
	for (guint i = 0; i < ENGINES_MAX && engines[i]; i++) {
		struct life_engine *engine = &agent->engines[i];

		engine->engine = engines[i]->engine_new(agent->dirs);
		engine->needs_image = engines[i] != &engine_sim;
		engine->starting_max = engine->needs_image ? (guint)(STARTS_MIN + 2 * agent->host.cpus) : 0;
		begin_probe(agent, i);
	}
}

static void free_engines(struct agent *agent)
{
	/* A worker uses its engine until it answers; the self-test bounds its own time. */
	while (agent->probing)
		g_main_context_iteration(NULL, TRUE);
	for (guint i = 0; agent->engines[i].engine; i++) {
		agent->engines[i].engine->ops->engine_free(agent->engines[i].engine);
		g_free(agent->engines[i].unusable);
		noun_clear(&host_noun, &agent->tested[i].found);
	}
}

/* ---- What the parts report ---- */

static void store_lost(gpointer user_data)
{
	end(user_data, NULL);
}

static void requests_closed(gpointer user_data)
{
	end(user_data, NULL);
}

static void vms_recovered_cb(const GError *error, gpointer user_data)
{
	struct agent *agent = user_data;

	if (error) {
		end(agent, error);
		return;
	}
	g_message("%u VMs known", vms_count(agent->vms));
	agent->recovered = TRUE;
	publish_host(agent);
}

static void vms_lost(const GError *error, gpointer user_data)
{
	end(user_data, NULL);
}

static void vms_changed(gpointer user_data)
{
	struct agent *agent = user_data;

	if (agent->cpus)
		cpu_control_changed(agent->cpus);
}

static void cpus_described(const char *const *limits, gpointer user_data)
{
	struct agent *agent = user_data;

	for (; *limits; limits++)
		host_add_limit(&agent->host, *limits);
	publish_host(agent);
}

static void image_changed(const char *name, gpointer user_data)
{
	struct agent *agent = user_data;

	if (agent->vms)
		vms_image_changed(agent->vms, name);
}

static const struct image_status *look_at_image(const char *name, gboolean want, gpointer user_data)
{
	struct agent *agent = user_data;

	return images_look(agent->images, name, want);
}

/* As the lab draws it: a cache nobody tells of is a node's. */
static struct cpu_record_host record_host(const struct host *host)
{
	guint cpus = (guint)MAX(host->cpus, 1), threads = (guint)MAX(host->threads_per_core, 1);
	guint nodes = host->nodes ? MAX(g_strv_length(host->nodes), 1) : 1;
	guint llc_cpus = topology_llc_cpus("");

	if (!llc_cpus)
		llc_cpus = MAX(cpus / nodes, 1);
	return (struct cpu_record_host) { .cpus = cpus,
					  .threads_per_core = threads,
					  .cores_per_llc = MAX(llc_cpus / threads, 1),
					  .llcs_per_node = MAX(cpus / nodes / llc_cpus, 1) };
}

/* ---- Life ---- */

struct agent *agent_new(const struct dirs *dirs, int store_fd, int request_fd,
			void (*ended)(const GError *error, gpointer user_data), gpointer user_data)
{
	struct agent *agent = g_new0(struct agent, 1);
	g_autofree char *fresh = host_name();
	g_autofree char *name = host_name_keep(dirs, fresh);
	struct vms_config config;

	agent->dirs = dirs;
	agent->ended = ended;
	agent->user_data = user_data;
	agent->boot_id = host_boot_id();
	host_inspect(&agent->host, name);
	topology_inspect(&agent->host, "", dirs->state);
	make_engines(agent);
	agent->store = store_remote_new(store_fd, store_lost, agent);
	agent->writer = writer_new(agent->store);
	agent->record = host_record_new(agent->store);
	agent->images = images_new(agent->store, agent->writer, dirs, image_changed, agent);
	config = (struct vms_config) {
		.store = agent->store,
		.writer = agent->writer,
		.dirs = dirs,
		.host = name,
		.boot_id = agent->boot_id,
		.booted_at = host_booted_at(),
		.engines = agent->engines,
		.image = look_at_image,
		.recovered = vms_recovered_cb,
		.changed = vms_changed,
		.lost = vms_lost,
		.user_data = agent,
	};
	agent->vms = vms_new(&config);
	agent->cpus = cpu_control_new(&(struct cpu_control_config) { .store = agent->store,
								     .vms = agent->vms,
								     .dirs = dirs,
								     .n_cpus = (guint)MAX(agent->host.cpus, 1),
								     .host = record_host(&agent->host),
								     .described = cpus_described,
								     .user_data = agent });
	agent->streams = streams_new(request_fd, agent->vms, agent->cpus, requests_closed, agent);
	return agent;
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	agent->has_ended = TRUE;
	streams_free(agent->streams);
	g_clear_pointer(&agent->cpus, cpu_control_free);
	g_clear_pointer(&agent->vms, vms_free);
	images_free(agent->images);
	agent->recovered = FALSE; /* self-tests that end only now publish nothing */
	free_engines(agent);
	host_record_free(agent->record);
	writer_free(agent->writer);
	store_unref(agent->store);
	noun_clear(&host_noun, &agent->host);
	g_free(agent->boot_id);
	g_free(agent);
}
