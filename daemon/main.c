/* polderd: the API, control and the store. Parses everything that comes from outside and never runs as root. */
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/agent/link.h"
#include "daemon/api/api.h"
#include "daemon/control/control.h"
#include "daemon/history/history.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"
#include "daemon/start/start.h"
#include "daemon/store/cache.h"
#include "daemon/store/store.h"

#define IDLE_CHECK_MS  500u
#define REPORT_WAIT_MS 5000u /* for the agent's first report */

struct options {
	char *root, *socket, *agent;
	gboolean idle_exit, print_openapi, version;
};

struct daemon {
	struct options options;
	struct dirs dirs;
	struct identity identity;
	struct agent_process agent;
	int lock_fd;
	GSocket *listening;
	GMainLoop *loop;
	struct store *store;
	struct store_server *server; /* the agent's way into the store */
	struct agent_link *link;     /* our way to the agent's streams */
	struct store_cache *cache;
	struct control *control;
	struct history *history; /* NULL: it can't be kept */
	struct api *api;         /* NULL until the agent has reported */
	gint64 served_since;     /* the store's revision before the agent's first write; 0: not known yet */
	guint report_source; /* runs out when we have waited long enough for its report; 0: the cache is not ready */
	gint64 busy_at;      /* monotonic µs: last seen with a VM or a client */
	int exit_status;
};

static gboolean parse_options(int argc, char **argv, struct options *options, GError **error)
{
	GOptionEntry entries[] = {
		{ "root", 0, 0, G_OPTION_ARG_FILENAME, &options->root, "Keep everything under DIR", "DIR" },
		{ "socket", 0, 0, G_OPTION_ARG_FILENAME, &options->socket, "Serve the API on this unix socket",
		  "PATH" },
		{ "agent", 0, 0, G_OPTION_ARG_FILENAME, &options->agent, "The polder-agent to run", "PATH" },
		{ "idle-exit", 0, 0, G_OPTION_ARG_NONE, &options->idle_exit, "End when no VM and no client is left",
		  NULL },
		{ "print-openapi", 0, 0, G_OPTION_ARG_NONE, &options->print_openapi, "Print the API's contract", NULL },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL },
		G_OPTION_ENTRY_NULL,
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- Polder's daemon; `polder daemon` runs it too");

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, error))
		return FALSE;
	if (argc > 1) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "takes no arguments: see polderd --help");
		return FALSE;
	}
	return TRUE;
}

static void options_clear(struct options *options)
{
	g_free(options->root);
	g_free(options->socket);
	g_free(options->agent);
}

static void quit(struct daemon *daemon, int exit_status)
{
	daemon->exit_status = MAX(daemon->exit_status, exit_status);
	g_main_loop_quit(daemon->loop);
}

/* ---- While root ---- */

static gboolean start(struct daemon *daemon, GError **error)
{
	g_autofree char *agent = daemon->options.agent ? g_strdup(daemon->options.agent) : dirs_tool("polder-agent");

	identity_find(&daemon->identity);
	if (!start_dirs(&daemon->dirs, &daemon->identity, error))
		return FALSE;
	daemon->lock_fd = start_lock(&daemon->dirs, START_WAIT_MS, error);
	if (daemon->lock_fd < 0 || !start_await_agent(&daemon->dirs, START_WAIT_MS, error) ||
	    !start_agent(agent, daemon->options.root, daemon->dirs.socket, &daemon->agent, error))
		return FALSE;
	daemon->listening = start_bind(&daemon->dirs, &daemon->identity, error);
	return daemon->listening && start_drop(&daemon->identity, error) && start_check_store(&daemon->dirs, error);
}

/* ---- The store and what stands in it from the start ---- */

static void on_agent_lost(gpointer user_data)
{
	struct daemon *daemon = user_data;

	g_warning("the agent is gone; ending too, VMs run on: start polderd again");
	quit(daemon, 1);
}

/* Written anew at each start, so that it is always there; unchanged it stays as it is. */
static void put_if_absent(struct daemon *daemon, const char *key, const struct noun *noun, gconstpointer object,
			  GAsyncReadyCallback done)
{
	struct store_txn *txn = store_txn_new();
	char *text = noun_to_json(noun, object);
	g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));

	store_txn_compare(txn, key, STORE_TARGET_CREATE, STORE_EQUAL, 0);
	store_txn_put(txn, STORE_THEN, key, value, 0);
	store_txn_async(daemon->store, txn, NULL, done, daemon);
}

static void await_report(struct daemon *daemon);

/* Everything is committed in the order in which it was asked for: whatever the agent writes comes after this. */
static void defaults_done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct daemon *daemon = user_data;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result = store_txn_finish(daemon->store, async, &error);

	if (!result) {
		g_warning("the built-in image and pool can't be written: %s", error->message);
		return;
	}
	daemon->served_since = result->revision;
	store_txn_result_free(result);
	await_report(daemon);
}

static void put_defaults(struct daemon *daemon)
{
	struct pool pool;
	struct image tiny;

	noun_init(&pool_noun, &pool);
	g_free(pool.name);
	pool.name = g_strdup("default");
	g_free(pool.description);
	pool.description = g_strdup("All hosts.");
	put_if_absent(daemon, "/pool/default", &pool_noun, &pool, NULL);
	noun_clear(&pool_noun, &pool);

	noun_init(&image_noun, &tiny);
	g_free(tiny.name);
	tiny.name = g_strdup("tiny");
	tiny.source = IMAGE_SOURCE_BUILTIN;
	tiny.created_at = g_get_real_time();
	put_if_absent(daemon, "/image/tiny", &image_noun, &tiny, defaults_done);
	noun_clear(&image_noun, &tiny);
}

/* VMs are placed without it, too. */
static void open_history(struct daemon *daemon)
{
	g_autofree char *dir = g_build_filename(daemon->dirs.state, "store", NULL);
	g_autoptr(GError) error = NULL;

	daemon->history = history_open(dir, 0, &error);
	if (!daemon->history)
		g_warning("what is placed is not recorded: %s", error->message);
}

static gboolean open_store(struct daemon *daemon, GError **error)
{
	g_autofree char *path = g_build_filename(daemon->dirs.state, "store", "store.db", NULL);

	daemon->store = store_sqlite_open(path, NULL, error);
	if (!daemon->store)
		return FALSE;
	put_defaults(daemon);
	open_history(daemon);
	daemon->server = store_serve(daemon->store, daemon->agent.store_fd, on_agent_lost, daemon);
	daemon->link = agent_link_new(daemon->agent.request_fd, on_agent_lost, daemon);
	return TRUE;
}

/* ---- The cache feeds control and the API ---- */

/* From now on clients that have connected are answered. */
static void serve_api(struct daemon *daemon)
{
	struct api_config config = { .store = daemon->store,
				     .cache = daemon->cache,
				     .control = daemon->control,
				     .history = daemon->history,
				     .link = daemon->link,
				     .dirs = &daemon->dirs,
				     .agent_pid = (guint64)daemon->agent.pid,
				     .owner_uid = daemon->identity.started_by,
				     .group_gid = daemon->identity.drop ? daemon->identity.gid : (guint64)-1 };

	g_clear_handle_id(&daemon->report_source, g_source_remove);
	daemon->api = api_new(&config, daemon->listening);
	g_message("serving %s", daemon->dirs.socket);
	start_notify("READY=1");
}

/* The first answers are to be true: see api_agent_reported(). */
static void await_report(struct daemon *daemon)
{
	if (!daemon->api && daemon->report_source && daemon->served_since &&
	    api_agent_reported(daemon->cache, daemon->served_since))
		serve_api(daemon);
}

static gboolean on_report_late(gpointer user_data)
{
	struct daemon *daemon = user_data;

	g_warning("the agent has not told of its host and images within %u s: serving without", REPORT_WAIT_MS / 1000);
	daemon->report_source = 0;
	serve_api(daemon);
	return G_SOURCE_REMOVE;
}

static void on_ready(gpointer user_data)
{
	struct daemon *daemon = user_data;

	control_ready(daemon->control);
	history_ready(daemon->history, daemon->cache);
	daemon->report_source = g_timeout_add(REPORT_WAIT_MS, on_report_late, daemon);
	await_report(daemon);
}

static void on_changed(const struct store_kv *before, const struct store_kv *now, gint64 revision, gpointer user_data)
{
	struct daemon *daemon = user_data;

	control_changed(daemon->control, before, now);
	history_changed(daemon->history, before, now);
	if (daemon->api)
		api_changed(daemon->api, before, now, revision);
}

static void on_settled(gint64 revision, gpointer user_data)
{
	struct daemon *daemon = user_data;

	control_settled(daemon->control);
	history_settled(daemon->history);
	if (daemon->api)
		api_settled(daemon->api, revision);
	else
		await_report(daemon);
}

static void on_lost(const GError *error, gpointer user_data)
{
	g_warning("the store is gone: %s", error->message);
	quit(user_data, 1);
}

/* ---- Ending ---- */

static gboolean on_signal(gpointer user_data)
{
	quit(user_data, 0);
	return G_SOURCE_CONTINUE;
}

static gboolean found(const struct store_kv *kv, gpointer user_data)
{
	*(gboolean *)user_data = TRUE;
	return FALSE;
}

static gboolean found_building(const struct store_kv *kv, gpointer user_data)
{
	static const char building[] = "\"building\"";
	gsize bytes;
	const char *text = g_bytes_get_data(kv->value, &bytes);

	if (g_strstr_len(text, (gssize)bytes, building))
		*(gboolean *)user_data = TRUE;
	return !*(gboolean *)user_data;
}

static gboolean is_busy(struct daemon *daemon)
{
	static const char *const kinds[] = { "/vm/", "/plan/", "/status/" };
	gboolean busy = !daemon->api || api_connections(daemon->api) > 0;

	for (gsize i = 0; i < G_N_ELEMENTS(kinds) && !busy; i++)
		store_cache_foreach(daemon->cache, kinds[i], found, &busy);
	if (!busy)
		store_cache_foreach(daemon->cache, "/image-status/", found_building, &busy);
	return busy;
}

static gboolean on_idle_check(gpointer user_data)
{
	struct daemon *daemon = user_data;
	gint64 now = g_get_monotonic_time();

	if (is_busy(daemon)) {
		daemon->busy_at = now;
	} else if (now - daemon->busy_at >= LIMIT_DAEMON_IDLE_MS * G_TIME_SPAN_MILLISECOND) {
		g_message("no VM and no client left: ending");
		quit(daemon, 0);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static void serve(struct daemon *daemon)
{
	static const struct store_cache_funcs funcs = {
		.ready = on_ready, .changed = on_changed, .settled = on_settled, .lost = on_lost
	};

	daemon->cache = store_cache_new(daemon->store, "/", &funcs, daemon);
	daemon->control = control_new(daemon->store, daemon->cache);
	g_unix_signal_add(SIGTERM, on_signal, daemon);
	g_unix_signal_add(SIGINT, on_signal, daemon);
	daemon->busy_at = g_get_monotonic_time();
	if (daemon->options.idle_exit)
		g_timeout_add(IDLE_CHECK_MS, on_idle_check, daemon);
	g_main_loop_run(daemon->loop);
	start_notify("STOPPING=1");
}

/* In reverse order of the start. The agent ends when its sockets close, and removes ours, which in system scope we may no
 * longer do; VMs run on. Nobody connects any more by then. */
static void clear(struct daemon *daemon)
{
	g_clear_handle_id(&daemon->report_source, g_source_remove);
	api_free(daemon->api);
	if (daemon->listening && !daemon->identity.drop)
		unlink(daemon->dirs.socket);
	g_clear_object(&daemon->listening);
	control_free(daemon->control);
	history_free(daemon->history);
	if (daemon->cache)
		store_cache_free(daemon->cache);
	agent_link_free(daemon->link);
	store_server_free(daemon->server);
	store_unref(daemon->store);
	g_clear_pointer(&daemon->loop, g_main_loop_unref);
	dirs_clear(&daemon->dirs);
	options_clear(&daemon->options);
}

int main(int argc, char **argv)
{
	struct daemon daemon = { .lock_fd = -1 };
	g_autoptr(GError) error = NULL;

	g_log_set_writer_func(start_log_line, NULL, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (!parse_options(argc, argv, &daemon.options, &error)) {
		g_warning("%s", error->message);
		return 2;
	}
	if (daemon.options.print_openapi || daemon.options.version) {
		g_autofree char *text =
			daemon.options.version ? g_strdup("polderd " POLDER_VERSION "\n") : api_openapi_yaml();

		fputs(text, stdout);
		return 0;
	}
	dirs_init(&daemon.dirs, daemon.options.root, daemon.options.socket);
	daemon.loop = g_main_loop_new(NULL, FALSE);
	if (start(&daemon, &error) && open_store(&daemon, &error) && start_listen(daemon.listening, &error)) {
		serve(&daemon);
	} else {
		start_end_agent(&daemon.agent);
		g_warning("%s", error->message);
		daemon.exit_status = 1;
	}
	clear(&daemon);
	return daemon.exit_status;
}
