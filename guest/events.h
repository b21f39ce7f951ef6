/* What the kernel tells us: devices that appear (uevents) and the ACPI power button (an input device). */
#pragma once

#include "guest/loop.h"

struct events_host {
	void (*changed)(void *data, const char *subsystem); /* a device appeared or changed: "virtio-ports", "net" */
	void (*power_button)(void *data);
	void *data;
};

/* events_listen(loop, host): from now on; call before the modules are loaded. `host` is borrowed for ever. */
void events_listen(struct loop *loop, const struct events_host *host);
