#include "daemon/agent/plans.h"

#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

char *name_of_key(const char *key, const char *prefix)
{
	if (!g_str_has_prefix(key, prefix) || !name_check(key + strlen(prefix), NULL))
		return NULL;
	return g_strdup(key + strlen(prefix));
}

static gboolean refuse(GError **error, const char *what)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s", what);
	return FALSE;
}

/* A refused plan starts nothing: only what names the VM matters. */
static gboolean plan_check(const struct plan *plan, GError **error)
{
	if (!plan->uuid || !g_uuid_string_is_valid(plan->uuid))
		return refuse(error, "uuid is not a uuid");
	if (plan->refused || plan->remove)
		return TRUE;
	if (plan->cpus < 1 || plan->cpus > LIMIT_VM_CPUS_MAX)
		return refuse(error, "cpus is out of range");
	if (plan->memory_bytes < LIMIT_VM_MEMORY_MIN_BYTES || plan->memory_bytes > LIMIT_VM_MEMORY_MAX_BYTES)
		return refuse(error, "memory_bytes is out of range");
	if (plan->stop_timeout_ms > LIMIT_VM_STOP_TIMEOUT_MAX_MS)
		return refuse(error, "stop_timeout_ms is out of range");
	if (!plan->engine || !name_check(plan->engine, error) || !plan->image || !name_check(plan->image, error)) {
		g_prefix_error(error, "engine or image: ");
		return error && *error ? FALSE : refuse(error, "engine or image is missing");
	}
	if (plan->cmdline && (strlen(plan->cmdline) > LIMIT_CMDLINE_BYTES || strpbrk(plan->cmdline, "\n\r")))
		return refuse(error, "cmdline is too long or has a line break");
	if (plan->publish && g_strv_length(plan->publish) > LIMIT_VM_PUBLISH_MAX)
		return refuse(error, "publish has too many ports");
	for (char **port = plan->publish; port && *port; port++) {
		if (!publish_check(*port, error))
			return FALSE;
	}
	return TRUE;
}

gboolean plan_read(const struct store_kv *kv, struct plan *plan, GError **error)
{
	gsize bytes;
	const char *json = g_bytes_get_data(kv->value, &bytes);

	if (!noun_from_json(&plan_noun, plan, json ? json : "", bytes, NOUN_FROM_STORE, error))
		return FALSE;
	if (plan_check(plan, error))
		return TRUE;
	noun_clear(&plan_noun, plan);
	return FALSE;
}
