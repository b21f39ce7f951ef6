/* A naive world: a list of hosts and a list of VMs, everything counted anew at each question. What the real one says is
 * held against it. */
#pragma once

#include <glib.h>

#include "core/allocation/world.h"
#include "core/strategy/random.h"

struct model_vm {
	gboolean is_there;
	struct allocation_request request;
	struct allocation_fit fit;
};

struct model {
	GArray *hosts; /* struct model_host */
	GArray *vms;   /* struct model_vm, by the world's number */
	guint headroom;
};

struct model_host {
	gboolean is_there;
	struct allocation_host host;
};

struct model *model_new(void);
void model_free(struct model *model);

/* What a VM is charged on the i-th of k nodes. */
guint64 model_share(const struct allocation_request *request, const struct allocation_host *host, guint d, guint k,
		    guint i);
/* Whether all hard constraints hold with the request on these nodes of that host. */
gboolean model_allows(const struct model *model, const struct allocation_request *request, guint host, guint nodes);
guint32 model_penalty(const struct model *model, const struct allocation_request *request, guint host);

/* Random hosts and requests: small enough that all constraints meet often. */
struct allocation_host model_random_host(struct strategy_random *random);
struct allocation_request model_random_request(struct strategy_random *random);
