#include "cli/progress.h"

#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/terminal.h"

#define BAR_COLUMNS   24
#define LINE_PERCENT  10                    /* a plain line every so much, */
#define LINE_PAUSE_US (10 * G_USEC_PER_SEC) /* or so long after the latest */

struct progress {
	int fd;
	char *title;
	gint64 quiet_until;
	gboolean terminal, shown;
	char *last; /* plain lines: the step printed last, how far it was, and when that was */
	int last_percent;
	gint64 last_at;
};

struct progress *progress_new(int fd, const char *title, guint quiet_ms)
{
	struct progress *progress = g_new0(struct progress, 1);

	progress->fd = fd;
	progress->title = g_strdup(title);
	progress->quiet_until = g_get_monotonic_time() + (gint64)quiet_ms * 1000;
	progress->terminal = isatty(fd);
	return progress;
}

static void put(const struct progress *progress, const char *text)
{
	/* Progress that can't be shown is no reason to fail. */
	if (write(progress->fd, text, strlen(text)) < 0)
		return;
}

static void draw_bar(struct progress *progress, int percent, const char *step)
{
	g_autoptr(GString) line = g_string_new(progress->title);
	guint rows, columns;
	const char *end;

	if (percent >= 0) {
		int filled = percent * BAR_COLUMNS / 100;

		g_string_append(line, "  [");
		for (int i = 0; i < BAR_COLUMNS; i++)
			g_string_append_c(line, i < filled ? '#' : '.');
		g_string_append_printf(line, "] %3d%%", percent);
	}
	if (*step)
		g_string_append_printf(line, "  %s", step);
	terminal_size(progress->fd, &rows, &columns);
	/* A line that wraps could not be taken back. */
	if (text_width(line->str) >= columns) {
		end = g_utf8_offset_to_pointer(line->str, MIN(g_utf8_strlen(line->str, -1), (glong)columns - 1));
		g_string_truncate(line, (gsize)(end - line->str));
	}
	g_string_prepend(line, "\r\033[K");
	put(progress, line->str);
	progress->shown = TRUE;
}

/* "12 of 90" after "11 of 90": but for their digits they are alike. */
static gboolean counts_on(const char *before, const char *now)
{
	if (!before)
		return FALSE;
	for (;;) {
		before += strspn(before, "0123456789");
		now += strspn(now, "0123456789");
		if (*before != *now)
			return FALSE;
		if (!*now)
			return TRUE;
		before++;
		now++;
	}
}

void progress_update(struct progress *progress, int percent, const char *step)
{
	g_autofree char *text = text_printable(step ? step : "");
	g_autofree char *line = NULL;

	if (g_get_monotonic_time() < progress->quiet_until)
		return;
	percent = MIN(percent, 100);
	if (progress->terminal) {
		draw_bar(progress, percent, text);
		return;
	}
	if (g_strcmp0(progress->last, text) == 0)
		return;
	/* Where it counts on, a line for each count would drown what matters. */
	if (counts_on(progress->last, text) && percent < progress->last_percent + LINE_PERCENT &&
	    g_get_monotonic_time() < progress->last_at + LINE_PAUSE_US)
		return;
	progress->last_percent = percent;
	progress->last_at = g_get_monotonic_time();
	g_free(progress->last);
	progress->last = g_strdup(text);
	if (percent >= 0)
		line = g_strdup_printf("%s%s%s (%d%%)\n", progress->title, *text ? ": " : "", text, percent);
	else
		line = g_strdup_printf("%s%s%s\n", progress->title, *text ? ": " : "", text);
	put(progress, line);
}

void progress_count(guint done, guint total, gpointer progress)
{
	g_autofree char *step = g_strdup_printf("%u of %u", done, total);

	progress_update(progress, total ? (int)((guint64)done * 100 / total) : -1, step);
}

void progress_free(struct progress *progress)
{
	if (!progress)
		return;
	if (progress->shown)
		put(progress, "\r\033[K");
	g_free(progress->title);
	g_free(progress->last);
	g_free(progress);
}
