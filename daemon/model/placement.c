#include "daemon/model/placement.h"

#include <math.h>
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

#define SOFT_WEIGHT     100u
#define SOFT_WEIGHT_MAX 1000u
#define EXTENDED_MAX    1000000u
#define NODE_CPUS_MAX   4096u

static gboolean refuse(GError **error, const char *text, const char *what)
{
	g_autofree char *shown = g_utf8_make_valid(text, (gssize)strnlen(text, LIMIT_LABEL_BYTES));

	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "'%s' is not %s", shown, what);
	return FALSE;
}

/* A whole number of at most nine digits at *text; moves past it. */
static gboolean number_take(const char **text, guint32 *out)
{
	guint32 value = 0;
	int digits = 0;

	for (; g_ascii_isdigit(**text) && digits < 10; digits++, (*text)++)
		value = value * 10 + (guint32)(**text - '0');
	*out = value;
	return digits >= 1 && digits <= 9;
}

/* *text starts with `word`: moves past it. */
static gboolean word_take(const char **text, const char *word)
{
	gsize length = strlen(word);

	if (strncmp(*text, word, length) != 0)
		return FALSE;
	*text += length;
	return TRUE;
}

static gboolean level_take(const char **text, int *level)
{
	static const char *const names[] = { "host", "rack", "zone" };

	for (int i = 0; i < (int)G_N_ELEMENTS(names); i++) {
		if (word_take(text, names[i])) {
			*level = i;
			return TRUE;
		}
	}
	return FALSE;
}

/* ":soft" or ":soft=50" up to the end; nothing: hard. */
static gboolean soft_take(const char *text, guint16 *weight)
{
	guint32 value = SOFT_WEIGHT;

	*weight = 0;
	if (!*text)
		return TRUE;
	if (!word_take(&text, ":soft") || (*text == '=' && (text++, !number_take(&text, &value))) || *text ||
	    value < 1 || value > SOFT_WEIGHT_MAX)
		return FALSE;
	*weight = (guint16)value;
	return TRUE;
}

gboolean term_parse(const char *text, struct term *out, GError **error)
{
	static const char what[] =
		"an affinity: write group=NAME or vm=NAME, then @rack or @zone if it is not the host, "
		"then :soft=WEIGHT (1-1000) if it is a wish";
	const char *at = text;
	gsize length;

	memset(out, 0, sizeof(*out));
	if (word_take(&at, "vm="))
		out->is_vm = TRUE;
	else if (!word_take(&at, "group="))
		return refuse(error, text, what);
	length = strcspn(at, "@:");
	if (length > LIMIT_NAME_BYTES)
		return refuse(error, text, what);
	memcpy(out->name, at, length);
	if (!name_check(out->name, error))
		return FALSE;
	at += length;
	if (*at == '@' && (at++, !level_take(&at, &out->level)))
		return refuse(error, text, what);
	return soft_take(at, &out->soft_weight) || refuse(error, text, what);
}

gboolean term_check(const char *text, GError **error)
{
	struct term term;

	return term_parse(text, &term, error);
}

gboolean spread_parse(const char *text, struct spread *out, GError **error)
{
	static const char what[] = "a spread: write host, rack or zone, then :N for the greatest skew (1-255), then "
				   ":soft=WEIGHT (1-1000) if it is a wish";
	const char *at = text;
	guint32 skew = 1;

	memset(out, 0, sizeof(*out));
	if (!level_take(&at, &out->level))
		return refuse(error, text, what);
	if (at[0] == ':' && g_ascii_isdigit(at[1]) && (at++, !number_take(&at, &skew)))
		return refuse(error, text, what);
	if (skew < 1 || skew > G_MAXUINT8)
		return refuse(error, text, what);
	out->max_skew = (guint8)skew;
	return soft_take(at, &out->soft_weight) || refuse(error, text, what);
}

gboolean spread_check(const char *text, GError **error)
{
	struct spread spread;

	return spread_parse(text, &spread, error);
}

gboolean label_check(const char *text, GError **error)
{
	static const char marks[] = "._/-";
	gsize length = strnlen(text, LIMIT_LABEL_BYTES + 1), equals = 0;
	gboolean ok = length >= 1 && length <= LIMIT_LABEL_BYTES && g_ascii_isalnum(text[0]);

	for (gsize i = 0; ok && i < length; i++) {
		equals += text[i] == '=';
		ok = g_ascii_isalnum(text[i]) || text[i] == '=' || strchr(marks, text[i]);
	}
	return (ok && equals <= 1) ||
	       refuse(error, text, "a label: write KEY or KEY=VALUE with letters, digits and . _ / -, as disk=ssd");
}

gboolean cpu_level_parse(const char *text, guint32 *level, GError **error)
{
	const char *at = text;

	if (!word_take(&at, "x86-64-v") || at[0] < '1' || at[0] > '4' || at[1])
		return refuse(error, text, "a processor level: use x86-64-v1, x86-64-v2, x86-64-v3 or x86-64-v4");
	*level = (guint32)(at[0] - '0');
	return TRUE;
}

gboolean cpu_level_check(const char *text, GError **error)
{
	guint32 level;

	return cpu_level_parse(text, &level, error);
}

gboolean extended_parse(const char *text, struct extended *out, GError **error)
{
	static const char what[] = "an extended resource: write NAME=COUNT (1-1000000), as gpu=1";
	gsize length = strcspn(text, "=");
	const char *at = text + length;

	memset(out, 0, sizeof(*out));
	if (*at != '=' || length > LIMIT_NAME_BYTES)
		return refuse(error, text, what);
	memcpy(out->name, text, length);
	at++;
	if (!name_check(out->name, NULL) || !number_take(&at, &out->count) || *at || !out->count ||
	    out->count > EXTENDED_MAX)
		return refuse(error, text, what);
	return TRUE;
}

gboolean extended_check(const char *text, GError **error)
{
	struct extended extended;

	return extended_parse(text, &extended, error);
}

/* ---- NUMA nodes ---- */

/* A size that ends at one of `ends`; moves *text to there. */
static gboolean size_take(const char **text, const char *ends, guint64 *bytes)
{
	gsize length = strcspn(*text, ends);
	g_autofree char *size = g_strndup(*text, length);

	*text += length;
	return size_parse(size, bytes, NULL);
}

gboolean node_parse(const char *text, struct node_text *out, GError **error)
{
	static const char what[] = "a NUMA node: write processors and memory as 40c90G, then huge pages as +4G/2M or "
				   "+8G/1G";
	const char *at = text;
	guint32 cpus;

	memset(out, 0, sizeof(*out));
	if (!number_take(&at, &cpus) || cpus > NODE_CPUS_MAX || *at++ != 'c' ||
	    !size_take(&at, "+", &out->memory_bytes))
		return refuse(error, text, what);
	out->cpus = cpus;
	while (*at) {
		guint64 bytes, *into;

		at++;
		if (!size_take(&at, "/", &bytes) || *at++ != '/')
			return refuse(error, text, what);
		into = strncmp(at, "1G", 2) == 0 ? &out->huge_1g_bytes : &out->huge_2m_bytes;
		if ((!word_take(&at, "2M") && !word_take(&at, "1G")) || (*at && *at != '+') || *into)
			return refuse(error, text, what);
		*into = bytes;
	}
	return TRUE;
}

gboolean node_check(const char *text, GError **error)
{
	struct node_text node;

	return node_parse(text, &node, error);
}

char *node_format(const struct node_text *node)
{
	g_autofree char *memory = size_format(node->memory_bytes);
	GString *text = g_string_new(NULL);

	g_string_printf(text, "%" G_GUINT64_FORMAT "c%s", node->cpus, memory);
	if (node->huge_2m_bytes) {
		g_autofree char *size = size_format(node->huge_2m_bytes);

		g_string_append_printf(text, "+%s/2M", size);
	}
	if (node->huge_1g_bytes) {
		g_autofree char *size = size_format(node->huge_1g_bytes);

		g_string_append_printf(text, "+%s/1G", size);
	}
	return g_string_free(text, FALSE);
}

/* ---- Amounts of a pool ---- */

static gboolean decimal_parse(const char *text, double unit, guint64 *out)
{
	static const char letters[] = "kMGT";
	const char *letter;
	char *end = NULL;
	double value;

	if (!g_ascii_isdigit(text[0]) || strspn(text, "0123456789.") > 15)
		return FALSE;
	value = g_ascii_strtod(text, &end) * unit;
	letter = *end ? strchr(letters, *end == 'K' ? 'k' : *end) : NULL;
	if (letter && unit == 1) {
		for (const char *l = letters; l <= letter; l++)
			value *= 1000;
		end++;
	}
	if (*end || !isfinite(value) || value > 1e15)
		return FALSE;
	*out = (guint64)(value + 0.5);
	return TRUE;
}

gboolean amount_parse(const char *text, struct amount *out, GError **error)
{
	static const char what[] =
		"an amount: write cpu=8, memory=16G, huge-2m=4G, huge-1g=4G, disk=1T, network=10G or cpu-reserve=2";
	static const char *const kinds[] = { "cpu=",  "memory=",  "huge-2m=",    "huge-1g=",
					     "disk=", "network=", "cpu-reserve=" };
	const char *at = text;

	memset(out, 0, sizeof(*out));
	for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
		gboolean ok;

		if (!word_take(&at, kinds[i]))
			continue;
		out->kind = (enum amount_kind)i;
		if (i == AMOUNT_CPU || i == AMOUNT_CPU_RESERVE || i == AMOUNT_NETWORK)
			ok = decimal_parse(at, i == AMOUNT_NETWORK ? 1 : 1000, &out->value);
		else
			ok = size_parse(at, &out->value, NULL);
		return ok || refuse(error, text, what);
	}
	return refuse(error, text, what);
}

gboolean amount_check(const char *text, GError **error)
{
	struct amount amount;

	return amount_parse(text, &amount, error);
}

gboolean parameter_check(const char *text, GError **error)
{
	gsize length = strnlen(text, LIMIT_LABEL_BYTES + 1), name = strcspn(text, "=");
	gboolean ok = length <= LIMIT_LABEL_BYTES && name >= 1 && name + 1 < length;

	for (gsize i = 0; ok && i < length; i++)
		ok = g_ascii_isgraph(text[i]);
	return ok || refuse(error, text, "a parameter: write NAME=VALUE");
}
