/* What makes us PID 1 of `tiny`: file systems, host name, the console's shell, power. */
#pragma once

#include <stdbool.h>

#include "guest/agent_qga.h"
#include "guest/loop.h"

/* init_mount(): proc, sys, dev, devpts, shm, tmp, run. */
void init_mount(void);

/* init_option(name, value, bytes): the kernel command line's last `name=…`; false (and "") when it is not there. */
bool init_option(const char *name, char *value, unsigned bytes);

/* init_hostname(): polder.name= becomes the host name, else "tiny". */
void init_hostname(void);

/* init_console(loop): greet, and keep a shell running on the serial console. */
void init_console(struct loop *loop);

/* init_power(action): end every process (SIGTERM, a moment later SIGKILL), write out file systems, power off or reboot.
 * Does not return. */
void init_power(enum power_action action) __attribute__((noreturn));
