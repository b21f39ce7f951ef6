/* The images of this host: follows /image/, has them built or imported, writes /image-status/. */
#pragma once

#include "daemon/agent/writer.h"
#include "daemon/model/dirs.h"
#include "daemon/model/nouns.h"

struct images;

/* `changed` is called, never inside another call, when the status of the image called `name` changed. */
struct images *images_new(struct store *store, struct writer *writer, const struct dirs *dirs,
			  void (*changed)(const char *name, gpointer user_data), gpointer user_data);
void images_free(struct images *images); /* ends running builds; NULL is fine */

/* images_look(images, name, want): its status now, borrowed until the main loop runs again. An image that nobody
 * declared reads as FAILED with the reason. `want`: a VM needs it: begin to make it when it is not there (or its last
 * build failed). NULL: the list of images has not been read yet. */
const struct image_status *images_look(struct images *images, const char *name, gboolean want);
