/* Questions about decisions: where a VM would go and why, why one is where it is, how many more fit, what moves would
 * gain. Control answers; nothing changes. */
#include <string.h>

#include "daemon/api/vms.h"
#include "daemon/control/control.h"
#include "daemon/model/units.h"

#define CAPACITY_LIMIT 1000000u
#define MOVES_MAX      100000u
#define MOVES_DEFAULT  20u

static void answer(struct request *request, JsonObject *object, GError **error)
{
	if (object)
		request_object(request, 200, object);
	else
		request_fail(request, *error);
}

void vms_explain(struct request *request)
{
	g_autoptr(GError) error = NULL;

	answer(request, control_explain_vm(request->api->config.control, request->name, &error), &error);
}

/* The body is a VM as for creating one; its image and name do not matter, and it is charged what a running one would be. */
static gboolean read_vm(struct request *request, struct vm *vm, GError **error)
{
	return noun_from_json(&vm_noun, vm, (const char *)request->body->data, request->body->len, NOUN_FROM_CREATE,
			      error);
}

void vms_dry_run(struct request *request)
{
	g_autoptr(GError) error = NULL;
	struct vm vm;

	if (!read_vm(request, &vm, &error)) {
		request_fail(request, error);
		return;
	}
	vm.owner_uid = request->peer_uid;
	answer(request, control_explain(request->api->config.control, &vm, &error), &error);
	noun_clear(&vm_noun, &vm);
}

void capacity_get(struct request *request)
{
	g_autoptr(GError) error = NULL;
	struct vm vm;

	if (!read_vm(request, &vm, &error)) {
		request_fail(request, error);
		return;
	}
	vm.owner_uid = request->peer_uid;
	answer(request, control_capacity(request->api->config.control, &vm, CAPACITY_LIMIT, &error), &error);
	noun_clear(&vm_noun, &vm);
}

void rebalance_get(struct request *request)
{
	g_autoptr(GError) error = NULL;
	const char *strategy = g_hash_table_lookup(request->query, "strategy");
	guint64 max_moves;

	if (!query_uint(request->query, "max_moves", (struct query_range) { MOVES_DEFAULT, MOVES_MAX }, &max_moves,
			&error)) {
		request_fail(request, error);
		return;
	}
	answer(request, control_rebalance(request->api->config.control, strategy, NULL, max_moves, &error), &error);
}
