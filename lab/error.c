#include "lab/error.h"

G_DEFINE_QUARK(lab - error - quark, lab_error)

static const int exit_statuses[LAB_ERROR_COUNT] = {
	[LAB_ERROR_FAILED] = 1,
	[LAB_ERROR_INVALID] = 2,
	[LAB_ERROR_NOT_FOUND] = 3,
	[LAB_ERROR_CONFLICT] = 4,
};

int lab_error_exit_status(const GError *error)
{
	if (!error || error->domain != LAB_ERROR || error->code < 0 || error->code >= LAB_ERROR_COUNT)
		return 1;
	return exit_statuses[error->code];
}
