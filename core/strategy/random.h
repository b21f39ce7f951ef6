/* Seeded pseudo-random numbers: the same seed gives the same sequence on every machine. xoshiro256** (Blackman and Vigna
 * 2018) seeded through splitmix64. */
#pragma once

#include <stdint.h>

struct strategy_random {
	uint64_t state[4];
};

void strategy_random_init(struct strategy_random *random, uint64_t seed);
uint64_t strategy_random_next(struct strategy_random *random);

/* strategy_random_below(random, n): uniform in [0, n), without modulo bias (Lemire 2019); 0 when n is 0. */
uint64_t strategy_random_below(struct strategy_random *random, uint64_t n);

/* strategy_random_unit(random): uniform in [0, 1), a multiple of 2^-53. */
double strategy_random_unit(struct strategy_random *random);
