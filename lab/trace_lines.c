#include "lab/trace_lines.h"

#include <string.h>

#include "lab/error.h"

#define CHUNK_BYTES 65536

struct trace_lines {
	GInputStream *stream;
	char *name;
	GConverter *unzip;               /* NULL: plain */
	gboolean started, ended, inside; /* inside: a gzip member has begun and not ended */
	guint8 raw[CHUNK_BYTES];
	gsize raw_at, raw_end;
	char text[CHUNK_BYTES];
	gsize text_at, text_end;
	guint64 number;
	char line[TRACE_LINE_BYTES_MAX + 1];
	char *field[TRACE_COLUMNS_MAX];
	guint n_fields;
	char *column[TRACE_COLUMNS_MAX];
	guint n_columns;
};

struct trace_lines *trace_lines_new(GInputStream *stream, const char *name)
{
	struct trace_lines *lines = g_new0(struct trace_lines, 1);

	lines->stream = g_object_ref(stream);
	lines->name = g_strdup(name);
	return lines;
}

struct trace_lines *trace_lines_open(const char *path, GError **error)
{
	g_autoptr(GFile) file = g_file_new_for_path(path);
	g_autoptr(GError) cause = NULL;
	g_autoptr(GFileInputStream) stream = g_file_read(file, NULL, &cause);

	if (stream)
		return trace_lines_new(G_INPUT_STREAM(stream), path);
	lab_error_file(path, cause, error);
	return NULL;
}

void trace_lines_free(struct trace_lines *lines)
{
	if (!lines)
		return;
	for (guint i = 0; i < lines->n_columns; i++)
		g_free(lines->column[i]);
	g_clear_object(&lines->unzip);
	g_clear_object(&lines->stream);
	g_free(lines->name);
	g_free(lines);
}

gboolean trace_lines_whole(const struct trace_lines *lines, GError **error)
{
	guint fields = trace_lines_n_fields(lines), columns = lines->n_columns;

	if (fields == columns)
		return TRUE;
	if (fields < columns)
		return trace_lines_fail(lines, (int)fields, error,
					"is missing: %u fields where the header names %u columns", fields, columns);
	return trace_lines_fail(lines, (int)columns, error,
				"is one too many: %u fields where the header names %u columns", fields, columns);
}

gboolean trace_lines_fail(const struct trace_lines *lines, int column, GError **error, const char *format, ...)
{
	g_autofree char *message = NULL;
	va_list arguments;

	va_start(arguments, format);
	message = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	if (column < 0)
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s, line %" G_GUINT64_FORMAT ": %s", lines->name,
			    lines->number, message);
	else if ((guint)column < lines->n_columns)
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s, line %" G_GUINT64_FORMAT ", column %d (%s): %s",
			    lines->name, lines->number, column + 1, lines->column[column], message);
	else
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s, line %" G_GUINT64_FORMAT ", column %d: %s",
			    lines->name, lines->number, column + 1, message);
	return FALSE;
}

static gboolean raw_fill(struct trace_lines *lines, GError **error)
{
	g_autoptr(GError) cause = NULL;
	gssize got = g_input_stream_read(lines->stream, lines->raw, sizeof lines->raw, NULL, &cause);

	if (got < 0) {
		lab_error_file(lines->name, cause, error);
		return FALSE;
	}
	lines->raw_at = 0;
	lines->raw_end = (gsize)got;
	lines->ended = got == 0;
	return TRUE;
}

/* One step of decompression into `text`; a file may be several gzip members one after the other. */
static gboolean unzip_fill(struct trace_lines *lines, GError **error)
{
	g_autoptr(GError) cause = NULL;
	gsize taken = 0, made = 0;

	while (made == 0) {
		if (lines->raw_at == lines->raw_end && !lines->ended && !raw_fill(lines, error))
			return FALSE;
		if (lines->ended && !lines->inside)
			return TRUE;
		if (lines->ended)
			return trace_lines_fail(lines, -1, error,
						"the compressed file ends too early: copy or fetch it again");
		lines->inside = TRUE;
		GConverterResult result = g_converter_convert(
			lines->unzip, lines->raw + lines->raw_at, lines->raw_end - lines->raw_at, lines->text,
			sizeof lines->text, G_CONVERTER_NO_FLAGS, &taken, &made, &cause);
		if (result == G_CONVERTER_ERROR && g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT)) {
			g_clear_error(&cause);
			lines->raw_at = lines->raw_end;
			continue;
		}
		if (result == G_CONVERTER_ERROR)
			return trace_lines_fail(lines, -1, error, "the compressed file is damaged (%s): fetch it again",
						cause->message);
		lines->raw_at += taken;
		if (result == G_CONVERTER_FINISHED) {
			g_converter_reset(lines->unzip);
			lines->inside = FALSE;
		}
	}
	lines->text_end = made;
	return TRUE;
}

/* More text, or none at the end (text_at == text_end). */
static gboolean text_fill(struct trace_lines *lines, GError **error)
{
	lines->text_at = lines->text_end = 0;
	if (!lines->started) {
		lines->started = TRUE;
		if (!raw_fill(lines, error))
			return FALSE;
		if (lines->raw_end >= 2 && lines->raw[0] == 0x1f && lines->raw[1] == 0x8b)
			lines->unzip = G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP));
	}
	if (lines->unzip)
		return unzip_fill(lines, error);
	if (lines->raw_at == lines->raw_end && !lines->ended && !raw_fill(lines, error))
		return FALSE;
	lines->text_end = lines->raw_end - lines->raw_at;
	memcpy(lines->text, lines->raw + lines->raw_at, lines->text_end);
	lines->raw_at = lines->raw_end;
	return TRUE;
}

/* The next line into `line`, without its end: 1, 0 at the end, -1. */
static int line_read(struct trace_lines *lines, GError **error)
{
	gsize bytes = 0;
	gboolean any = FALSE;

	lines->number++;
	for (;;) {
		if (lines->text_at == lines->text_end && !text_fill(lines, error))
			return -1;
		if (lines->text_at == lines->text_end)
			break;
		any = TRUE;
		const char *from = lines->text + lines->text_at;
		const char *end = memchr(from, '\n', lines->text_end - lines->text_at);
		gsize piece = end ? (gsize)(end - from) : lines->text_end - lines->text_at;
		if (bytes + piece > TRACE_LINE_BYTES_MAX) {
			trace_lines_fail(lines, -1, error, "longer than %d bytes: is this really a CSV file?",
					 TRACE_LINE_BYTES_MAX);
			return -1;
		}
		memcpy(lines->line + bytes, from, piece);
		bytes += piece;
		lines->text_at += piece + (end ? 1 : 0);
		if (end)
			break;
	}
	lines->line[bytes] = 0;
	if (memchr(lines->line, 0, bytes)) {
		trace_lines_fail(lines, -1, error, "contains a NUL byte: is this really a CSV file?");
		return -1;
	}
	return any;
}

static char *trim(char *text)
{
	gsize bytes;

	while (*text == ' ' || *text == '\t' || *text == '\r')
		text++;
	bytes = strlen(text);
	while (bytes && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t' || text[bytes - 1] == '\r'))
		bytes--;
	text[bytes] = 0;
	return text;
}

/* A quoted field at `text` is unquoted in place; returns what follows its closing quote, NULL when there is none. */
static char *unquote(char *text)
{
	char *to = text;
	char *from = text + 1;

	for (; *from; from++) {
		if (*from == '"' && from[1] != '"') {
			*to = 0;
			return from + 1;
		}
		if (*from == '"')
			from++;
		*to++ = *from;
	}
	return NULL;
}

static gboolean line_split(struct trace_lines *lines, GError **error)
{
	char *at = lines->line;

	lines->n_fields = 0;
	for (;;) {
		if (lines->n_fields == TRACE_COLUMNS_MAX)
			return trace_lines_fail(lines, -1, error, "more than %d columns", TRACE_COLUMNS_MAX);
		while (*at == ' ' || *at == '\t')
			at++;
		char *begin = at;
		if (*at == '"') {
			at = unquote(at);
			if (!at)
				return trace_lines_fail(lines, (int)lines->n_fields, error,
							"the quote is never closed: add the closing \"");
			at += strspn(at, " \t\r");
			if (*at && *at != ',')
				return trace_lines_fail(lines, (int)lines->n_fields, error,
							"text after the closing quote: put a comma between fields");
			lines->field[lines->n_fields++] = begin;
			if (!*at)
				return TRUE;
			at++;
			continue;
		}
		char *comma = strchr(at, ',');
		if (comma)
			*comma = 0;
		lines->field[lines->n_fields++] = trim(begin);
		if (!comma)
			return TRUE;
		at = comma + 1;
	}
}

int trace_lines_next(struct trace_lines *lines, GError **error)
{
	for (;;) {
		int got = line_read(lines, error);
		if (got <= 0)
			return got;
		const char *text = lines->line + strspn(lines->line, " \t\r");
		if (*text && *text != '#')
			break;
	}
	return line_split(lines, error) ? 1 : -1;
}

guint trace_lines_n_fields(const struct trace_lines *lines)
{
	return lines->n_fields;
}

const char *trace_lines_field(const struct trace_lines *lines, guint n)
{
	return n < lines->n_fields ? lines->field[n] : "";
}

guint64 trace_lines_number(const struct trace_lines *lines)
{
	return lines->number;
}

gboolean trace_lines_header(struct trace_lines *lines, GError **error)
{
	int got = trace_lines_next(lines, error);

	if (got < 0)
		return FALSE;
	if (got == 0) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s is empty: it needs a header line and rows",
			    lines->name);
		return FALSE;
	}
	for (guint i = 0; i < lines->n_fields; i++) {
		const char *name = lines->field[i];
		if (i == 0 && g_str_has_prefix(name, "\xef\xbb\xbf"))
			name += 3; /* byte order mark */
		if (!*name)
			return trace_lines_fail(lines, (int)i, error, "the column has no name");
		if (trace_lines_column(lines, name) >= 0)
			return trace_lines_fail(lines, (int)i, error, "the column %s is there twice", name);
		lines->column[lines->n_columns++] = g_utf8_make_valid(name, -1);
	}
	return TRUE;
}

int trace_lines_column(const struct trace_lines *lines, const char *name)
{
	for (guint i = 0; i < lines->n_columns; i++)
		if (strcmp(lines->column[i], name) == 0)
			return (int)i;
	return -1;
}

guint trace_lines_n_columns(const struct trace_lines *lines)
{
	return lines->n_columns;
}

const char *trace_lines_column_name(const struct trace_lines *lines, guint n)
{
	return n < lines->n_columns ? lines->column[n] : "";
}

/* Millionths of `text`, or FALSE when it is not a plain decimal number. */
static gboolean decimal_millionths(const char *text, guint64 *value)
{
	guint64 whole = 0, part = 0, unit = 1000000;
	gboolean digits = FALSE;

	for (; g_ascii_isdigit(*text); text++, digits = TRUE) {
		if (whole > G_GUINT64_CONSTANT(1000000000000))
			return FALSE;
		whole = whole * 10 + (guint64)(*text - '0');
	}
	if (*text == '.')
		for (text++; g_ascii_isdigit(*text); text++, digits = TRUE) {
			unit /= 10; /* beyond six decimals only zeros are accepted */
			if (unit == 0 && *text != '0')
				return FALSE;
			part += unit * (guint64)(*text - '0');
		}
	*value = whole * 1000000 + part;
	return digits && !*text;
}

gboolean trace_lines_decimal(const struct trace_lines *lines, int column, guint64 scale, guint64 max, guint64 *value,
			     GError **error)
{
	const char *text = trace_lines_field(lines, (guint)column);
	guint64 millionths, divisor = 1000000 / scale;

	if (!*text)
		return trace_lines_fail(lines, column, error, "nothing there: a number is needed");
	if (*text == '-')
		return trace_lines_fail(lines, column, error, "%s is negative: it must be 0 or more", text);
	if (!decimal_millionths(text, &millionths))
		return trace_lines_fail(lines, column, error,
					"'%.40s' is not a number like 12 or 0.75 (at most six decimals)", text);
	*value = millionths / divisor + (millionths % divisor != 0);
	if (*value > max)
		return trace_lines_fail(lines, column, error, "%s is absurd: at most %" G_GUINT64_FORMAT, text,
					max / scale);
	return TRUE;
}
