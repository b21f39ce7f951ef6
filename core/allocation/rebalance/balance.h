/* Evening out a live world: steepest descent on the variance, over powered hosts, of the used shares of CPU and memory. */
#pragma once

#include "core/allocation/rebalance/search.h"

/* rebalance_balance(search, patience): moves off the most used hosts, best first; ends when `patience` hosts in a row have no
 * VM whose move gains, or at the limits. false: out of memory. */
bool rebalance_balance(struct rebalance_search *search, uint32_t patience);
