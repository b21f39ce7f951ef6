/* Private to the API: the server's state, one request, and what the handlers use to answer it. */
#pragma once

#include <libsoup/soup.h>

#include "daemon/api/api.h"
#include "daemon/api/parse.h"
#include "daemon/api/record.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"

struct request;
struct route;

struct api {
	struct api_config config;
	SoupServer *server;
	GSocket *listening;
	GSource *accept_source; /* NULL while accepting rests */
	guint accept_pause;
	guint *connections;   /* g_rc_box: sockets may outlive us for a moment */
	GHashTable *requests; /* set of struct request that have a client */
	GHashTable *waits;    /* VM or image name → GPtrArray of struct wait */
	GHashTable *touched;  /* names of `waits` that changed in this revision */
	GHashTable *held;     /* VM name → count: ephemeral leases kept alive */
	guint hold_source;
	GPtrArray *watchers; /* of struct watcher: open event streams */
	GHashTable *streams; /* set of struct stream: open WebSockets */
	gint64 revision;     /* of the last settled state */
	gint64 started_at;   /* µs */
	guint64 answered[6]; /* responses by status class */
};

/* ---- Connections ---- */

/* One connection; hangs on its remote address, which libsoup hands out with every message. */
struct peer {
	GSocket *socket;
	guint64 uid;
	gboolean allowed;
};
struct peer *peer_of(SoupServerMessage *msg);
void accept_begin(struct api *api); /* on api->listening */
void accept_end(struct api *api);

/* ---- A request. Reference counted: the connection holds one while there is a client, and each asynchronous step one. ---- */

struct request {
	guint refs;
	struct api *api; /* NULL when the client or the api is gone: then nobody wants an answer */
	struct store *store;
	SoupServerMessage *msg; /* NULL when gone */
	const struct route *route;
	char *name; /* {name} of the path, checked */
	GHashTable *query;
	GByteArray *body;
	gsize received; /* bytes of body, kept or not */
	guint64 peer_uid;
	gboolean denied;
	gboolean answered, paused;
	GSource *hangup;
	void (*gone)(struct request *request); /* called once when the client goes before the answer is complete */
	gpointer state;                        /* the handler's, freed with the request */
	GDestroyNotify state_free;
};

struct request *request_ref(struct request *request);
void request_unref(struct request *request);
/* request_started: libsoup's signal; makes a request of each message once its headers are there. */
void request_started(SoupServer *server, SoupServerMessage *msg, gpointer api);
/* request_pause(request): it is answered later. request_over: the client is gone, or has all of its answer. */
void request_pause(struct request *request);
void request_over(struct request *request);

/* Answers; nothing happens when the client is gone or has its answer. `text` is taken. */
void request_json(struct request *request, guint status, GString *text);
void request_object(struct request *request, guint status, JsonObject *object); /* taken */
void request_text(struct request *request, guint status, const char *content_type, GString *text);
/* request_fail(request, error): problem+json with the status of the error's code. */
void request_fail(struct request *request, const GError *error);
void request_fail_new(struct request *request, enum polder_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* request_problem: the same with another HTTP status than the code's own. */
void request_problem(struct request *request, guint status, const char *title, enum polder_error code,
		     const char *detail);

/* request_begin_chunks(request, content_type): answer 200 piece by piece: append to the message's response body. */
void request_begin_chunks(struct request *request, const char *content_type);
void request_chunk(struct request *request, GBytes *chunk);
void request_end_chunks(struct request *request);
/* request_cut(request): close the connection now. */
void request_cut(struct request *request);
/* request_detach(request): its connection was taken over; nothing of HTTP comes after this. */
void request_detach(struct request *request);

const struct store_kv *api_get(const struct api *api, const char *kind, const char *name); /* "/KIND/NAME", borrowed */
/* A stored record as a struct; FALSE with CORRUPT. */
gboolean api_parse(const struct noun *noun, const struct store_kv *kv, gpointer object, GError **error);

/* ---- Routes ---- */

enum route_body { BODY_NONE, BODY_OPTIONAL, BODY_REQUIRED };

struct route {
	const char *method, *path;
	void (*handle)(struct request *request);
	const char *const *query; /* allowed parameters, NULL-terminated; NULL: none */
	enum route_body body;
	const char *request_schema;  /* name under components/schemas, or NULL */
	const char *response_schema; /* … ; NULL: `content_type` says what it is */
	const char *content_type;    /* NULL: application/json */
	guint status;                /* of success */
	const char *operation, *doc;
};
extern const struct route routes[];
extern const gsize n_routes;

void vms_list(struct request *request);
void vms_create(struct request *request);
void vms_create_batch(struct request *request);
void vms_put(struct request *request);
void vms_get(struct request *request);
void vms_patch(struct request *request);
void vms_delete(struct request *request);
void vms_start(struct request *request);
void vms_stop(struct request *request);
void vms_pause(struct request *request);
void vms_resume(struct request *request);
void streams_exec(struct request *request);
void streams_console(struct request *request);
void logs_get(struct request *request);
void hosts_list(struct request *request);
void hosts_get(struct request *request);
void hosts_create(struct request *request);
void hosts_patch(struct request *request);
void hosts_delete(struct request *request);
void hosts_drain(struct request *request);
void hosts_uncordon(struct request *request);
void capacity_get(struct request *request);
void rebalance_get(struct request *request);
void cpu_get(struct request *request);
void vms_explain(struct request *request);
void pools_list(struct request *request);
void pools_create(struct request *request);
void pools_get(struct request *request);
void pools_patch(struct request *request);
void pools_delete(struct request *request);
void strategies_get(struct request *request);
void strategies_put(struct request *request);
void strategies_rollback(struct request *request);
void trace_get(struct request *request);
void images_list(struct request *request);
void images_create(struct request *request);
void images_get(struct request *request);
void images_build(struct request *request);
void images_delete(struct request *request);
void events_get(struct request *request);
void metrics_get(struct request *request);
void version_get(struct request *request);
void openapi_get(struct request *request);

/* ---- Views ---- */

/* The records a VM is made of; any may be NULL. Borrowed. */
struct vm_records {
	const struct store_kv *vm, *plan, *status;
};
struct vm_records vm_records_get(const struct api *api, const char *name);
/* view_vm(out, records): the VM as the API answers it; records->vm is not NULL. */
void view_vm(GString *out, const struct vm_records *records);
/* The merged state of a VM (enum vm_state) and its reason (caller frees). */
int view_state(const struct vm_records *records, char **reason);
const char *view_state_name(int state);
void view_image(GString *out, const struct store_kv *image, const struct store_kv *status);
int view_image_state(const struct store_kv *status);

/* ---- Waits: a paused request that a change completes ---- */

struct wait;
struct wait_funcs {
	gboolean (*check)(struct request *request); /* TRUE: it has answered */
	void (*expired)(struct request *request);   /* the deadline passed: answers */
};
/* wait_begin(request, name, timeout_ms, funcs): check at once, then after every revision that changes one of the records
 * of `name`, until it is done. */
void wait_begin(struct request *request, const char *name, guint64 timeout_ms, const struct wait_funcs *funcs);
void waits_touch(struct api *api, const char *name);
void waits_settle(struct api *api);
void waits_forget(struct request *request);
void wait_list_free(gpointer list);

/* ---- Ephemeral leases ---- */

void hold_begin(struct api *api, const char *name); /* keep the VM's lease alive … */
void hold_end(struct api *api, const char *name);   /* … until as many ends as begins */

/* ---- The rest ---- */

struct watcher;
void events_changed(struct api *api, const struct store_kv *before, const struct store_kv *now, gint64 revision);
void watcher_free(gpointer watcher);
struct stream;
void streams_settled(struct api *api);
void streams_close_all(struct api *api);
/* vm_delete_now(store, name, create_revision): delete this life of /vm/NAME; nobody waits for it. */
void vm_delete_now(struct store *store, const char *name, gint64 create_revision);
