/* Rows of text appended to a file of limited size; one older file is kept beside it. See README.md. */
#pragma once

#include <glib.h>

struct row_file {
	char *path, *older; /* owned; `older` is the one before */
	int fd;             /* -1: closed */
	guint64 bytes;      /* of whole rows in it */
	gboolean failed;    /* the last write failed, and it was said */
};

/* row_file_open(file, path, header, error): go on with the file, or make it (0600). `header` is its first line: a file that
 * begins otherwise is emptied; what follows the last end of a line is cut off. On failure there is nothing to close. */
gboolean row_file_open(struct row_file *file, const char *path, const char *header, GError **error);
void row_file_close(struct row_file *file);

/* row_file_append(file, rows): all of them or, when that fails, none; says so once. Empties `rows`. */
void row_file_append(struct row_file *file, GString *rows);

/* row_file_turn(file): put it aside in place of the older one and begin an empty one. FALSE: it goes on as it is (said). */
gboolean row_file_turn(struct row_file *file);
