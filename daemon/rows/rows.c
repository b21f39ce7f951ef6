#include "daemon/rows/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define PIECE_BYTES 65536u

/* ---- Opening ---- */

static gboolean begins_with(int fd, const char *header)
{
	gsize bytes = strlen(header);
	g_autofree char *head = g_malloc(bytes);

	return pread(fd, head, bytes, 0) == (ssize_t)bytes && memcmp(head, header, bytes) == 0;
}

/* Bytes up to the last end of a line; -1 with errno. */
static gint64 whole_bytes(int fd, gint64 bytes)
{
	g_autofree char *piece = g_malloc(PIECE_BYTES);

	while (bytes > 0) {
		gint64 from = MAX(bytes - PIECE_BYTES, 0);
		ssize_t got = pread(fd, piece, (gsize)(bytes - from), (off_t)from);
		const char *end = got > 0 ? memrchr(piece, '\n', (gsize)got) : NULL;

		if (got < 0)
			return -1;
		if (end)
			return from + (end - piece) + 1;
		bytes = from;
	}
	return 0;
}

static gboolean recover(struct row_file *file, const char *header)
{
	struct stat st;
	gint64 whole;

	if (fstat(file->fd, &st) < 0)
		return FALSE;
	whole = begins_with(file->fd, header) ? whole_bytes(file->fd, st.st_size) : 0;
	if (whole < 0 || (whole < st.st_size && ftruncate(file->fd, whole) < 0))
		return FALSE;
	file->bytes = (guint64)whole;
	return TRUE;
}

gboolean row_file_open(struct row_file *file, const char *path, const char *header, GError **error)
{
	*file = (struct row_file) { .path = g_strdup(path), .older = g_strconcat(path, ".1", NULL) };
	file->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->fd >= 0 && recover(file, header))
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "open %s: %s", path, g_strerror(errno));
	row_file_close(file);
	return FALSE;
}

void row_file_close(struct row_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	g_clear_pointer(&file->path, g_free);
	g_clear_pointer(&file->older, g_free);
}

/* ---- Writing ---- */

void row_file_append(struct row_file *file, GString *rows)
{
	const char *at = rows->str;
	gsize left = rows->len;

	while (left) {
		ssize_t n = write(file->fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (!file->failed)
				g_warning("%s can't be written, rows are lost: %s", file->path, g_strerror(errno));
			file->failed = TRUE;
			/* Half a row is worse than none; O_APPEND goes on where it ends. */
			if (ftruncate(file->fd, (off_t)file->bytes) < 0)
				g_warning("%s: %s", file->path, g_strerror(errno));
			break;
		}
		at += n;
		left -= (gsize)n;
	}
	if (!left) {
		file->bytes += rows->len;
		file->failed = FALSE;
	}
	g_string_truncate(rows, 0);
}

gboolean row_file_turn(struct row_file *file)
{
	int fd;

	if (rename(file->path, file->older) < 0) {
		g_warning("%s can't be put aside: %s", file->path, g_strerror(errno));
		return FALSE;
	}
	fd = open(file->path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		g_warning("%s can't be made: %s", file->path, g_strerror(errno));
		rename(file->older, file->path);
		return FALSE;
	}
	close(file->fd);
	file->fd = fd;
	file->bytes = 0;
	return TRUE;
}
