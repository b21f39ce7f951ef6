/* Images on this host: builds `tiny`, imports files, keeps what it has in the cache.
 *
 * One directory an image: cache/image/NAME/{kernel,initrd,firmware}, world-readable so that a QEMU under its own uid
 * can open them; written beside and renamed into place, so a half-made image is never seen. */
#pragma once

#include <gio/gio.h>

#include "daemon/model/dirs.h"
#include "daemon/model/nouns.h"

struct image_builder;

/* Called from the main loop whenever the image's status changed (at most some ten times a second), and once at its end
 * with READY or FAILED. Borrowed. */
typedef void (*image_progress_func)(const char *name, const struct image_status *status, gpointer user_data);

/* image_builder_new(dirs, progress, user_data): sweeps away what a builder before left half-made. */
struct image_builder *image_builder_new(const struct dirs *dirs, image_progress_func progress, gpointer user_data);
void image_builder_free(struct image_builder *builder); /* ends running builds and waits for their processes */

/* image_builder_find(builder, image, status): what the cache holds for `image` right now, without building: READY with
 * its paths, or ABSENT. Initializes `status`. */
void image_builder_find(struct image_builder *builder, const struct image *image, struct image_status *status);

/* image_builder_build(builder, image): begin to make (or make anew) the image; ends in progress(). A build of the same
 * image that runs already is joined. Builtin: guest/build-tiny as an unprivileged child. Files: copied by a child that
 * runs as image->owner_uid, so that nobody imports what he may not read. */
void image_builder_build(struct image_builder *builder, const struct image *image);

/* image_builder_remove(builder, name, error): delete it from the cache. Running VMs keep their open files. */
gboolean image_builder_remove(struct image_builder *builder, const char *name, GError **error);
