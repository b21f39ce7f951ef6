/* The lab's error domain. The CLI gives each code its exit status: 1 failed, 2 invalid, 3 not found, 4 conflict. A message
 * says what was asked, what is wrong and what to do next. */
#pragma once

#include <glib.h>

#define LAB_ERROR lab_error_quark()
GQuark lab_error_quark(void);

enum lab_error {
	LAB_ERROR_FAILED,    /* exit 1: something we can't name better */
	LAB_ERROR_INVALID,   /* exit 2: malformed input or parameter, unknown strategy */
	LAB_ERROR_NOT_FOUND, /* exit 3: no such file */
	LAB_ERROR_CONFLICT,  /* exit 4: no candidate meets what is required */
	LAB_ERROR_COUNT
};

/* lab_error_file(path, cause, error): why `path` can't be opened or read, from GLib's error, with what to do. */
void lab_error_file(const char *path, const GError *cause, GError **error);

/* lab_error_exit_status(error): the exit status for an error of this domain; 1 for any other. */
int lab_error_exit_status(const GError *error);
