#include "core/allocation/strategies/lifetime_model.h"

#include <stdlib.h>
#include <string.h>

/* Seconds. Fine where most VMs end, and beyond the end of what is ever asked. */
static const int32_t stretch_start_s[LIFETIME_STRETCHES + 1] = {
	0,     301,   601,   901,   1201,  1501,  1801,  2101,  2701,  3301,   4500,   6300,   8100,   10800,
	14400, 18000, 21600, 28800, 36000, 43200, 57600, 72000, 86400, 129600, 172800, 259200, 518400,
};
static const int32_t step_start_s[LIFETIME_STEPS + 1] = {
	0,     300,   600,   900,   1200,  1800,  2400,  3000,  3600,  5400,   7200,   9000,   10800,
	14400, 18000, 21600, 28800, 36000, 43200, 57600, 72000, 86400, 129600, 172800, 259200,
};

#define ENDED_START   3.0 /* what all VMs are taken to have done in each stretch before any was seen */
#define REACHED_START 10.0
#define HAZARD_MOST   0.95
#define LARGE_BATCH   20
#define BUCKETS       (1u << 14)

double lifetime_step_s(unsigned step)
{
	return step_start_s[step + 1] - step_start_s[step];
}

static double middle_s(unsigned step)
{
	return (step_start_s[step] + step_start_s[step + 1]) / 2.0;
}

static unsigned stretch_of(double age_s)
{
	unsigned stretch = 0;

	while (stretch < LIFETIME_STRETCHES - 1 && age_s >= stretch_start_s[stretch + 1])
		stretch++;
	return stretch;
}

static double age_s(const struct lifetime_vm *vm, int64_t now_ms)
{
	return now_ms > vm->placed_ms ? (double)(now_ms - vm->placed_ms) / 1000 : 0;
}

/* A walk along the survival from an age on; `hazard` is asked for each stretch once. */
struct walk {
	unsigned stretch;
	double at_s, alive; /* at its position */
};

static double walk_to(struct walk *walk, double to_s, const double *hazard)
{
	while (walk->stretch < LIFETIME_STRETCHES - 1 && to_s >= stretch_start_s[walk->stretch + 1]) {
		double start = stretch_start_s[walk->stretch], end = stretch_start_s[walk->stretch + 1];

		walk->alive *= 1 - hazard[walk->stretch] * (end - walk->at_s) / (end - start);
		walk->at_s = end;
		walk->stretch++;
	}
	double length = stretch_start_s[walk->stretch + 1] - stretch_start_s[walk->stretch];
	double share = (to_s - walk->at_s) / length;

	return walk->alive * (1 - hazard[walk->stretch] * (share > 1 ? 1 : share));
}

static void conclude(struct lifetime_model *model)
{
	for (unsigned kind = 0; kind < model->n_shapes * LIFETIME_PLACES; kind++) {
		struct walk walk = { .alive = 1 };

		for (unsigned i = 0; i < LIFETIME_STRETCHES; i++) {
			double all = (model->ended[i] + 1) / (model->reached[i] + 4);

			model->hazard[kind][i] = (model->kind_ended[kind][i] + LIFETIME_PRIOR * all) /
						 (model->kind_reached[kind][i] + LIFETIME_PRIOR);
		}
		for (unsigned i = 0; i < LIFETIME_STEPS; i++)
			model->survival[kind][i] = walk_to(&walk, middle_s(i), model->hazard[kind]);
	}
}

bool lifetime_model_init(struct lifetime_model *model)
{
	memset(model, 0, sizeof *model);
	model->n_buckets = BUCKETS;
	model->free_batch = ALLOCATION_NONE;
	model->bucket = malloc(BUCKETS * sizeof *model->bucket);
	if (!model->bucket)
		return false;
	for (uint32_t i = 0; i < BUCKETS; i++)
		model->bucket[i] = ALLOCATION_NONE;
	for (unsigned i = 0; i < LIFETIME_STRETCHES; i++) {
		model->ended[i] = ENDED_START;
		model->reached[i] = REACHED_START;
	}
	model->n_shapes = 1; /* the first is for all that find no place of their own */
	conclude(model);
	return true;
}

void lifetime_model_clear(struct lifetime_model *model)
{
	free(model->vm);
	free(model->batch);
	free(model->bucket);
}

/* Room for element `at`; new ones zeroed. */
static bool reserve(void **array, uint32_t *capacity, uint32_t at, size_t bytes)
{
	uint64_t wanted = *capacity ? *capacity : 64;
	char *grown;

	if (at < *capacity)
		return true;
	while (wanted <= at)
		wanted *= 2;
	grown = realloc(*array, wanted * bytes);
	if (!grown)
		return false;
	memset(grown + *capacity * bytes, 0, (wanted - *capacity) * bytes);
	*array = grown;
	*capacity = (uint32_t)wanted;
	return true;
}

static uint32_t bucket_of(const struct lifetime_model *model, uint32_t id)
{
	return id * 2654435761u & (model->n_buckets - 1);
}

static uint32_t batch_find(const struct lifetime_model *model, uint32_t id)
{
	uint32_t at = id ? model->bucket[bucket_of(model, id)] : ALLOCATION_NONE;

	while (at != ALLOCATION_NONE && model->batch[at].id != id)
		at = model->batch[at].next;
	return at;
}

/* false: out of memory. */
static bool batch_get(struct lifetime_model *model, uint32_t id, uint32_t *at)
{
	*at = batch_find(model, id);
	if (*at != ALLOCATION_NONE || id == 0)
		return true;
	*at = model->free_batch;
	if (*at != ALLOCATION_NONE)
		model->free_batch = model->batch[*at].next;
	else if (reserve((void **)&model->batch, &model->batch_capacity, model->n_batches, sizeof *model->batch))
		*at = model->n_batches++;
	else
		return false;
	model->batch[*at] = (struct lifetime_batch) { .id = id, .next = model->bucket[bucket_of(model, id)] };
	model->bucket[bucket_of(model, id)] = *at;
	return true;
}

static void batch_leave(struct lifetime_model *model, uint32_t at)
{
	struct lifetime_batch *batch = &model->batch[at];
	uint32_t *link = &model->bucket[bucket_of(model, batch->id)];

	if (--batch->alive > 0)
		return;
	while (*link != at)
		link = &model->batch[*link].next;
	*link = batch->next;
	batch->id = 0;
	batch->next = model->free_batch;
	model->free_batch = at;
}

static unsigned shape_find(const struct lifetime_model *model, const struct allocation_request *request)
{
	for (unsigned i = 1; i < model->n_shapes; i++)
		if (model->shape[i].cpu == request->amount[ALLOCATION_CPU] &&
		    model->shape[i].memory_mib == request->amount[ALLOCATION_MEMORY])
			return i;
	return 0;
}

static unsigned kind_of(unsigned shape, uint32_t before)
{
	return shape * LIFETIME_PLACES + (before < 1 ? 0 : before < 4 ? 1 : before < LARGE_BATCH ? 2 : 3);
}

bool lifetime_model_place(struct lifetime_model *model, const struct allocation_request *request, uint32_t vm,
			  int64_t now_ms)
{
	unsigned shape = shape_find(model, request);
	uint32_t before = 0, batch;

	if (!reserve((void **)&model->vm, &model->vm_capacity, vm, sizeof *model->vm) ||
	    !batch_get(model, request->batch, &batch))
		return false;
	if (shape == 0 && model->n_shapes < LIFETIME_SHAPES) {
		shape = model->n_shapes++;
		model->shape[shape].cpu = request->amount[ALLOCATION_CPU];
		model->shape[shape].memory_mib = request->amount[ALLOCATION_MEMORY];
		conclude(model);
	}
	if (batch != ALLOCATION_NONE) {
		before = model->batch[batch].placed++;
		model->batch[batch].alive++;
	}
	model->vm[vm] = (struct lifetime_vm) {
		.placed_ms = now_ms, .batch = batch, .kind = (uint16_t)kind_of(shape, before), .alive = true
	};
	return true;
}

/* The VM reached the end of its stretch alive (weight 1), or ended in it. */
static void account(struct lifetime_model *model, struct lifetime_vm *vm, bool ended)
{
	unsigned at = vm->stretch;

	model->reached[at]++;
	model->kind_reached[vm->kind][at]++;
	if (ended) {
		model->ended[at]++;
		model->kind_ended[vm->kind][at]++;
	}
	if (vm->batch == ALLOCATION_NONE)
		return;
	struct lifetime_batch *batch = &model->batch[vm->batch];
	batch->reached[at]++;
	batch->ended_in[at] += ended;
	batch->ended += ended;
	batch->expected += model->hazard[vm->kind][at] * (ended ? 0.5 : 1);
}

static void account_age(struct lifetime_model *model, struct lifetime_vm *vm, int64_t now_ms)
{
	unsigned now = stretch_of(age_s(vm, now_ms));

	while (vm->stretch < now) {
		account(model, vm, false);
		vm->stretch++;
	}
}

void lifetime_model_end(struct lifetime_model *model, uint32_t vm, int64_t now_ms)
{
	struct lifetime_vm *ended = vm < model->vm_capacity ? &model->vm[vm] : NULL;

	if (!ended || !ended->alive)
		return;
	account_age(model, ended, now_ms);
	account(model, ended, true);
	lifetime_model_forget(model, vm);
}

void lifetime_model_forget(struct lifetime_model *model, uint32_t vm)
{
	struct lifetime_vm *gone = vm < model->vm_capacity ? &model->vm[vm] : NULL;

	if (!gone || !gone->alive)
		return;
	gone->alive = false;
	if (gone->batch != ALLOCATION_NONE)
		batch_leave(model, gone->batch);
}

bool lifetime_model_renumber(struct lifetime_model *model, uint32_t from, uint32_t to)
{
	if (!reserve((void **)&model->vm, &model->vm_capacity, to, sizeof *model->vm))
		return false;
	model->vm[to] = model->vm[from];
	if (model->vm[to].batch != ALLOCATION_NONE)
		model->batch[model->vm[to].batch].alive++;
	return true;
}

void lifetime_model_learn(struct lifetime_model *model, int64_t now_ms)
{
	for (uint32_t vm = 0; vm < model->vm_capacity; vm++)
		if (model->vm[vm].alive)
			account_age(model, &model->vm[vm], now_ms);
	conclude(model);
}

void lifetime_model_survival(const struct lifetime_model *model, uint32_t vm, int64_t now_ms,
			     double survival[LIFETIME_STEPS])
{
	const struct lifetime_vm *one = &model->vm[vm];
	double age = age_s(one, now_ms), hazard[LIFETIME_STRETCHES];
	struct walk walk = { .stretch = stretch_of(age), .at_s = age, .alive = 1 };

	for (unsigned i = walk.stretch; i < LIFETIME_STRETCHES; i++) {
		hazard[i] = model->hazard[one->kind][i];
		if (one->batch == ALLOCATION_NONE)
			continue;
		const struct lifetime_batch *batch = &model->batch[one->batch];
		hazard[i] *= (1 + batch->ended) / (1 + batch->expected);
		hazard[i] = hazard[i] > HAZARD_MOST ? HAZARD_MOST : hazard[i];
		hazard[i] = (batch->ended_in[i] + hazard[i]) / (batch->reached[i] + 1);
	}
	for (unsigned i = 0; i < LIFETIME_STEPS; i++)
		survival[i] = walk_to(&walk, age + middle_s(i), hazard);
}

const double *lifetime_model_survival_new(const struct lifetime_model *model, const struct allocation_request *request)
{
	uint32_t batch = batch_find(model, request->batch);
	uint32_t before = batch == ALLOCATION_NONE ? 0 : model->batch[batch].placed;

	return model->survival[kind_of(shape_find(model, request), before)];
}

struct lifetime_batch *lifetime_model_batch(struct lifetime_model *model, uint32_t vm)
{
	uint32_t batch = vm < model->vm_capacity ? model->vm[vm].batch : ALLOCATION_NONE;

	return batch == ALLOCATION_NONE ? NULL : &model->batch[batch];
}
