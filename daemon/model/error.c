#include "daemon/model/error.h"

G_DEFINE_QUARK(polder - error - quark, polder_error)

static const struct polder_error_info infos[POLDER_ERROR_COUNT] = {
	[POLDER_ERROR_FAILED] = { "failed", "Failed", 500, 1 },
	[POLDER_ERROR_INVALID] = { "invalid", "Invalid request", 400, 2 },
	[POLDER_ERROR_TOO_LARGE] = { "too-large", "Too large", 413, 2 },
	[POLDER_ERROR_DENIED] = { "denied", "Not allowed", 403, 1 },
	[POLDER_ERROR_NOT_FOUND] = { "not-found", "Not found", 404, 3 },
	[POLDER_ERROR_CONFLICT] = { "conflict", "Conflict", 409, 4 },
	[POLDER_ERROR_NO_CAPACITY] = { "no-capacity", "No capacity", 409, 4 },
	[POLDER_ERROR_COMPACTED] = { "compacted", "Revision is gone", 410, 1 },
	[POLDER_ERROR_UNAVAILABLE] = { "unavailable", "Not available now", 503, 1 },
	[POLDER_ERROR_TIMEOUT] = { "timeout", "Took too long", 504, 1 },
	[POLDER_ERROR_UNKNOWN_OUTCOME] = { "unknown-outcome", "May or may not have been done", 500, 1 },
	[POLDER_ERROR_STORAGE_FULL] = { "storage-full", "Storage is full", 507, 1 },
	[POLDER_ERROR_CORRUPT] = { "corrupt", "Stored data is corrupt", 500, 1 },
};

const struct polder_error_info *polder_error_info(int code)
{
	if (code < 0 || code >= POLDER_ERROR_COUNT)
		code = POLDER_ERROR_FAILED;
	return &infos[code];
}

enum polder_error polder_error_from_name(const char *name)
{
	for (int code = 0; code < POLDER_ERROR_COUNT; code++)
		if (g_strcmp0(infos[code].name, name) == 0)
			return code;
	return POLDER_ERROR_FAILED;
}

int polder_error_exit_status(const GError *error)
{
	return error && error->domain == POLDER_ERROR ? polder_error_info(error->code)->exit_status : 1;
}
