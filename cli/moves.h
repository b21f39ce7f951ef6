/* A plan of moves as people read it: for host drain and rebalance. */
#pragma once

#include <json-glib/json-glib.h>

/* moves_print(plan): its moves in order, what is stuck and why, what it gains and costs. */
void moves_print(JsonObject *plan);
