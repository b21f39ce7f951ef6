#include "daemon/engine/engine.h"

#include "daemon/engine/qemu/qemu.h"
#include "daemon/engine/sim.h"

const struct engine_ops *const engines[] = { &engine_qemu, &engine_sim, NULL };
