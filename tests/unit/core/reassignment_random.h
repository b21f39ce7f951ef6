/* Random instances of the machine reassignment problem, valid to begin with. */
#pragma once

#include <glib.h>

#include "core/allocation/rebalance.h"

struct random_instance {
	struct rebalance_problem problem;
	GPtrArray *parts;
};
void random_instance_init(struct random_instance *instance, GRand *random);
void random_instance_clear(struct random_instance *instance);
