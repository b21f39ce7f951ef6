/* The image `tiny`, for tests that boot it. */
#pragma once

#include "daemon/model/nouns.h"

/* tiny_image(status): build the image into the tests' cache (POLDER_TEST_CACHE, else test-cache in the build tree) unless
 * what is there is of this very build. */
void tiny_image(struct image_status *status);
