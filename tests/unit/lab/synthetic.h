/* A family of our own making, small enough to know every answer. */
#pragma once

#include "lab/evaluate.h"

/* strategies: plain (0.6, 0.95, 0.5), good (0.9, 0.95, 0.5), noisy (0.6 ± 0.2 by seed), hill (a parameter x, best at 0.7,
 * on both parts), trap (a parameter x, better on the part to tune on and worse on the held-out one), blind (no security),
 * broken (fails), batch (can't run live), odd (not applicable). Each also has figures cost, and time with a clock. */
extern const struct lab_family synthetic_family;
