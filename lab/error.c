#include "lab/error.h"

#include <gio/gio.h>
#include <string.h>

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

void lab_error_file(const char *path, const GError *cause, GError **error)
{
	/* GLib's text names the file once more, before its last colon. */
	const char *last = strrchr(cause->message, ':');

	if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ||
	    g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
		g_set_error(error, LAB_ERROR, LAB_ERROR_NOT_FOUND, "there is no file %s: check its path", path);
	else if (g_file_test(path, G_FILE_TEST_IS_DIR))
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s is a directory: name a file in it", path);
	else
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "can't read %s:%s", path,
			    last ? last + 1 : cause->message);
}
