/* The guest agent: a subset of the QEMU guest agent's protocol (docs/interop/qemu-ga-ref), so that Polder talks the same
 * way to `tiny` and to images with the stock agent. One JSON object a request, one line a reply; 0xFF resets the reader. */
#pragma once

#include "guest/loop.h"

#define QGA_REQUEST_BYTES_MAX (1u << 20)
#define QGA_REPLY_BYTES_MAX   (1u << 20) /* what the host reads as one line at most */

enum power_action { POWER_OFF, POWER_REBOOT };

struct qga;

struct qga_host {
	void (*power)(void *data, enum power_action action);
	void *data;
};

/* qga_new(loop, fd, host): owns fd; `host` is borrowed for its life. */
struct qga *qga_new(struct loop *loop, int fd, const struct qga_host *host);
void qga_free(struct qga *qga); /* kills what guest-exec started */
void qga_wake(struct qga *qga); /* see port_wake */
