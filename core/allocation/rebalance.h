/* Improving what is already placed, move by move: the continuous strategies. One model for all: the machine reassignment
 * problem (ROADEF/EURO challenge 2012): processes on machines, with resources some of which are transient (charged on both
 * sides during a move), services whose processes must be on different machines and spread over locations, dependencies
 * between services by neighbourhood, and costs of load above a safety level, balance between resources, and moves. A live
 * world, a Ganeti cluster and a challenge instance all become one of these, with an objective.
 *
 * The owner of the continuous strategies defines the structs here. */
#pragma once
