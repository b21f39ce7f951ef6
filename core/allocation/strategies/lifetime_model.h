/* How long VMs go on living, learned from those that lived: a discrete hazard (the chance to end within the next
 * stretch of age, given that it was reached) for each kind of VM, corrected by what befell the VM's batch.
 *
 * Kinds are shapes (vCPUs, memory) times the place within the batch (1st, 2nd to 4th, 5th to 20th, later: large
 * batches live shortest). Each VM that reaches the end of a stretch or ends in it counts once, so VMs still alive
 * teach as well (Kaplan and Meier 1958). A kind's hazard is drawn towards all VMs' as if it had seen LIFETIME_PRIOR
 * of those. For each batch: its frailty, the ends seen against those expected (one of each is taken for granted),
 * scales the hazard, and what its mates did in the very stretch is averaged in with a weight of one VM against their
 * number.
 *
 * All of it is memory of the past and is not in a snapshot: a model made from a world knows the ages of the VMs
 * there and has learned nothing. */
#pragma once

#include "core/allocation/world.h"

#define LIFETIME_STRETCHES 26 /* of age */
#define LIFETIME_STEPS     24 /* of time ahead */
#define LIFETIME_SHAPES    64
#define LIFETIME_PLACES    4
#define LIFETIME_KINDS     (LIFETIME_SHAPES * LIFETIME_PLACES)
#define LIFETIME_PRIOR     20.0

struct lifetime_vm {
	int64_t placed_ms;
	uint32_t batch; /* index in batches; ALLOCATION_NONE: none */
	uint16_t kind;
	uint8_t stretch; /* accounted up to here */
	bool alive;
};

struct lifetime_batch {
	uint32_t id;     /* the request's; 0: free */
	uint32_t next;   /* in its hash chain, or of the free ones */
	uint32_t alive;  /* VMs; without any it is forgotten */
	uint32_t placed; /* VMs so far */
	uint64_t mark;   /* for the caller */
	double expected, ended;
	float reached[LIFETIME_STRETCHES], ended_in[LIFETIME_STRETCHES];
};

struct lifetime_model {
	struct lifetime_vm *vm; /* by number */
	uint32_t vm_capacity;
	struct lifetime_batch *batch;
	uint32_t *bucket;
	uint32_t batch_capacity, n_batches, free_batch, n_buckets;
	struct {
		uint32_t cpu, memory_mib;
	} shape[LIFETIME_SHAPES];
	uint32_t n_shapes;
	double reached[LIFETIME_STRETCHES], ended[LIFETIME_STRETCHES];
	double kind_reached[LIFETIME_KINDS][LIFETIME_STRETCHES], kind_ended[LIFETIME_KINDS][LIFETIME_STRETCHES];
	double hazard[LIFETIME_KINDS][LIFETIME_STRETCHES];
	double survival[LIFETIME_KINDS][LIFETIME_STEPS]; /* of a new VM */
};

/* The length of a step of time ahead, and its middle from now on. */
double lifetime_step_s(unsigned step);

bool lifetime_model_init(struct lifetime_model *model); /* false: out of memory */
void lifetime_model_clear(struct lifetime_model *model);

/* A VM was placed, has ended. Both bring only its own account up to date. place: false: out of memory. */
bool lifetime_model_place(struct lifetime_model *model, const struct allocation_request *request, uint32_t vm,
			  int64_t now_ms);
void lifetime_model_end(struct lifetime_model *model, uint32_t vm, int64_t now_ms);
/* The same VM under another number, which is placed, too, until the first is forgotten. false: out of memory. */
bool lifetime_model_renumber(struct lifetime_model *model, uint32_t from, uint32_t to);
/* The VM is no longer there and did not end: nothing is learned from its going. */
void lifetime_model_forget(struct lifetime_model *model, uint32_t vm);

/* lifetime_model_learn(model, now_ms): account for the ages of all VMs alive and draw the conclusions. O(VMs). */
void lifetime_model_learn(struct lifetime_model *model, int64_t now_ms);

/* The chance that a VM is still alive in the middle of each step from now on. */
void lifetime_model_survival(const struct lifetime_model *model, uint32_t vm, int64_t now_ms,
			     double survival[LIFETIME_STEPS]);
/* The same of a VM that is about to be placed. */
const double *lifetime_model_survival_new(const struct lifetime_model *model, const struct allocation_request *request);

struct lifetime_batch *lifetime_model_batch(struct lifetime_model *model, uint32_t vm); /* NULL: none */
