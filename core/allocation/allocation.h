/* Allocation: which host takes a VM. Pure C17, libc only: no I/O, no clock, no globals, nothing allocated.
 *
 * A host fits a request when every hard constraint holds, tested in this order:
 *   engine  the host offers the engine the VM needs
 *   cpus    the VM has no more vCPUs than the host has CPUs (a VM's own vCPUs never share a CPU by need; different VMs
 *           may: vCPUs are overcommitted across VMs)
 *   memory  what the placed VMs, the host's own reserve and this VM take together is no more than the host has: memory
 *           is never overcommitted
 * A request that is not charged (a simulated VM: it has no guest and takes no real memory) still may not be larger than
 * the whole host; it merely leaves the account alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allocation_host {
	uint64_t cpus;
	uint64_t memory_bytes;
	uint64_t memory_reserved_bytes; /* kept for the host itself */
	uint64_t memory_placed_bytes;   /* sum over the charged VMs placed here */
	uint32_t engines;               /* bit set of the engines offered; the caller numbers them */
};

struct allocation_request {
	uint64_t cpus;
	uint64_t memory_bytes;
	uint32_t engine; /* exactly one bit */
	bool charged;    /* takes memory from the host's account */
};

enum allocation_constraint {
	ALLOCATION_ENGINE,
	ALLOCATION_CPUS,
	ALLOCATION_MEMORY,
	ALLOCATION_CONSTRAINTS, /* how many there are; as a result: none is violated */
};

#define ALLOCATION_NO_HOST SIZE_MAX

struct allocation_decision {
	size_t winner; /* index of the host, or ALLOCATION_NO_HOST */
	size_t ruled_out
		[ALLOCATION_CONSTRAINTS]; /* hosts looked at and ruled out, by the first constraint they violate */
};

/* allocation_free_bytes(host): memory left on `host`; 0 when it is overdrawn (its memory may have shrunk). */
uint64_t allocation_free_bytes(const struct allocation_host *host);

/* allocation_violates(host, request): the first constraint that keeps `request` off `host`, or ALLOCATION_CONSTRAINTS. */
enum allocation_constraint allocation_violates(const struct allocation_host *host,
					       const struct allocation_request *request);

/* allocation_charge, allocation_release(host, request): book a placement on the host's account and take it back. What is
 * released was charged before. */
void allocation_charge(struct allocation_host *host, const struct allocation_request *request);
void allocation_release(struct allocation_host *host, const struct allocation_request *request);

/* allocation_first_fit(hosts, n_hosts, request, decision): the first host, in the order given, on which everything fits
 * (Johnson 1973). O(n_hosts) at worst, and it stops at the winner: `ruled_out` then counts the hosts before it. */
void allocation_first_fit(const struct allocation_host *hosts, size_t n_hosts, const struct allocation_request *request,
			  struct allocation_decision *decision);
