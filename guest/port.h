/* One end of a virtio-serial port (a socket in tests): bounded queues, and the host coming and going.
 *
 * While nobody is connected on the host's side the kernel reports a hang-up for ever. The port is then not polled but
 * wakes by SIGIO, which the virtio driver sends when that changes. */
#pragma once

#include <stddef.h>

#include "guest/buffer.h"
#include "guest/loop.h"

struct port;

struct port_events {
	void (*input)(void *data, const char *bytes, size_t count);
	void (*hangup)(void *data);  /* the host's side has closed: what was queued for it is gone */
	void (*drained)(void *data); /* the output queue fell below its half; may be NULL */
};

/* port_new(loop, fd, out_max, events, data): owns fd from now on. Input is not read while more than half of out_max waits
 * to be written: a peer that does not read is not answered. */
struct port *port_new(struct loop *loop, int fd, size_t out_max, const struct port_events *events, void *data);
void port_free(struct port *port);

/* port_out(port): where to append output; port_flush then sends what can be sent now. port_crowded: over its half. */
struct buffer *port_out(struct port *port);
void port_flush(struct port *port);
bool port_crowded(const struct port *port);

/* port_wake(port): look again whether the host is there. Call on SIGIO. */
void port_wake(struct port *port);

/* port_open(name): a descriptor of the virtio-serial port called `name`, or -1 while there is none. */
int port_open(const char *name);
