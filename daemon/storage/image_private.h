/* Private to images: what the builder, its two kinds of build and the cache on disk share. */
#pragma once

#include "daemon/storage/image.h"

#define IMAGE_FILE_BYTES_MAX     (1ull << 30)
#define IMAGE_FIRMWARE_BYTES_MAX (16ull << 20)

/* ---- image_cache.c: the directories ----
 *
 *   cache/image/NAME/{kernel,initrd,firmware,meta}   what is ready; only ever whole, renamed into place
 *   cache/build/NAME-XXXXXX/                         one running build; what is left of dead ones is removed at start
 *   cache/packages/                                  Debian packages, kept so that a second build fetches nothing
 *
 * `meta` is "key=value" lines: build, built_at_us, cmdline, note, and the size of each file, which must be right. */

/* The parts an image may have, in the order of image_parts. */
enum image_part { IMAGE_PART_KERNEL, IMAGE_PART_INITRD, IMAGE_PART_FIRMWARE, IMAGE_PARTS };
extern const char *const image_parts[IMAGE_PARTS]; /* "kernel", … */

struct image_cache {
	char *images, *builds, *packages;
};

/* image_cache_init(cache, root): compute the paths under the cache's root. image_cache_clear frees them. */
void image_cache_init(struct image_cache *cache, const char *root);
void image_cache_clear(struct image_cache *cache);

/* image_cache_prepare(cache, error): make the directories. image_cache_sweep: remove what dead builds left. */
gboolean image_cache_prepare(const struct image_cache *cache, GError **error);
void image_cache_sweep(const struct image_cache *cache);

/* image_cache_find(cache, name, status): fill an initialized status from disk; TRUE when the image is there and whole. */
gboolean image_cache_find(const struct image_cache *cache, const char *name, struct image_status *status);

/* image_cache_install(cache, name, directory, status, error): write meta from status (build, cmdline, notes), make the
 * parts in `directory` ours, world-readable and durable, and put the directory in the place of cache/image/NAME. What was
 * there before is left in `directory`. Blocks. */
gboolean image_cache_install(const struct image_cache *cache, const char *name, const char *directory,
			     const struct image_status *status, GError **error);

/* image_tree_remove(path): remove a file or directory with all it holds, never following a link. FALSE: errno. */
gboolean image_tree_remove(const char *path);

/* image_error(error, path, what): POLDER_ERROR from errno, STORAGE_FULL with its next step where it is that. */
void image_error(GError **error, const char *path, const char *what);

/* ---- image.c: one build ---- */

struct build {
	struct image_builder *builder; /* NULL once the builder was freed: nobody is told any more */
	struct image image;
	struct image_status status;
	struct image_cache cache;
	char *directory; /* cache/build/NAME-XXXXXX, once made */
	GCancellable *cancellable;
	guint pending; /* asynchronous operations that refer to it */
	/* image_tiny.c */
	GSubprocess *process;
	GDataInputStream *lines;
	GByteArray *complaint; /* the end of the child's stderr */
	/* worker thread */
	GMutex lock;
	GCond idle;
	gboolean working;
	guint copied_percent; /* atomic: written by the worker */
	guint ticker;
};

/* build_step(build, percent, step): tell the progress. build_ended: finish(NULL: ready) and let go of the build. */
void build_step(struct build *build, guint percent, const char *step);
void build_ended(struct build *build, const GError *error);

/* build_work(build, work): run `work` in a worker thread (it returns FALSE with an error), then end the build. */
typedef gboolean (*build_work_func)(struct build *build, GError **error);
void build_work(struct build *build, build_work_func work);

/* image_tiny.c, image_files.c: begin; every path leads to build_ended. */
void image_tiny_start(struct build *build);
void image_files_start(struct build *build);
void image_tiny_kill(struct build *build); /* end its processes and wait for them */
