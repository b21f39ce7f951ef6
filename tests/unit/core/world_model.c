#include "tests/unit/core/world_model.h"

#include <string.h>

struct model *model_new(void)
{
	struct model *model = g_new0(struct model, 1);

	model->hosts = g_array_new(FALSE, TRUE, sizeof(struct model_host));
	model->vms = g_array_new(FALSE, TRUE, sizeof(struct model_vm));
	return model;
}

void model_free(struct model *model)
{
	g_array_unref(model->hosts);
	g_array_unref(model->vms);
	g_free(model);
}

static const struct model_host *host_at(const struct model *model, guint host)
{
	return &g_array_index(model->hosts, struct model_host, host);
}

static const struct model_vm *vm_at(const struct model *model, guint vm)
{
	return &g_array_index(model->vms, struct model_vm, vm);
}

/* ---- charges ---- */

guint64 model_share(const struct allocation_request *request, const struct allocation_host *host, guint d, guint k,
		    guint i)
{
	guint64 threads = MAX(host->threads_per_core, 1);
	guint64 overcommit = host->cpu_overcommit_percent != 0 ? host->cpu_overcommit_percent : 100;
	guint64 piece = d == ALLOCATION_CPU ? 1000 : d == ALLOCATION_HUGE_2M ? 2 : d == ALLOCATION_HUGE_1G ? 1024 : 1;
	guint64 pieces;

	if (d == ALLOCATION_CPU && request->exclusive_cores) {
		piece = threads * 1000 * overcommit / 100;
		pieces = (request->amount[d] + threads * 1000 - 1) / (threads * 1000);
	} else {
		if (request->amount[d] % piece != 0)
			piece = 1;
		pieces = request->amount[d] / piece;
	}
	return (pieces / k + (i < pieces % k ? 1 : 0)) * piece;
}

/* Of dimension d on `node` of `host`, or with node < 0 on the host, for dimensions of hosts too. */
static guint64 vm_takes(const struct model *model, const struct allocation_request *request, struct allocation_fit fit,
			guint d, gint node)
{
	guint k = 0;
	guint i = 0;
	guint64 sum = 0;

	if (d >= ALLOCATION_NODE_DIMENSIONS)
		return request->amount[d];
	for (gint n = 0; n < ALLOCATION_NODES_MAX; n++) {
		k += fit.nodes >> n & 1;
	}
	for (gint n = 0; n < ALLOCATION_NODES_MAX; n++)
		if (fit.nodes >> n & 1) {
			guint64 share = model_share(request, &host_at(model, fit.host)->host, d, k, i++);

			if (node < 0 || node == n)
				sum += share;
		}
	return sum;
}

static guint64 host_used(const struct model *model, guint host, guint d, gint node)
{
	guint64 sum = 0;

	for (guint i = 0; i < model->vms->len; i++)
		if (vm_at(model, i)->is_there && vm_at(model, i)->fit.host == host)
			sum += vm_takes(model, &vm_at(model, i)->request, vm_at(model, i)->fit, d, node);
	return sum;
}

static guint64 host_capacity(const struct allocation_host *host, guint d, gint node)
{
	guint64 sum = 0;

	if (d >= ALLOCATION_NODE_DIMENSIONS)
		return host->capacity[d - ALLOCATION_NODE_DIMENSIONS];
	for (gint n = 0; n < (gint)host->n_nodes; n++)
		if (node < 0 || node == n)
			sum += host->node_capacity[n][d];
	return sum;
}

static gboolean has_room(const struct model *model, const struct allocation_request *request, guint host, guint nodes)
{
	struct allocation_fit fit = { host, (uint8_t)nodes };

	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++)
		for (gint node = d < ALLOCATION_NODE_DIMENSIONS ? 0 : -1;
		     node < (d < ALLOCATION_NODE_DIMENSIONS ? ALLOCATION_NODES_MAX : 0); node++) {
			guint64 more = vm_takes(model, request, fit, d, node);

			if (more > 0 && host_used(model, host, d, node) + more >
						host_capacity(&host_at(model, host)->host, d, node))
				return FALSE;
		}
	return TRUE;
}

/* ---- between VMs ---- */

static gboolean is_member(const struct allocation_request *request, guint32 group)
{
	for (guint i = 0; i < ALLOCATION_MEMBER_MAX; i++)
		if (request->member_of[i] == group)
			return TRUE;
	return FALSE;
}

static gboolean same_domain(const struct model *model, guint a, guint b, guint level)
{
	const struct allocation_host *x = &host_at(model, a)->host;
	const struct allocation_host *y = &host_at(model, b)->host;

	if (a == b)
		return TRUE;
	return level == ALLOCATION_RACK   ? x->rack != 0 && x->rack == y->rack
	       : level == ALLOCATION_ZONE ? x->zone != 0 && x->zone == y->zone
					  : FALSE;
}

static guint members(const struct model *model, guint32 group, guint host, guint level)
{
	guint n = 0;

	for (guint i = 0; i < model->vms->len; i++)
		n += vm_at(model, i)->is_there && is_member(&vm_at(model, i)->request, group) &&
		     same_domain(model, vm_at(model, i)->fit.host, host, level);
	return n;
}

static gboolean term_holds(const struct model *model, const struct allocation_request *request,
			   const struct allocation_term *term, guint host)
{
	guint total = 0;

	if (term->anti)
		return members(model, term->group, host, term->level) == 0;
	for (guint i = 0; i < model->vms->len; i++)
		total += vm_at(model, i)->is_there && is_member(&vm_at(model, i)->request, term->group);
	return (total == 0 && is_member(request, term->group)) || members(model, term->group, host, term->level) > 0;
}

static gboolean could_use(const struct allocation_request *request, const struct allocation_host *host)
{
	return (request->labels_required & ~host->labels) == 0 && (request->labels_forbidden & host->labels) == 0 &&
	       (request->engine == 0 || (request->engine & host->engines) != 0);
}

static gboolean spread_holds(const struct model *model, const struct allocation_request *request,
			     const struct allocation_spread *spread, guint host)
{
	guint after = members(model, spread->group, host, spread->level) + is_member(request, spread->group);

	for (guint other = 0; other < model->hosts->len; other++) {
		const struct model_host *at = host_at(model, other);

		if (at->is_there && could_use(request, &at->host) &&
		    after > members(model, spread->group, other, spread->level) + MAX(spread->max_skew, 1))
			return FALSE;
	}
	return TRUE;
}

static gboolean is_avoided(const struct model *model, const struct allocation_request *request, guint host)
{
	for (guint i = 0; i < model->vms->len; i++) {
		const struct model_vm *vm = vm_at(model, i);

		for (guint t = 0; vm->is_there && t < ALLOCATION_TERMS_MAX; t++) {
			const struct allocation_term *term = &vm->request.term[t];

			if (term->group != 0 && term->anti && term->soft_weight == 0 &&
			    is_member(request, term->group) && same_domain(model, vm->fit.host, host, term->level))
				return TRUE;
		}
	}
	return FALSE;
}

/* As soon as one wants to be alone, all are of one tenant. */
static gboolean is_alone(const struct model *model, const struct allocation_request *request, guint host)
{
	gboolean wanted = request->exclusive_host;
	gboolean has_others = FALSE;

	for (guint i = 0; i < model->vms->len; i++) {
		const struct model_vm *vm = vm_at(model, i);

		if (vm->is_there && vm->fit.host == host) {
			wanted |= vm->request.exclusive_host;
			has_others |= vm->request.tenant != request->tenant;
		}
	}
	return !wanted || !has_others;
}

/* After placing: without the fullest hosts, the others have room for what those hold. */
static gboolean headroom_holds(const struct model *model, const struct allocation_request *request, guint host, guint d)
{
	struct allocation_fit fit = { host, 1 };
	guint64 more = vm_takes(model, request, fit, d, -1);
	guint n = model->hosts->len;
	g_autofree guint64 *used = g_new0(guint64, n);
	guint64 rest = 0;
	guint64 held = 0;

	if (more == 0)
		return TRUE;
	for (guint h = 0; h < n; h++) {
		const struct model_host *at = host_at(model, h);
		guint64 capacity = host_capacity(&at->host, d, -1);

		if (!at->is_there)
			continue;
		used[h] = host_used(model, h, d, -1) + (h == host ? more : 0);
		if (at->host.powered && !at->host.cordoned)
			rest += capacity - used[h];
	}
	for (guint i = 0; i < model->headroom; i++) {
		guint fullest = n;

		for (guint h = 0; h < n; h++)
			if (host_at(model, h)->is_there && used[h] != G_MAXUINT64 &&
			    (fullest == n || used[h] > used[fullest]))
				fullest = h;
		if (fullest == n)
			break;
		held += used[fullest];
		if (host_at(model, fullest)->host.powered && !host_at(model, fullest)->host.cordoned)
			rest -= host_capacity(&host_at(model, fullest)->host, d, -1) - used[fullest];
		used[fullest] = G_MAXUINT64;
	}
	return rest >= held;
}

gboolean model_allows(const struct model *model, const struct allocation_request *request, guint host, guint nodes)
{
	const struct model_host *at = host_at(model, host);

	if (!at->is_there || !at->host.powered || at->host.cordoned || !could_use(request, &at->host) ||
	    at->host.cpu_level < request->cpu_level || (at->host.taints & ~request->tolerates) != 0 ||
	    !is_alone(model, request, host) || nodes >> at->host.n_nodes != 0 ||
	    !has_room(model, request, host, nodes) || is_avoided(model, request, host))
		return FALSE;
	for (guint i = 0; i < ALLOCATION_TERMS_MAX; i++)
		if (request->term[i].group != 0 && request->term[i].soft_weight == 0 &&
		    !term_holds(model, request, &request->term[i], host))
			return FALSE;
	for (guint i = 0; i < ALLOCATION_SPREADS_MAX; i++)
		if (request->spread[i].group != 0 && request->spread[i].soft_weight == 0 &&
		    !spread_holds(model, request, &request->spread[i], host))
			return FALSE;
	for (guint d = 0; model->headroom > 0 && d < ALLOCATION_DIMENSIONS; d++)
		if (!headroom_holds(model, request, host, d))
			return FALSE;
	return TRUE;
}

guint32 model_penalty(const struct model *model, const struct allocation_request *request, guint host)
{
	guint32 penalty = 0;

	for (guint i = 0; i < ALLOCATION_TERMS_MAX; i++)
		if (request->term[i].group != 0 && !term_holds(model, request, &request->term[i], host))
			penalty += request->term[i].soft_weight;
	for (guint i = 0; i < ALLOCATION_SPREADS_MAX; i++)
		if (request->spread[i].group != 0 && !spread_holds(model, request, &request->spread[i], host))
			penalty += request->spread[i].soft_weight;
	return penalty;
}

/* ---- random ones ---- */

static guint32 below(struct strategy_random *random, guint32 n)
{
	return (guint32)strategy_random_below(random, n);
}

static gboolean one_in(struct strategy_random *random, guint32 n)
{
	return below(random, n) == 0;
}

struct allocation_host model_random_host(struct strategy_random *random)
{
	struct allocation_host host = { .n_nodes = 1 + below(random, 4), .powered = !one_in(random, 20) };

	for (guint node = 0; node < host.n_nodes; node++) {
		host.node_capacity[node][ALLOCATION_CPU] = 1000 * (4 + below(random, 3));
		host.node_capacity[node][ALLOCATION_MEMORY] = 8192;
		host.node_capacity[node][ALLOCATION_HUGE_2M] = one_in(random, 2) ? 512 : 0;
		host.node_capacity[node][ALLOCATION_HUGE_1G] = one_in(random, 2) ? 4096 : 0;
	}
	for (guint d = 0; d < ALLOCATION_HOST_DIMENSIONS; d++)
		host.capacity[d] = 100 * below(random, 4) + 50;
	host.threads_per_core = below(random, 3);
	host.cpu_overcommit_percent = one_in(random, 3) ? 150 : 0;
	host.rack = below(random, 5);
	host.zone = below(random, 3);
	host.cpu_level = 1 + below(random, 4);
	host.engines = 1 + below(random, 3);
	host.labels = below(random, 8) | 8;
	host.taints = one_in(random, 5) ? 1 + below(random, 3) : 0;
	host.cordoned = one_in(random, 12);
	return host;
}

static void random_relations(struct strategy_random *random, struct allocation_request *request)
{
	guint n = below(random, 3);

	for (guint i = 0; i < n; i++)
		request->member_of[i] = 1 + below(random, 6);
	n = one_in(random, 2) ? below(random, 3) : 0;
	for (guint i = 0; i < n; i++) {
		request->term[i].group = 1 + below(random, 6);
		request->term[i].level = (uint8_t)below(random, ALLOCATION_LEVELS);
		request->term[i].anti = !one_in(random, 3);
		request->term[i].soft_weight = one_in(random, 2) ? (uint16_t)(1 + below(random, 9)) : 0;
	}
	n = one_in(random, 2) ? below(random, 1 + ALLOCATION_SPREADS_MAX) : 0;
	for (guint i = 0; i < n; i++) {
		request->spread[i].group =
			i == 0 && request->member_of[0] != 0 ? request->member_of[0] : 1 + below(random, 6);
		request->spread[i].level = (uint8_t)below(random, ALLOCATION_LEVELS);
		request->spread[i].max_skew = (uint8_t)below(random, 3);
		request->spread[i].soft_weight = one_in(random, 2) ? (uint16_t)(1 + below(random, 9)) : 0;
	}
}

struct allocation_request model_random_request(struct strategy_random *random)
{
	struct allocation_request request;

	memset(&request, 0, sizeof(request));
	request.amount[ALLOCATION_CPU] = one_in(random, 4) ? below(random, 5000) : 1000 * below(random, 6);
	if (one_in(random, 3))
		request.amount[ALLOCATION_HUGE_1G] = 1024 * below(random, 4);
	else if (one_in(random, 3))
		request.amount[ALLOCATION_HUGE_2M] = below(random, 400);
	else
		request.amount[ALLOCATION_MEMORY] = below(random, 5000);
	for (guint d = ALLOCATION_DISK; d < ALLOCATION_DIMENSIONS; d++)
		request.amount[d] = one_in(random, 4) ? below(random, 40) : 0;
	request.engine = one_in(random, 4) ? 1 + below(random, 2) : 0;
	request.cpu_level = one_in(random, 4) ? below(random, 4) : 0;
	request.tenant = below(random, 3);
	request.labels_required = one_in(random, 5) ? 1 + below(random, 3) : 0;
	request.labels_forbidden = one_in(random, 5) ? 1 + below(random, 3) : 0;
	request.tolerates = one_in(random, 2) ? below(random, 4) : 0;
	request.numa = (uint8_t)below(random, 3);
	request.numa_nodes = (uint8_t)below(random, 5);
	request.exclusive_host = one_in(random, 15);
	request.exclusive_cores = one_in(random, 6);
	request.priority = (int32_t)below(random, 3);
	random_relations(random, &request);
	return request;
}
