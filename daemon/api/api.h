/* The HTTP API on a unix socket: what people and programs ask of Polder, turned into records in the store; and what the
 * store holds, told back. The contract is openapi.yaml, made from the route table (routes.c) and the noun tables.
 *
 * The owner of the cache feeds it as it feeds control: api_changed() for each change, api_settled() after a revision. */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include "daemon/agent/link.h"
#include "daemon/control/control.h"
#include "daemon/history/history.h"
#include "daemon/model/dirs.h"
#include "daemon/store/cache.h"
#include "daemon/store/store.h"

struct api;

/* All borrowed; they outlive the api. */
struct api_config {
	struct store *store;
	const struct store_cache *cache; /* every key ("/"); ready */
	struct control *control;         /* answers questions about decisions */
	struct history *history;         /* NULL: nothing was recorded */
	struct agent_link *link;         /* NULL: streams are refused with UNAVAILABLE */
	const struct dirs *dirs;
	guint64 agent_pid;
	guint64 owner_uid; /* who started the daemon: allowed besides root */
	guint64 group_gid; /* whose members are allowed; (guint64)-1: none */
	guint lease_ms;    /* of throwaway VMs; 0: LIMIT_EPHEMERAL_LEASE_MS */
};

/* api_agent_reported(cache, since): since this revision the agent has written what host this is, and of every image what its
 * cache holds. Before that the store tells of another life, or nothing: clients would build an image that is there. */
gboolean api_agent_reported(const struct store_cache *cache, gint64 since);

/* api_new(config, listening): serve on `listening` (referenced), a non-blocking unix stream socket that listens already. */
struct api *api_new(const struct api_config *config, GSocket *listening);
/* Ends every connection. Requests under way get no answer. NULL is fine. */
void api_free(struct api *api);

void api_changed(struct api *api, const struct store_kv *before, const struct store_kv *now, gint64 revision);
void api_settled(struct api *api, gint64 revision);

/* api_connections(api): clients connected now, streams included. */
guint api_connections(const struct api *api);

/* api_openapi_yaml(): the contract as YAML text, as committed in openapi.yaml. Caller frees. */
char *api_openapi_yaml(void);
/* The same as a tree, for the tests that hold answers to it. Caller unrefs. */
JsonNode *api_openapi(void);

/* api_route(i, &method, &path): the i-th row of the route table; FALSE past its end. */
gboolean api_route(gsize i, const char **method, const char **path);
