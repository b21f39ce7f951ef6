/* One error domain for lab, daemon and CLI, and the one table that gives each code its HTTP status, its exit status
 * and its name on the wire. An error's message says what was asked, what is wrong and what to do next. */
#pragma once

#include <glib.h>

#define POLDER_ERROR polder_error_quark()
GQuark polder_error_quark(void);

enum polder_error {
	POLDER_ERROR_FAILED,          /* failed      500  exit 1: something we can't name better */
	POLDER_ERROR_INVALID,         /* invalid     400  exit 2: malformed or out of range */
	POLDER_ERROR_TOO_LARGE,       /* too-large   413  exit 2: over a limit of limits.h */
	POLDER_ERROR_DENIED,          /* denied      403  exit 1: the peer may not do this */
	POLDER_ERROR_NOT_FOUND,       /* not-found   404  exit 3 */
	POLDER_ERROR_CONFLICT,        /* conflict    409  exit 4: name taken, wrong state, compare failed */
	POLDER_ERROR_NO_CAPACITY,     /* no-capacity 409  exit 4: no host can take it */
	POLDER_ERROR_COMPACTED,       /* compacted   410  exit 1: that revision is gone; read anew */
	POLDER_ERROR_UNAVAILABLE,     /* unavailable 503  exit 1: daemon, agent or guest is not there */
	POLDER_ERROR_TIMEOUT,         /* timeout     504  exit 1: a deadline passed; nothing was done */
	POLDER_ERROR_UNKNOWN_OUTCOME, /* unknown-outcome 500 exit 1: may or may not have been done */
	POLDER_ERROR_STORAGE_FULL,    /* storage-full 507 exit 1 */
	POLDER_ERROR_CORRUPT,         /* corrupt     500  exit 1: stored data fails its check; nothing was changed */
	POLDER_ERROR_COUNT
};

struct polder_error_info {
	const char *name; /* on the wire: problem+json "code" */
	const char *title;
	int http_status;
	int exit_status;
};

/* polder_error_info(code): the row of `code`; any code outside the enum reads as POLDER_ERROR_FAILED. Never NULL. */
const struct polder_error_info *polder_error_info(int code);

/* polder_error_from_name(name): the code called `name` on the wire; POLDER_ERROR_FAILED when unknown or NULL. */
enum polder_error polder_error_from_name(const char *name);

/* polder_error_exit_status(error): the exit status for any GError: its row's for POLDER_ERROR, else 1. */
int polder_error_exit_status(const GError *error);
