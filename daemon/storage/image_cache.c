#include "daemon/storage/image_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/field.h"

#define META_BYTES_MAX 65536
#define TREE_DEPTH_MAX 32

const char *const image_parts[IMAGE_PARTS] = { "kernel", "initrd", "firmware" };

void image_error(GError **error, const char *path, const char *what)
{
	int saved = errno;

	if (saved == ENOSPC || saved == EDQUOT)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_STORAGE_FULL, "%s %s: %s; next: free some space there",
			    what, path, g_strerror(saved));
	else
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "%s %s: %s", what, path, g_strerror(saved));
}

void image_cache_init(struct image_cache *cache, const char *root)
{
	cache->images = g_build_filename(root, "image", NULL);
	cache->builds = g_build_filename(root, "build", NULL);
	cache->packages = g_build_filename(root, "packages", NULL);
}

void image_cache_clear(struct image_cache *cache)
{
	g_clear_pointer(&cache->images, g_free);
	g_clear_pointer(&cache->builds, g_free);
	g_clear_pointer(&cache->packages, g_free);
}

gboolean image_cache_prepare(const struct image_cache *cache, GError **error)
{
	g_autofree char *root = g_path_get_dirname(cache->images);
	gboolean had_root = g_file_test(root, G_FILE_TEST_EXISTS);
	const char *const paths[] = { cache->images, cache->builds, cache->packages, root };

	/* QEMUs and builders, which have uids of their own, must pass, whatever our umask is. A root that others made is
	 * theirs to open. */
	for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
		gboolean ours = paths[i] != root || !had_root;

		if (g_mkdir_with_parents(paths[i], 0755) < 0 || (ours && chmod(paths[i], 0755) < 0)) {
			image_error(error, paths[i], "make directory");
			return FALSE;
		}
	}
	return TRUE;
}

void image_cache_sweep(const struct image_cache *cache)
{
	g_autoptr(GDir) dir = g_dir_open(cache->builds, 0, NULL);

	for (const char *name; dir && (name = g_dir_read_name(dir));) {
		g_autofree char *path = g_build_filename(cache->builds, name, NULL);
		if (!image_tree_remove(path))
			g_warning("remove what is left of a build, %s: %s", path, g_strerror(errno));
	}
}

static gboolean remove_at(int parent, const char *name, guint depth)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return TRUE;
	if ((errno != EISDIR && errno != EPERM) || depth == 0)
		return FALSE;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return FALSE;
	}
	gboolean all = TRUE;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			all = remove_at(fd, entry->d_name, depth - 1) && all;
	closedir(dir);
	return all && unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

gboolean image_tree_remove(const char *path)
{
	return remove_at(AT_FDCWD, path, TREE_DEPTH_MAX);
}

/* ---- Finding ---- */

static guint64 meta_number(GHashTable *meta, const char *key)
{
	const char *value = g_hash_table_lookup(meta, key);
	guint64 number = 0;

	return value && g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64, &number, NULL) ? number : 0;
}

/* key=value lines as a table; NULL when there is no such file, or it is not ours. */
static GHashTable *meta_read(const char *directory)
{
	g_autofree char *path = g_build_filename(directory, "meta", NULL);
	g_autofree char *text = NULL;
	struct stat info;
	gsize bytes;

	if (stat(path, &info) < 0 || info.st_size > META_BYTES_MAX || !g_file_get_contents(path, &text, &bytes, NULL) ||
	    !g_utf8_validate(text, bytes, NULL))
		return NULL;
	GHashTable *meta = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		char *equals = strchr(*line, '=');
		if (equals)
			g_hash_table_insert(meta, g_strndup(*line, equals - *line), g_strdup(equals + 1));
	}
	return meta;
}

static char *part_size_key(enum image_part part)
{
	return g_strconcat(image_parts[part], "_bytes", NULL);
}

gboolean image_cache_find(const struct image_cache *cache, const char *name, struct image_status *status)
{
	g_autofree char *directory = g_build_filename(cache->images, name, NULL);
	g_autoptr(GHashTable) meta = meta_read(directory);
	char **const paths[IMAGE_PARTS] = { &status->kernel, &status->initrd, &status->firmware };
	guint64 total = 0;

	for (guint part = 0; meta && part < IMAGE_PARTS; part++) {
		g_autofree char *key = part_size_key(part);
		g_autofree char *path = g_build_filename(directory, image_parts[part], NULL);
		struct stat info;
		if (!g_hash_table_contains(meta, key))
			continue;
		/* A size that is wrong: the disk was full or the power went at a bad moment. It has to be made again. */
		if (lstat(path, &info) < 0 || !S_ISREG(info.st_mode) || (guint64)info.st_size != meta_number(meta, key))
			return FALSE;
		total += info.st_size;
		*paths[part] = g_steal_pointer(&path);
	}
	if (!meta || !total)
		return FALSE;
	const char *note = g_hash_table_lookup(meta, "note");
	status->state = IMAGE_STATE_READY;
	status->progress_percent = 100;
	status->size_bytes = total;
	status->build = meta_number(meta, "build");
	status->built_at = meta_number(meta, "built_at_us");
	status->memory_min_bytes = meta_number(meta, "memory_min_bytes");
	status->cmdline = g_strdup(g_hash_table_lookup(meta, "cmdline"));
	if (note) {
		status->notes = g_new0(char *, 2);
		status->notes[0] = g_strdup(note);
	}
	return TRUE;
}

/* ---- Installing ---- */

/* Ours, readable by all, on the disk. `bytes`: its size, unchanged when the part is not there. */
static gboolean secure_part(int dir, enum image_part part, GString *meta, GError **error)
{
	int fd = openat(dir, image_parts[part], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat info;
	gboolean done = FALSE;

	if (fd < 0 && errno == ENOENT)
		return TRUE;
	if (fd < 0 || fstat(fd, &info) < 0)
		image_error(error, image_parts[part], "open the new");
	else if (!S_ISREG(info.st_mode) || info.st_size <= 0 || (guint64)info.st_size > IMAGE_FILE_BYTES_MAX)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "the new %s is no file of 1 byte to 1 GiB",
			    image_parts[part]);
	else if ((geteuid() == 0 && fchown(fd, 0, 0) < 0) || fchmod(fd, 0644) < 0 || fsync(fd) < 0)
		image_error(error, image_parts[part], "keep the new");
	else
		done = TRUE;
	if (done)
		g_string_append_printf(meta, "%s_bytes=%" G_GUINT64_FORMAT "\n", image_parts[part],
				       (guint64)info.st_size);
	if (fd >= 0)
		close(fd);
	return done;
}

static gboolean write_meta(int dir, const GString *meta, GError **error)
{
	int fd = openat(dir, "meta", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	gboolean done = fd >= 0 && write(fd, meta->str, meta->len) == (gssize)meta->len && fsync(fd) == 0;

	if (!done)
		image_error(error, "meta", "write");
	if (fd >= 0)
		close(fd);
	return done;
}

static gboolean fill_directory(int dir, const struct image_status *status, GError **error)
{
	g_autoptr(GString) meta = g_string_new(NULL);

	g_string_append_printf(meta, "build=%" G_GUINT64_FORMAT "\nbuilt_at_us=%" G_GINT64_FORMAT "\n", status->build,
			       g_get_real_time());
	if (status->cmdline)
		g_string_append_printf(meta, "cmdline=%s\n", status->cmdline);
	if (status->memory_min_bytes)
		g_string_append_printf(meta, "memory_min_bytes=%" G_GUINT64_FORMAT "\n", status->memory_min_bytes);
	if (status->notes && status->notes[0])
		g_string_append_printf(meta, "note=%s\n", status->notes[0]);
	for (guint part = 0; part < IMAGE_PARTS; part++)
		if (!secure_part(dir, part, meta, error))
			return FALSE;
	/* The builder's own meta goes: a child wrote it. */
	if (unlinkat(dir, "meta", 0) < 0 && errno != ENOENT) {
		image_error(error, "meta", "replace");
		return FALSE;
	}
	return write_meta(dir, meta, error) &&
	       (fsync(dir) == 0 || (image_error(error, "the new image", "sync"), FALSE));
}

gboolean image_cache_install(const struct image_cache *cache, const char *name, const char *directory,
			     const struct image_status *status, GError **error)
{
	g_autofree char *place = g_build_filename(cache->images, name, NULL);
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* First the directory becomes ours alone: from then on the child's user can't change what is in it. */
	if (dir < 0 || (geteuid() == 0 && fchown(dir, 0, 0) < 0) || fchmod(dir, 0755) < 0) {
		image_error(error, directory, "open");
		if (dir >= 0)
			close(dir);
		return FALSE;
	}
	gboolean done = fill_directory(dir, status, error);
	close(dir);
	if (!done)
		return FALSE;
	if (renameat2(AT_FDCWD, directory, AT_FDCWD, place, RENAME_NOREPLACE) == 0 ||
	    (errno == EEXIST && renameat2(AT_FDCWD, directory, AT_FDCWD, place, RENAME_EXCHANGE) == 0)) {
		int images = open(cache->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (images >= 0) {
			fsync(images);
			close(images);
		}
		return TRUE;
	}
	image_error(error, place, "put the image in place at");
	return FALSE;
}
