/* Lines of a CSV file, one at a time: plain or gzip (told by its first bytes), never more of it in memory than a buffer.
 * What is read is hostile: lines are limited, NULs refused, and every complaint names the file, the line and the column. */
#pragma once

#include <gio/gio.h>

#define TRACE_LINE_BYTES_MAX 4096
#define TRACE_COLUMNS_MAX    32

struct trace_lines;

/* trace_lines_open(path, error): NULL with LAB_ERROR_NOT_FOUND, or LAB_ERROR_FAILED when it can't be read. */
struct trace_lines *trace_lines_open(const char *path, GError **error);
/* trace_lines_new(stream, name): reads `stream` (a reference is taken); `name` is what complaints call it. */
struct trace_lines *trace_lines_new(GInputStream *stream, const char *name);
void trace_lines_free(struct trace_lines *lines);
typedef struct trace_lines trace_lines_auto; /* for g_autoptr */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(trace_lines_auto, trace_lines_free)

/* trace_lines_next(lines, error): the next line that is neither empty nor a comment (#), split at commas, as
 * trace_lines_field gives it: 1; at the end 0; -1 with the error set. A field may be in double quotes ("" is a quote). */
int trace_lines_next(struct trace_lines *lines, GError **error);
guint trace_lines_n_fields(const struct trace_lines *lines);
/* The n-th field, trimmed, borrowed until the next line. "" beyond the last. */
const char *trace_lines_field(const struct trace_lines *lines, guint n);
guint64 trace_lines_number(const struct trace_lines *lines); /* of the line last read, from 1 */

/* trace_lines_header(lines, error): reads the first line as the names of the columns; complaints use them from then on.
 * Refuses empty and repeated names. */
gboolean trace_lines_header(struct trace_lines *lines, GError **error);
/* The column of that name, or -1. */
int trace_lines_column(const struct trace_lines *lines, const char *name);
guint trace_lines_n_columns(const struct trace_lines *lines);
const char *trace_lines_column_name(const struct trace_lines *lines, guint n);

/* trace_lines_whole(lines, error): whether the row has as many fields as the header has columns. */
gboolean trace_lines_whole(const struct trace_lines *lines, GError **error);

/* trace_lines_fail(lines, column, error, format, …): LAB_ERROR_INVALID "FILE, line N, column C: …"; column -1: the line as a
 * whole. Always FALSE. */
gboolean trace_lines_fail(const struct trace_lines *lines, int column, GError **error, const char *format, ...)
	G_GNUC_PRINTF(4, 5);

/* trace_lines_decimal(lines, column, scale, max, value, error): field `column` times `scale` (1, 1000 or 1,000,000) as a whole
 * number from 0 to `max`; written plainly ("12", "0.75"), with at most six decimals, rounded up to the scale. */
gboolean trace_lines_decimal(const struct trace_lines *lines, int column, guint64 scale, guint64 max, guint64 *value,
			     GError **error);
