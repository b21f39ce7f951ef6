/* The loop for one strategy. The build defines ENGINE_SOURCE, the strategy's source, which is compiled into this one so that
 * its operations become part of the loop; ENGINE_TABLE, what its table is called here; and ENGINE_LOOP, the name of the loop. */
#include ENGINE_SOURCE

#include "lab/scheduling/engine_private.h"

static inline const struct scheduling_strategy *ops(const struct engine *engine)
{
	return &ENGINE_TABLE;
}

#include "lab/scheduling/engine_loop.h"

void ENGINE_LOOP(struct engine *engine)
{
	loop(engine);
}
