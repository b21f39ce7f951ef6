#include "core/strategy/random.h"

static uint64_t rotate(uint64_t x, int by)
{
	return (x << by) | (x >> (64 - by));
}

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void strategy_random_init(struct strategy_random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		random->state[i] = splitmix(&seed);
}

uint64_t strategy_random_next(struct strategy_random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t strategy_random_below(struct strategy_random *random, uint64_t n)
{
	unsigned __int128 product;
	uint64_t threshold;

	if (n == 0)
		return 0;
	product = (unsigned __int128)strategy_random_next(random) * n;
	threshold = -n % n;
	while ((uint64_t)product < threshold)
		product = (unsigned __int128)strategy_random_next(random) * n;
	return (uint64_t)(product >> 64);
}

double strategy_random_unit(struct strategy_random *random)
{
	return (double)(strategy_random_next(random) >> 11) * 0x1p-53;
}
