/* A made-up trace: "synthetic:vms=10000,seed=1,…".
 *
 *   vms        how many are asked for (10000)
 *   seed       (1)
 *   hours      the time their arrivals are spread over (168): Poisson, mean gap hours ÷ vms
 *   classes    sizes (64), drawn by Zipf's law (the n-th is asked for 1/n as often): 1 to 16 vCPUs, 1 to 8 GiB each
 *   tenants    (100), drawn by Zipf's law
 *   group      mean members of a group (4), asked for at once by one tenant, of one class, living alike
 *   life       median lifetime in hours (6), log-normal with
 *   sigma      (1.5), the deviation of its natural logarithm
 *
 * Only sums, products and comparisons of doubles are used (exponentials after von Neumann 1951, normals as sums of twelve
 * uniforms, 2^x by a polynomial), so that the same text makes the same trace on every machine. */
#pragma once

#include "lab/trace_rows.h"

struct generator;
/* generator_new(text, error): what follows "synthetic:". LAB_ERROR_INVALID lists the parameters. */
struct generator *generator_new(const char *text, GError **error);
void generator_free(struct generator *generator);
/* generator_next(generator, row): 1 and a VM row, or 0. */
int generator_next(struct generator *generator, struct trace_row *row);
