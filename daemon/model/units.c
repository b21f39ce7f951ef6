#include "daemon/model/units.h"

#include <arpa/inet.h>
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

static const char size_letters[] = "KMGTPE";

/* Digits before the unit: at most this many are looked at, so that the products below fit 128 bits. */
#define NUMBER_DIGITS_MAX 20

static gboolean size_invalid(const char *text, GError **error)
{
	g_autofree char *shown = g_utf8_make_valid(text, strnlen(text, 40));

	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "size '%s' is not valid: give it like 512M, 2G or 1.5G",
		    shown);
	return FALSE;
}

/* "", "B", "K", "KB", "KiB" … in any case → the shift; -1 when it is none of them. */
static int size_unit_shift(const char *unit)
{
	char letter = g_ascii_toupper(*unit);
	const char *at;

	if (!letter || (letter == 'B' && !unit[1]))
		return 0;
	at = strchr(size_letters, letter);
	if (!at)
		return -1;
	unit++;
	if (*unit && g_ascii_strcasecmp(unit, "B") != 0 && g_ascii_strcasecmp(unit, "iB") != 0)
		return -1;
	return 10 * (int)(at - size_letters + 1);
}

gboolean size_parse(const char *text, guint64 *bytes, GError **error)
{
	const char *at = text;
	unsigned __int128 number = 0, divisor = 1, total;
	int digits = 0, shift;

	for (; g_ascii_isdigit(*at); at++, digits++)
		number = number * 10 + (unsigned)(*at - '0');
	if (!digits || digits > NUMBER_DIGITS_MAX)
		return size_invalid(text, error);
	if (*at == '.') {
		int whole_digits = digits;

		for (at++; g_ascii_isdigit(*at) && digits <= NUMBER_DIGITS_MAX; at++, digits++) {
			number = number * 10 + (unsigned)(*at - '0');
			divisor *= 10;
		}
		if (digits == whole_digits || digits > NUMBER_DIGITS_MAX)
			return size_invalid(text, error);
	}
	shift = size_unit_shift(at);
	if (shift < 0)
		return size_invalid(text, error);
	/* number < 10^20 < 2^67 and shift ≤ 60: no overflow in 128 bits. */
	total = number << shift;
	if (total % divisor != 0 || total / divisor > G_MAXUINT64)
		return size_invalid(text, error);
	*bytes = (guint64)(total / divisor);
	return TRUE;
}

/* `bytes` in units of 2^shift as a decimal with at most three places into text[32]; FALSE when that isn't exact. */
static gboolean size_format_unit(guint64 bytes, int shift, char letter, char *text)
{
	guint64 unit = G_GUINT64_CONSTANT(1) << shift;
	guint64 rest = bytes & (unit - 1);
	unsigned __int128 thousandths = (unsigned __int128)rest * 1000;
	char fraction[8] = "";

	if (thousandths & (unit - 1))
		return FALSE;
	if (rest) {
		g_snprintf(fraction, sizeof(fraction), ".%03u", (unsigned)(thousandths >> shift));
		for (char *end = fraction + 3; *end == '0'; end--)
			*end = '\0';
	}
	g_snprintf(text, 32, "%" G_GUINT64_FORMAT "%s%c", bytes >> shift, fraction, letter);
	return TRUE;
}

char *size_format(guint64 bytes)
{
	char best[32], text[32];

	g_snprintf(best, sizeof(best), "%" G_GUINT64_FORMAT, bytes);
	for (int i = 0; size_letters[i]; i++) {
		int shift = 10 * (i + 1);

		if (bytes >> shift == 0)
			break;
		/* On a tie the larger unit reads better: 1G, not 1024M's equal in length. */
		if (size_format_unit(bytes, shift, size_letters[i], text) && strlen(text) <= strlen(best))
			memcpy(best, text, sizeof(best));
	}
	return g_strdup(best);
}

static const struct {
	const char *name;
	guint64 ms;
} duration_units[] = {
	/* largest first: the order in which they may follow each other */
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

static gboolean duration_invalid(const char *text, GError **error)
{
	g_autofree char *shown = g_utf8_make_valid(text, strnlen(text, 40));

	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
		    "duration '%s' is not valid: give it with its unit, like 250ms, 30s, 5m or 1h", shown);
	return FALSE;
}

gboolean duration_parse(const char *text, guint64 *ms, GError **error)
{
	const char *at = text;
	gsize unit = 0;
	guint64 total = 0;

	do {
		guint64 number = 0, part;
		const char *letters;
		gsize length;

		if (!g_ascii_isdigit(*at))
			return duration_invalid(text, error);
		for (; g_ascii_isdigit(*at); at++)
			if (!g_uint64_checked_mul(&number, number, 10) ||
			    !g_uint64_checked_add(&number, number, (guint64)(*at - '0')))
				return duration_invalid(text, error);
		for (letters = at; g_ascii_isalpha(*at); at++)
			;
		length = (gsize)(at - letters);
		for (; unit < G_N_ELEMENTS(duration_units); unit++)
			if (strlen(duration_units[unit].name) == length &&
			    memcmp(duration_units[unit].name, letters, length) == 0)
				break;
		if (unit == G_N_ELEMENTS(duration_units))
			return duration_invalid(text, error);
		if (!g_uint64_checked_mul(&part, number, duration_units[unit].ms) ||
		    !g_uint64_checked_add(&total, total, part))
			return duration_invalid(text, error);
		unit++;
	} while (*at);
	*ms = total;
	return TRUE;
}

char *duration_format(guint64 ms)
{
	GString *text = g_string_new(NULL);

	for (gsize unit = 0; unit < G_N_ELEMENTS(duration_units); unit++) {
		guint64 count = ms / duration_units[unit].ms;

		ms %= duration_units[unit].ms;
		if (count)
			g_string_append_printf(text, "%" G_GUINT64_FORMAT "%s", count, duration_units[unit].name);
	}
	if (!text->len)
		g_string_append(text, "0s");
	return g_string_free(text, FALSE);
}

gboolean name_check(const char *text, GError **error)
{
	gsize length = strnlen(text, LIMIT_NAME_BYTES + 1);
	gboolean ok = length >= 1 && length <= LIMIT_NAME_BYTES && text[0] != '.' && text[0] != '-';

	for (gsize i = 0; ok && i < length; i++)
		ok = g_ascii_islower(text[i]) || g_ascii_isdigit(text[i]) || text[i] == '.' || text[i] == '-';
	if (!ok) {
		g_autofree char *shown = g_utf8_make_valid(text, (gssize)length);

		g_set_error(
			error, POLDER_ERROR, POLDER_ERROR_INVALID,
			"'%s' is not a valid name: use at most %d of a-z, 0-9, '.' and '-', beginning with a letter "
			"or digit",
			shown, LIMIT_NAME_BYTES);
	}
	return ok;
}

/* A port 1–65535 at *text, ended by `end`; moves *text past it. */
static gboolean port_parse(const char **text, char end, guint16 *port)
{
	guint number = 0;
	const char *at = *text;

	for (; g_ascii_isdigit(*at) && number <= G_MAXUINT16; at++)
		number = number * 10 + (guint)(*at - '0');
	if (at == *text || *at != end || number < 1 || number > G_MAXUINT16)
		return FALSE;
	*port = (guint16)number;
	*text = at + (end ? 1 : 0);
	return TRUE;
}

static gboolean publish_split(const char *text, struct publish *out)
{
	char copy[64];
	char *protocol;
	const char *at = copy;
	const char *first;
	struct in_addr address;

	if (g_strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return FALSE;
	protocol = strchr(copy, '/');
	if (protocol) {
		*protocol++ = '\0';
		if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
			return FALSE;
		out->udp = protocol[0] == 'u';
	}
	first = strchr(copy, ':');
	if (!first)
		return FALSE;
	if (strchr(first + 1, ':')) {
		copy[first - copy] = '\0';
		if (inet_pton(AF_INET, copy, &address) != 1)
			return FALSE;
		g_strlcpy(out->host_address, copy, sizeof(out->host_address));
		at = first + 1;
	}
	return port_parse(&at, ':', &out->host_port) && port_parse(&at, '\0', &out->guest_port);
}

gboolean publish_parse(const char *text, struct publish *out, GError **error)
{
	struct publish publish = { .host_address = "127.0.0.1" };

	if (!publish_split(text, &publish)) {
		g_autofree char *shown = g_utf8_make_valid(text, strnlen(text, 64));

		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "'%s' does not publish a port: give [ADDRESS:]HOST:GUEST[/tcp|/udp], like 8080:80 or "
			    "127.0.0.1:8080:80",
			    shown);
		return FALSE;
	}
	*out = publish;
	return TRUE;
}

gboolean publish_check(const char *text, GError **error)
{
	struct publish publish;

	return publish_parse(text, &publish, error);
}
