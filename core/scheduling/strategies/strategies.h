/* All strategies, for family.c. */
#pragma once

#include "core/scheduling/scheduling.h"

extern const struct scheduling_strategy strategy_edf;
extern const struct scheduling_strategy strategy_eevdf;
extern const struct scheduling_strategy strategy_round_robin;
extern const struct scheduling_strategy strategy_stride;
extern const struct scheduling_strategy strategy_edf_cbs;
extern const struct scheduling_strategy strategy_lottery;
extern const struct scheduling_strategy strategy_bvt;
extern const struct scheduling_strategy strategy_fifo_priority;
extern const struct scheduling_strategy strategy_pin;
extern const struct scheduling_strategy strategy_credit;
extern const struct scheduling_strategy strategy_credit_tick;
extern const struct scheduling_strategy strategy_credit2;
extern const struct scheduling_strategy strategy_gang;
extern const struct scheduling_strategy strategy_relaxed_cosched;
extern const struct scheduling_strategy strategy_table;
