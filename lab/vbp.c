#include "lab/vbp.h"

#include <gio/gio.h>
#include <string.h>

#include "core/strategy/random.h"
#include "lab/error.h"

#define CHUNK_BYTES ((gsize)1 << 16)

struct reader {
	const char *at, *end, *name;
	guint line, column; /* of `at`, from 1 */
	GError **error;
};

G_GNUC_PRINTF(2, 3) static gboolean fail(const struct reader *reader, const char *format, ...)
{
	g_autofree char *what = NULL;
	va_list arguments;

	va_start(arguments, format);
	what = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	g_set_error(reader->error, LAB_ERROR, LAB_ERROR_INVALID, "%s, line %u, column %u: %s", reader->name,
		    reader->line, reader->column, what);
	return FALSE;
}

static void skip_space(struct reader *reader)
{
	for (; reader->at < reader->end && g_ascii_isspace(*reader->at); reader->at++) {
		reader->column++;
		if (*reader->at == '\n') {
			reader->line++;
			reader->column = 1;
		}
	}
}

/* What stands there, for an error: at most 20 characters, unprintable ones as '?'. */
static char *shown(const char *at, gsize bytes)
{
	char *text = g_strndup(at, MIN(bytes, 20));

	for (gsize i = 0; i < MIN(bytes, 20); i++)
		if (!g_ascii_isprint(at[i]))
			text[i] = '?';
	return text;
}

/* One whole number in [min, max]. `what` says which, for errors. */
static gboolean read_number(struct reader *reader, const char *what, gint64 min, gint64 max, gint64 *number)
{
	const char *word, *digits;
	gint64 value = 0;

	skip_space(reader);
	word = digits = reader->at;
	if (word == reader->end)
		return fail(reader, "the file ends where %s should be", what);
	while (reader->at < reader->end && !g_ascii_isspace(*reader->at))
		reader->at++;
	digits += *word == '-';
	for (const char *c = digits; c < reader->at || c == digits; c++) {
		if (c == reader->at || !g_ascii_isdigit(*c)) {
			g_autofree char *text = shown(word, (gsize)(reader->at - word));

			return fail(reader, "%s must be a whole number, not \"%s\"", what, text);
		}
		value = MIN(value * 10 + (*c - '0'), (gint64)1 << 40);
	}
	value = *word == '-' ? -value : value;
	if (value < min || value > max) {
		g_autofree char *text = shown(word, (gsize)(reader->at - word));

		return fail(reader, "%s must be from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT ", not %s", what, min,
			    max, text);
	}
	reader->column += (guint)(reader->at - word);
	*number = value;
	return TRUE;
}

static gboolean read_capacities(struct reader *reader, struct lab_vbp *vbp)
{
	gint64 value = 0;

	if (!read_number(reader, "the number of dimensions", 1, PACK_DIMENSIONS_MAX, &value))
		return FALSE;
	vbp->dimensions = (guint32)value;
	for (guint32 d = 0; d < vbp->dimensions; d++) {
		g_autofree char *what = g_strdup_printf("the capacity in dimension %u", d + 1);

		if (!read_number(reader, what, 0, PACK_AMOUNT_MAX, &value))
			return FALSE;
		vbp->capacity[d] = (gint32)value;
	}
	return TRUE;
}

static gboolean read_row(struct reader *reader, struct lab_vbp *vbp, GArray *sizes)
{
	gint32 row[PACK_DIMENSIONS_MAX];
	gboolean negative = FALSE, oversize = FALSE;
	gint64 value;

	for (guint32 d = 0; d < vbp->dimensions; d++) {
		if (!read_number(reader, "a size", -PACK_AMOUNT_MAX, PACK_AMOUNT_MAX, &value))
			return FALSE;
		row[d] = (gint32)value;
		negative = negative || row[d] < 0;
		oversize = oversize || row[d] > vbp->capacity[d];
	}
	if (!read_number(reader, "a demand", 0, PACK_ITEMS_MAX, &value))
		return FALSE;
	if (value > PACK_ITEMS_MAX - vbp->n_items)
		return fail(reader, "more than %u items in all", PACK_ITEMS_MAX);
	vbp->n_items += (guint32)value;
	vbp->n_negative += negative ? (guint32)value : 0;
	vbp->n_oversize += oversize ? (guint32)value : 0;
	for (gint64 i = 0; i < value; i++)
		g_array_append_vals(sizes, row, vbp->dimensions);
	return TRUE;
}

static gboolean read_all(struct reader *reader, struct lab_vbp *vbp, GArray *sizes)
{
	gint64 n;

	if (!read_capacities(reader, vbp) || !read_number(reader, "the number of lines", 0, PACK_ITEMS_MAX, &n))
		return FALSE;
	for (gint64 i = 0; i < n; i++)
		if (!read_row(reader, vbp, sizes))
			return FALSE;
	skip_space(reader);
	if (reader->at < reader->end)
		return fail(reader,
			    "text after the last of %" G_GINT64_FORMAT
			    " lines of items: is their number in the header right?",
			    n);
	return TRUE;
}

struct lab_vbp *lab_vbp_parse(const char *text, gsize bytes, const char *name, GError **error)
{
	struct reader reader = {
		.at = text, .end = text + bytes, .name = name, .line = 1, .column = 1, .error = error
	};
	g_autoptr(lab_vbp_auto) vbp = g_new0(struct lab_vbp, 1);
	GArray *sizes = g_array_new(FALSE, FALSE, sizeof(gint32));
	gboolean ok = read_all(&reader, vbp, sizes);

	vbp->size = (gint32 *)(gpointer)g_array_free(sizes, FALSE);
	return ok ? g_steal_pointer(&vbp) : NULL;
}

static gboolean set_read_error(const char *path, GError *cause, GError **error)
{
	lab_error_file(path, cause, error);
	return FALSE;
}

static gboolean is_gzip(GInputStream *stream)
{
	guint8 magic[2] = { 0 };
	gboolean is = g_input_stream_read(stream, magic, sizeof(magic), NULL, NULL) == sizeof(magic) &&
		      magic[0] == 0x1f && magic[1] == 0x8b;

	return g_seekable_seek(G_SEEKABLE(stream), 0, G_SEEK_SET, NULL, NULL) && is;
}

static gboolean read_file(const char *path, GByteArray *bytes, GError **error)
{
	g_autoptr(GFile) file = g_file_new_for_path(path);
	g_autoptr(GError) local = NULL;
	g_autoptr(GInputStream) stream = G_INPUT_STREAM(g_file_read(file, NULL, &local));
	g_autoptr(GInputStream) source = NULL;
	g_autofree guint8 *chunk = g_malloc(CHUNK_BYTES);

	if (!stream)
		return set_read_error(path, local, error);
	if (is_gzip(stream)) {
		g_autoptr(GConverter) gunzip = G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP));

		source = g_converter_input_stream_new(stream, gunzip);
	} else {
		source = g_object_ref(stream);
	}
	for (;;) {
		gssize n = g_input_stream_read(source, chunk, CHUNK_BYTES, NULL, &local);

		if (n < 0)
			return set_read_error(path, local, error);
		if (n == 0)
			return TRUE;
		g_byte_array_append(bytes, chunk, (guint)n);
		if (bytes->len > LAB_VBP_BYTES_MAX) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s: larger than %" G_GSIZE_FORMAT " MiB",
				    path, LAB_VBP_BYTES_MAX >> 20);
			return FALSE;
		}
	}
}

struct lab_vbp *lab_vbp_load(const char *path, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	if (!read_file(path, bytes, error))
		return NULL;
	return lab_vbp_parse((const char *)bytes->data, bytes->len, path, error);
}

void lab_vbp_free(struct lab_vbp *vbp)
{
	if (!vbp)
		return;
	g_free(vbp->size);
	g_free(vbp);
}

gint32 *lab_vbp_shuffled(const struct lab_vbp *vbp, guint64 seed)
{
	gsize row = vbp->dimensions * sizeof(gint32);
	gint32 *size = g_memdup2(vbp->size, vbp->n_items * row);
	struct strategy_random random;

	strategy_random_init(&random, seed);
	for (guint32 i = vbp->n_items; i > 1; i--) {
		gsize a = (gsize)(i - 1) * vbp->dimensions;
		gsize b = (gsize)strategy_random_below(&random, i) * vbp->dimensions;
		gint32 kept[PACK_DIMENSIONS_MAX];

		memcpy(kept, size + a, row);
		memcpy(size + a, size + b, row);
		memcpy(size + b, kept, row);
	}
	return size;
}
