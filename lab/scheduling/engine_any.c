/* The loop for any table of operations. */
#include "lab/scheduling/engine_private.h"

static inline const struct scheduling_strategy *ops(const struct engine *engine)
{
	return engine->ops;
}

#include "lab/scheduling/engine_loop.h"

void engine_loop_any(struct engine *engine)
{
	loop(engine);
}
