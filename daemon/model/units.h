/* Sizes and durations as people write them, and names as we allow them. */
#pragma once

#include <glib.h>

/* size_parse(text, &bytes, error): "4096", "512K", "512M", "2G", "1T" (powers of 1024; also "2GiB", "2GB" and lower
 * case); no sign, no spaces, fractions like "1.5G" allowed when the result is whole bytes.
 * POLDER_ERROR_INVALID with an example otherwise, also on overflow. */
gboolean size_parse(const char *text, guint64 *bytes, GError **error);

/* size_format(bytes): shortest exact form ("512M", "1.5G"; never rounds: else plain bytes). Caller frees. */
char *size_format(guint64 bytes);

/* duration_parse(text, &ms, error): "250ms", "30s", "5m", "1h", "2d"; a plain number is refused ("30" → say 30s). */
gboolean duration_parse(const char *text, guint64 *ms, GError **error);

/* duration_format(ms): "250ms", "30s", "5m30s". Caller frees. */
char *duration_format(guint64 ms);

/* name_check(text, error): a valid object name (limits.h: LIMIT_NAME_BYTES), else POLDER_ERROR_INVALID saying which
 * characters are allowed. Usable as field.check. */
gboolean name_check(const char *text, GError **error);

/* publish_parse(text, out, error): "8080:80", "127.0.0.1:8080:80", "8080:80/udp". Host address defaults to 127.0.0.1. */
struct publish {
	char host_address[46]; /* numeric IPv4 */
	guint16 host_port, guest_port;
	gboolean udp;
};
gboolean publish_parse(const char *text, struct publish *out, GError **error);
gboolean publish_check(const char *text, GError **error); /* publish_parse without the result; usable as field.check */
