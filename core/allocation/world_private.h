/* Inside the world. Nothing outside core/allocation's world files includes this.
 *
 * What is free on a host is a function of its type and the list of its VMs: each VM's charge follows from its class, the
 * host's type and the set of nodes it is on. So a host that is overdrawn needs no second account: it is counted again
 * from its list at each change, until it no longer is.
 *
 * One hash table holds all counters of groups (groups.c):
 *	(group, level, domain)               a: members there       b: VMs there that avoid the group at that level
 *	(group, ALLOCATION_LEVELS, TOTAL)    a: members in all      b: first watch of the group + 1
 *	(group, ALLOCATION_LEVELS, AVOIDERS) a: VMs that avoid it
 * Entries that are all zero are not kept.
 *
 * A watch (watches.c) keeps, for one group, level and eligibility, how many eligible domains hold how many members: a
 * place or remove shifts one domain by one, so the least count is known at all times. */
#pragma once

#include "core/allocation/world.h"

#define WORLD_CLASS_CHUNK   256
#define WORLD_GROUP_ENTRIES (ALLOCATION_MEMBER_MAX * (ALLOCATION_LEVELS + 1) + ALLOCATION_TERMS_MAX * 2)
#define WORLD_NUMBERS_MAX   (1u << 30) /* hosts and domains: a key has 30 bits for them */
#define WORLD_TOTAL         0u
#define WORLD_AVOIDERS      1u
#define WORLD_REQUEST_BYTES \
	(offsetof(struct allocation_request, spread) + sizeof(struct allocation_spread[ALLOCATION_SPREADS_MAX]))

/* ---- map.c: open addressing, linear probing, backward-shift deletion; key 0 is none ---- */
struct world_entry {
	uint64_t key;
	uint32_t a, b;
};
struct world_map {
	struct world_entry *entries;
	uint32_t capacity; /* power of two, or 0 */
	uint32_t n;
};
uint64_t world_hash(const void *bytes, size_t n);                                   /* never 0 */
const struct world_entry *world_map_get(const struct world_map *map, uint64_t key); /* NULL: none */
bool world_map_reserve(struct world_map *map, uint64_t more);
struct world_entry *world_map_put(struct world_map *map, uint64_t key); /* there must be room */
void world_map_drop(struct world_map *map, uint64_t key);               /* must be there */
bool world_map_copy(struct world_map *to, const struct world_map *from);
/* Make room for n elements of `bytes`, new ones zeroed. Alignment 64. false: out of memory. */
bool world_array_reserve(void *array, uint32_t *capacity, uint64_t n, size_t bytes);
bool world_array_copy(void *to, const void *from, size_t bytes);

/* ---- the parts ---- */
struct world_type {
	struct allocation_host host; /* without what each host has of its own: rack, zone, cordoned, powered */
	uint64_t hash;
	uint32_t refs; /* 0: free */
	uint32_t next; /* of the same hash, or of the free ones; + 1 */
};

struct world_class {
	struct allocation_request request; /* first */
	uint64_t hash;
	uint32_t refs; /* 0: free */
	uint32_t next; /* of the same hash, or of the free ones; + 1 */
	uint32_t generation;
	uint32_t watch[ALLOCATION_SPREADS_MAX]; /* + 1; 0: none */
};

/* Racks or zones: dense numbers from 1. */
struct world_domains {
	uint32_t *n_hosts;
	uint64_t *keys; /* in the map of domains */
	uint32_t n_hosts_capacity, keys_capacity;
	uint32_t n;      /* highest number + 1 */
	uint32_t lowest; /* no free number is below */
};

/* Which hosts a request could use by label and engine. */
struct world_eligibility {
	uint64_t required, forbidden;
	uint32_t engine;
	uint32_t refs;                        /* 0: free */
	uint32_t *n_hosts[ALLOCATION_LEVELS]; /* eligible hosts per domain; RACK and ZONE only */
	uint32_t capacity[ALLOCATION_LEVELS];
	uint32_t n_domains[ALLOCATION_LEVELS]; /* domains that have one */
};

struct world_watch {
	uint32_t group; /* 0: free */
	uint8_t level;
	uint32_t eligibility;
	uint32_t refs; /* spreads of classes; kept without any while the group has members */
	uint32_t next; /* of the group, or of the free ones; + 1 */
	uint32_t capacity;
	uint32_t *domains; /* [count]: eligible domains with so many members; count ≥ 1 */
	uint32_t n;        /* their sum */
	uint32_t least;    /* least count there is; 0 when n == 0 */
};

/* For each host: sum and sum of squares of its VMs' tenants. All are one tenant exactly when n × squares = sum²
 * (Cauchy–Schwarz), so no removal needs to look at the VMs that stay. */
struct world_tenants {
	uint64_t sum, squares_high, squares_low;
};

#define WORLD_HEADROOM_HOSTS_MAX 8
#define WORLD_FULLEST            32
struct world_headroom {
	uint32_t hosts;
	bool known;
	uint64_t free[ALLOCATION_DIMENSIONS]; /* of hosts that take VMs */
	struct world_full {
		uint32_t host;
		uint64_t used;
	} fullest[ALLOCATION_DIMENSIONS][WORLD_FULLEST]; /* fullest first, ties to the lower host; none is fuller */
	uint32_t n_fullest[ALLOCATION_DIMENSIONS];
	bool all[ALLOCATION_DIMENSIONS]; /* these are all hosts */
};

struct allocation_world {
	struct allocation_host_state *hosts;
	uint32_t hosts_capacity, n_hosts, lowest_host;
	struct world_tenants *tenants;
	uint32_t tenants_capacity;
	struct world_type *types;
	uint32_t types_capacity, n_types, free_type; /* + 1 */
	struct world_map type_of;                    /* hash → first type + 1 */
	struct world_class **class_chunks;
	uint32_t class_chunks_capacity, n_classes, free_class; /* + 1 */
	struct world_map class_of;                             /* hash → first class + 1 */
	struct allocation_placement *vms;
	uint32_t vms_capacity, n_vms, free_vm;           /* + 1 */
	struct world_domains domains[ALLOCATION_LEVELS]; /* RACK and ZONE only */
	struct world_map domain_of;                      /* level and caller's number → dense number */
	struct world_map groups;
	struct world_eligibility *eligibilities;
	uint32_t eligibilities_capacity, n_eligibilities;
	struct world_watch *watches;
	uint32_t watches_capacity, n_watches, free_watch; /* + 1 */
	struct world_lists *lists;                        /* NULL until a class needs them */
	struct world_headroom *headroom;                  /* a cache: changes under const */
};

static inline struct world_class *world_class_at(const struct allocation_world *world, uint32_t class_id)
{
	return &world->class_chunks[class_id / WORLD_CLASS_CHUNK][class_id % WORLD_CLASS_CHUNK];
}

static inline uint64_t world_group_key(uint32_t group, uint32_t level, uint32_t domain)
{
	return (uint64_t)group << 32 | (uint64_t)level << 30 | domain;
}

static inline uint32_t world_domain(const struct allocation_host_state *state, uint32_t host, uint32_t level)
{
	return level == ALLOCATION_HOST ? host : level == ALLOCATION_RACK ? state->rack : state->zone;
}

/* ---- charge.c ---- */
/* What the i-th of k nodes is charged. */
void world_share(const struct allocation_request *request, const struct allocation_host *type, uint32_t k, uint32_t i,
		 uint32_t share[ALLOCATION_NODE_DIMENSIONS]);
/* In all, per dimension of a node. */
void world_total(const struct allocation_request *request, const struct allocation_host *type,
		 uint32_t total[ALLOCATION_NODE_DIMENSIONS]);
struct world_used {
	uint64_t node[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS];
	uint64_t of[ALLOCATION_HOST_DIMENSIONS];
};
/* What the VMs on its list take. */
void world_host_used(const struct allocation_world *world, uint32_t host, struct world_used *used);
/* Count a host's account again from its list. */
void world_host_recount(struct allocation_world *world, uint32_t host);

/* ---- groups.c ---- */
uint32_t world_group_count(const struct allocation_world *world, uint64_t key);
bool world_groups_reserve(struct allocation_world *world, const struct allocation_request *request, uint64_t n_vms);
void world_groups_add(struct allocation_world *world, const struct allocation_request *request, uint32_t host);
void world_groups_remove(struct allocation_world *world, const struct allocation_request *request, uint32_t host);
bool world_has_groups(const struct allocation_request *request);
bool world_is_member(const struct allocation_request *request, uint32_t group);
/* The first hard constraint between VMs that is broken there, or ALLOCATION_CONSTRAINTS. */
enum allocation_constraint world_relations(const struct allocation_world *world,
					   const struct allocation_request *request, uint32_t host);

/* ---- watches.c ---- */
bool world_type_is_eligible(const struct allocation_host *type, const struct world_eligibility *eligibility);
bool world_domains_reserve(struct allocation_world *world, uint32_t level, uint64_t n);
void world_eligibilities_join(struct allocation_world *world, uint32_t host);
void world_eligibilities_leave(struct allocation_world *world, uint32_t host);
bool world_watch_ref(struct allocation_world *world, const struct allocation_request *request,
		     const struct allocation_spread *spread, uint32_t *watch); /* + 1 */
void world_watch_unref(struct allocation_world *world, uint32_t watch);        /* + 1 */
bool world_watches_reserve(struct allocation_world *world, uint32_t group, uint64_t members);
/* A domain of the group went from `before` to `now` members; they differ by one. */
void world_watches_shift(struct allocation_world *world, uint32_t group, uint32_t level, uint32_t domain,
			 const uint32_t before_now[2]);
bool world_host_is_eligible(const struct allocation_world *world, uint32_t host,
			    const struct world_eligibility *eligibility);
void world_watches_sweep(struct allocation_world *world, uint32_t group); /* free those nobody needs */
/* The fewest members of the spread's group in an eligible domain; UINT32_MAX: there is none. */
uint32_t world_watch_least(const struct allocation_world *world, const struct allocation_request *request,
			   const struct allocation_spread *spread);
void world_watches_free(struct allocation_world *world);
bool world_watches_copy(struct allocation_world *to, const struct allocation_world *from);

/* ---- lists.c: members by host and rack ---- */
bool world_lists_make(struct allocation_world *world); /* there are none yet */
void world_lists_free(struct world_lists *lists);
bool world_lists_copy(struct allocation_world *to, const struct allocation_world *from);
const char *world_lists_verify(const struct allocation_world *world);
bool world_lists_reserve_members(struct allocation_world *world, uint64_t n_vms);
bool world_lists_reserve_host(struct allocation_world *world, uint32_t host);
/* The first member came to a domain, the last one left it. */
void world_list_join(struct allocation_world *world, uint32_t group, uint32_t level, uint32_t domain);
void world_list_leave(struct allocation_world *world, uint32_t group, uint32_t level, uint32_t domain);
void world_list_join_rack(struct allocation_world *world, uint32_t host);
void world_list_leave_rack(struct allocation_world *world, uint32_t host);

/* ---- headroom.c ---- */
uint64_t world_headroom_free(const struct allocation_host_state *state, unsigned d); /* over its nodes */
uint64_t world_headroom_used(const struct allocation_world *world, uint32_t host, unsigned d);
bool world_headroom_takes_vms(const struct allocation_host_state *state);
bool world_headroom_allows(const struct allocation_world *world, const struct allocation_request *request,
			   uint32_t host);
/* Before and after a change of one host's account. */
void world_headroom_before(struct allocation_world *world, uint32_t host);
void world_headroom_after(struct allocation_world *world, uint32_t host);
