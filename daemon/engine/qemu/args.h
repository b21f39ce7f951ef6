/* QEMU's command line for a VM. No shell is involved; what a user can choose is validated and escaped here, again:
 * the plan is untrusted input to the agent. */
#pragma once

#include "daemon/engine/engine.h"

/* Numbers polder-vm gives QEMU's sockets (vm/vm.h: CHILD_FD_FIRST). */
enum args_fd { ARGS_FD_QMP = 10, ARGS_FD_GUEST, ARGS_FD_STREAM, ARGS_FD_CONSOLE };

#define ARGS_AGENT_ID "agent" /* device and chardev of the guest agent's port, as QMP names them */

/* args_new(config, qemu, accelerator, error): argv, argv[0] is `qemu` (absolute path); the caller frees it (g_strfreev).
 * accelerator: "kvm" or "tcg". POLDER_ERROR_INVALID naming what can't be run. */
char **args_new(const struct engine_config *config, const char *qemu, const char *accelerator, GError **error);

/* args_escape(value): commas doubled, as QEMU's key=value lists want them. Caller frees. */
char *args_escape(const char *value);
