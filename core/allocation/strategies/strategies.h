/* Every strategy of the family, one file each, named after it. The list is in core/allocation/family.c. */
#pragma once

#include "core/allocation/family.h"

/* Online. */
extern const struct allocation_strategy strategy_first_fit;
extern const struct allocation_strategy strategy_next_fit;
extern const struct allocation_strategy strategy_best_fit;
extern const struct allocation_strategy strategy_worst_fit;
extern const struct allocation_strategy strategy_random;
extern const struct allocation_strategy strategy_power_of_d;
extern const struct allocation_strategy strategy_move_to_front;
extern const struct allocation_strategy strategy_dot_product;
extern const struct allocation_strategy strategy_l2_norm;
extern const struct allocation_strategy strategy_cosine;
extern const struct allocation_strategy strategy_fgd;
extern const struct allocation_strategy strategy_lifetime;
extern const struct allocation_strategy strategy_topsis;
extern const struct allocation_strategy strategy_weighted;

/* Batch. */
extern const struct allocation_strategy strategy_ffd;
extern const struct allocation_strategy strategy_bfd;
extern const struct allocation_strategy strategy_wfd;
extern const struct allocation_strategy strategy_bcs;
extern const struct allocation_strategy strategy_guided_ejection;

/* Continuous. */
extern const struct allocation_strategy strategy_greedy_descent;
extern const struct allocation_strategy strategy_annealing;
extern const struct allocation_strategy strategy_lns;
extern const struct allocation_strategy strategy_mmt;
extern const struct allocation_strategy strategy_consolidation;
