/* Inside explain. */
#pragma once

#include "core/allocation/explain.h"

/* The smallest single change that lets in a request that fits nowhere. The world is as before afterwards. */
struct allocation_relief explain_relief(struct allocation_world *world, const struct allocation_request *request);
