/* Engine "sim": VMs without guests, for tests and scale. See sim.c. */
#pragma once

#include "daemon/engine/engine.h"

extern const struct engine_ops engine_sim;
