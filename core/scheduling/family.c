#include "core/scheduling/scheduling.h"

#include <assert.h>
#include <string.h>

#include "core/scheduling/strategies/strategies.h"

/* The order shown: by weight, by deadline, by plan, the simple ones, and those that fail on purpose. */
const struct scheduling_strategy *const scheduling_strategies[] = {
	&strategy_eevdf,         &strategy_stride,          &strategy_lottery,
	&strategy_bvt,           &strategy_credit,          &strategy_credit2,
	&strategy_edf,           &strategy_edf_cbs,         &strategy_table,
	&strategy_gang,          &strategy_relaxed_cosched, &strategy_pin,
	&strategy_fifo_priority, &strategy_round_robin,     &strategy_credit_tick,
};
const size_t scheduling_n_strategies = sizeof(scheduling_strategies) / sizeof(*scheduling_strategies);

/* The info is a strategy's first member, so the one list serves as both. */
static_assert(offsetof(struct scheduling_strategy, info) == 0, "the registry reads strategies as their infos");
const struct strategy_registry scheduling_registry = {
	.family = "scheduling",
	.entries = (const struct strategy_info *const *)scheduling_strategies,
	.n_entries = sizeof(scheduling_strategies) / sizeof(*scheduling_strategies),
};

const struct scheduling_strategy *scheduling_strategy_find(const char *name)
{
	return (const struct scheduling_strategy *)strategy_registry_find(&scheduling_registry, name);
}

const char *const scheduling_sharing_names[] = {
	[SCHEDULING_SHARE_ANY] = "off", [SCHEDULING_SHARE_VM] = "vm", [SCHEDULING_SHARE_NONE] = "vcpu", NULL
};

bool scheduling_sharing_parse(const char *name, enum scheduling_sharing *sharing)
{
	for (unsigned i = 0; scheduling_sharing_names[i] != NULL; i++)
		if (strcmp(name, scheduling_sharing_names[i]) == 0) {
			*sharing = (enum scheduling_sharing)i;
			return true;
		}
	return false;
}

const char *scheduling_strategy_check(const struct scheduling_strategy *strategy)
{
	const char *wrong = strategy_check(&strategy->info);

	if (wrong)
		return wrong;
	if (strategy->info.kind != STRATEGY_ONLINE)
		return "a scheduling strategy decides online";
	if (!strategy->admit || !strategy->retire)
		return "it needs admit and retire";
	if (!strategy->key || !strategy->keep || !strategy->preempt)
		return "it needs key, keep and preempt";
	if (!strategy->charge || !strategy->slice || !strategy->project)
		return "it needs charge, slice and project";
	if (!strategy->timer != !strategy->expire)
		return "timer and expire go together";
	if (!strategy->join != !strategy->leave)
		return "join and leave go together";
	if ((strategy->tick_ns > 0) != (strategy->tick != NULL))
		return "tick and its interval go together";
	if (strategy->steals && strategy->scope == SCHEDULING_GLOBAL)
		return "with one queue there is none to steal from";
	if (strategy->steals && !strategy->work_conserving)
		return "one that steals is work-conserving";
	return NULL;
}
