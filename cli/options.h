/* The options of the commands in the one command table (commands.c); each list ends with a NULL name. */
#pragma once

#include "cli/command.h"

extern const struct option run_options[];
extern const struct option list_options[];
extern const struct option ps_options[];
extern const struct option exec_options[];
extern const struct option logs_options[];
extern const struct option stop_options[];
extern const struct option rm_options[];
extern const struct option events_options[];
extern const struct option capacity_options[];
extern const struct option host_add_options[];
extern const struct option overcommit_options[];
extern const struct option pool_options[];
extern const struct option rebalance_options[];
extern const struct option cpu_top_options[];
extern const struct option image_add_options[];
extern const struct option strategy_ls_options[];
extern const struct option strategy_select_options[];
extern const struct option strategy_optimize_options[];
extern const struct option strategy_apply_options[];
extern const struct option lab_rebalance_options[];
extern const struct option lab_allocation_options[];
extern const struct option lab_scheduling_options[];
