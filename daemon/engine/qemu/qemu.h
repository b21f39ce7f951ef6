/* Engine "qemu": VMs by QEMU, with KVM where it is hardware and TCG elsewhere. See README.md and internal.h. */
#pragma once

#include "daemon/engine/engine.h"

extern const struct engine_ops engine_qemu;
