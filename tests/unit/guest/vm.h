/* A real VM of `tiny` under QEMU (TCG), for tests. */
#pragma once

#include "tests/unit/guest/client.h"

struct vm_here {
	GSubprocess *qemu;
	char *dir;
	struct client qga, stream;
	gint64 started_us;
};

struct image_status;
void vm_here_init(struct vm_here *vm, const struct image_status *image);
int vm_here_qmp(struct vm_here *vm);                      /* a blocking connection to its monitor, ready for commands */
gboolean vm_here_wait(struct vm_here *vm, guint seconds); /* QEMU has ended by itself in time */
char *vm_here_console(struct vm_here *vm);                /* what it wrote on its serial console */
void vm_here_clear(struct vm_here *vm);
