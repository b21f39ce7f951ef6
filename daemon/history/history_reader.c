/* Reading the history: both files as one trace. The files may be put aside meanwhile: what is open stays readable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/history/history_private.h"
#include "daemon/model/error.h"

#define CHUNK_BYTES   65536u
#define ROW_BYTES_MAX 4096u

struct history_reader {
	FILE *files[2]; /* older first; NULL: there is none, or it is read */
	guint64 left;   /* of the newer: what is appended while we read is left out */
	gint64 base_us; /* time of the first row; -1: not known yet */
	gboolean had_older, header_given;
};

void history_reader_free(struct history_reader *reader)
{
	if (!reader)
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(reader->files); i++) {
		if (reader->files[i])
			fclose(reader->files[i]);
	}
	g_free(reader);
}

struct history_reader *history_read(struct history *history, GError **error)
{
	struct history_reader *reader;
	FILE *now;

	if (!history) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "no history is kept");
		return NULL;
	}
	history_settled(history);
	now = fopen(history->file.path, "re");
	if (!now) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "read %s: %s", history->file.path,
			    g_strerror(errno));
		return NULL;
	}
	reader = g_new0(struct history_reader, 1);
	reader->files[1] = now;
	reader->files[0] = fopen(history->file.older, "re");
	reader->had_older = reader->files[0] != NULL;
	reader->left = history->file.bytes;
	reader->base_us = -1;
	return reader;
}

/* The row with its time from the trace's beginning; what only repeats the older file is left out. */
static void row_give(struct history_reader *reader, GString *out, const char *row, gboolean newer)
{
	gint64 time_us = history_row_time(row);
	const char *comma = strchr(row, ',');

	if (time_us < 0 || !comma) /* a header */
		return;
	if (newer && reader->had_older && g_str_has_suffix(row, "," HISTORY_AGAIN "\n"))
		return;
	if (reader->base_us < 0)
		reader->base_us = time_us;
	time_us = MAX(0, time_us - reader->base_us);
	g_string_append_printf(out, "%" G_GINT64_FORMAT ".%06" G_GINT64_FORMAT "%s", time_us / 1000000,
			       time_us % 1000000, comma);
}

/* FALSE: this file is at its end. */
static gboolean rows_give(struct history_reader *reader, guint file, GString *out)
{
	char row[ROW_BYTES_MAX];

	while (out->len < CHUNK_BYTES) {
		gsize bytes;

		if ((file == 1 && !reader->left) || !fgets(row, sizeof(row), reader->files[file]))
			return FALSE;
		bytes = strlen(row);
		if (file == 1)
			reader->left -= MIN(reader->left, bytes);
		if (bytes && row[bytes - 1] == '\n')
			row_give(reader, out, row, file == 1);
	}
	return TRUE;
}

GBytes *history_reader_next(struct history_reader *reader, GError **error)
{
	GString *out = g_string_sized_new(CHUNK_BYTES + ROW_BYTES_MAX);

	if (!reader->header_given)
		g_string_append(out, HISTORY_HEADER);
	reader->header_given = TRUE;
	for (guint i = 0; i < G_N_ELEMENTS(reader->files) && out->len < CHUNK_BYTES; i++) {
		if (!reader->files[i] || rows_give(reader, i, out))
			continue;
		if (ferror(reader->files[i])) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "read the history: %s",
				    g_strerror(errno));
			g_string_free(out, TRUE);
			return NULL;
		}
		fclose(reader->files[i]);
		reader->files[i] = NULL;
	}
	if (!out->len) {
		g_string_free(out, TRUE);
		return NULL;
	}
	return g_string_free_to_bytes(out);
}
