/* Kernel modules of the image. */
#pragma once

/* modules_load(list_path): insert the modules named in the file, one path a line, in its order (dependencies first: the
 * image's builder has sorted them). One that can't be loaded is reported on stderr and skipped. */
void modules_load(const char *list_path);
