#include "core/allocation/allocation.h"

#include <string.h>

uint64_t allocation_free_bytes(const struct allocation_host *host)
{
	uint64_t left = host->memory_bytes;

	left = left > host->memory_reserved_bytes ? left - host->memory_reserved_bytes : 0;
	return left > host->memory_placed_bytes ? left - host->memory_placed_bytes : 0;
}

enum allocation_constraint allocation_violates(const struct allocation_host *host,
					       const struct allocation_request *request)
{
	uint64_t room = request->charged ? allocation_free_bytes(host) : host->memory_bytes;

	if ((host->engines & request->engine) == 0)
		return ALLOCATION_ENGINE;
	if (request->cpus > host->cpus)
		return ALLOCATION_CPUS;
	if (request->memory_bytes > room)
		return ALLOCATION_MEMORY;
	return ALLOCATION_CONSTRAINTS;
}

void allocation_charge(struct allocation_host *host, const struct allocation_request *request)
{
	if (!request->charged)
		return;
	/* Saturates: plans come from the store, and a forged sum must not wrap into free memory. */
	if (request->memory_bytes > UINT64_MAX - host->memory_placed_bytes)
		host->memory_placed_bytes = UINT64_MAX;
	else
		host->memory_placed_bytes += request->memory_bytes;
}

void allocation_release(struct allocation_host *host, const struct allocation_request *request)
{
	if (!request->charged)
		return;
	host->memory_placed_bytes -=
		request->memory_bytes < host->memory_placed_bytes ? request->memory_bytes : host->memory_placed_bytes;
}

void allocation_first_fit(const struct allocation_host *hosts, size_t n_hosts, const struct allocation_request *request,
			  struct allocation_decision *decision)
{
	memset(decision, 0, sizeof(*decision));
	decision->winner = ALLOCATION_NO_HOST;
	for (size_t i = 0; i < n_hosts; i++) {
		enum allocation_constraint violated = allocation_violates(&hosts[i], request);

		if (violated == ALLOCATION_CONSTRAINTS) {
			decision->winner = i;
			return;
		}
		decision->ruled_out[violated]++;
	}
}
