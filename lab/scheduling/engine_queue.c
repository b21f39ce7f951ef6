#include "lab/scheduling/engine_private.h"
#include "lab/scheduling/kernel.h"

/* Whether its time has come by the queue's clock. */
static gboolean eligible(struct engine *engine, const struct queue *queue, const struct scheduling_entity *entity)
{
	return !scheduling_before(engine->system.queues[queue - engine->queue].virtual_time, entity->eligible);
}

void queue_push(struct engine *engine, struct queue *queue, guint id)
{
	struct scheduling_entity *e = entity(engine, id);
	struct queue_node node = { 0, queue_order(e) };

	engine->n_queued++;
	if (engine->ops->eligibility && !eligible(engine, queue, e)) {
		node.key = e->eligible;
		heap_push(&queue->future, node);
	} else {
		node.key = engine->ops->key(&engine->system, e);
		heap_push(&queue->ready, node);
	}
}

/* From one heap into the other what belongs there by now. */
static void sort_out(struct engine *engine, struct queue *queue)
{
	gint64 now = engine->system.queues[queue - engine->queue].virtual_time;

	while (queue->future.n && !scheduling_before(now, queue->future.node[0].key)) {
		struct queue_node node = queue->future.node[0];

		heap_remove(&queue->future, 0);
		node.key = engine->ops->key(&engine->system, entity(engine, queue_id(&node)));
		heap_push(&queue->ready, node);
	}
	while (queue->ready.n) {
		struct queue_node node = queue->ready.node[0];
		const struct scheduling_entity *e = entity(engine, queue_id(&node));

		if (!scheduling_before(now, e->eligible))
			break;
		heap_remove(&queue->ready, 0);
		node.key = e->eligible;
		heap_push(&queue->future, node);
	}
}

guint queue_head(struct engine *engine, struct queue *queue)
{
	if (engine->ops->eligibility)
		sort_out(engine, queue);
	return queue->ready.n ? queue_id(&queue->ready.node[0]) : NONE;
}

void queue_pop(struct engine *engine, struct queue *queue)
{
	engine->n_queued--;
	heap_remove(&queue->ready, 0);
}

static gboolean heap_drop(struct queue_heap *heap, guint id)
{
	for (guint i = 0; i < heap->n; i++)
		if (queue_id(&heap->node[i]) == id) {
			heap_remove(heap, i);
			return TRUE;
		}
	return FALSE;
}

void queue_remove(struct engine *engine, struct queue *queue, guint id)
{
	gboolean there = heap_drop(&queue->ready, id) || heap_drop(&queue->future, id);

	g_assert(there);
	engine->n_queued--;
}

gboolean engine_allowed(struct engine *engine, guint id, guint cpu)
{
	guint mask = g_array_index(engine->workload->tasks, struct task, id).mask;
	const guint64 *bits;

	if (engine->setup->host && !lab_kernel_allows(engine->setup->host, id, cpu))
		return FALSE;
	if (!mask)
		return TRUE;
	bits = engine->workload->masks->pdata[mask - 1];
	return bits[cpu / 64] >> cpu % 64 & 1;
}

gboolean engine_may_share(struct engine *engine, guint id, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads;

	if (engine->setup->sharing == SCHEDULING_SHARE_ANY)
		return TRUE;
	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++) {
		guint other = engine->system.cpus[i].running;

		if (i == cpu || other == NONE)
			continue;
		if (!scheduling_compat(engine->setup->sharing, entity(engine, other), entity(engine, id)))
			return FALSE;
	}
	return TRUE;
}

/* `node` by its key, eligible or not. */
static void best_by_key(struct engine *engine, struct queue_node node, guint cpu, struct queue_node *best)
{
	guint id = queue_id(&node);

	node.key = engine->ops->key(&engine->system, entity(engine, id));
	if (best->order != G_MAXUINT64 && !queue_before(&node, best))
		return;
	if (engine_allowed(engine, id, cpu) && engine_may_share(engine, id, cpu))
		*best = node;
}

guint queue_take_for(struct engine *engine, struct queue *queue, guint cpu)
{
	struct queue_node best = { 0, G_MAXUINT64 };
	guint head = queue_head(engine, queue); /* sorts out first */

	if (head == NONE)
		return NONE;
	if (engine_allowed(engine, head, cpu) && engine_may_share(engine, head, cpu)) {
		queue_pop(engine, queue);
		return head;
	}
	for (guint i = 0; i < queue->ready.n; i++)
		best_by_key(engine, queue->ready.node[i], cpu, &best);
	if (best.order == G_MAXUINT64)
		return NONE;
	queue_remove(engine, queue, queue_id(&best));
	return queue_id(&best);
}

guint queue_take_any(struct engine *engine, struct queue *queue, guint cpu)
{
	struct queue_node best = { 0, G_MAXUINT64 };

	if (!engine->ops->eligibility)
		return queue_take_for(engine, queue, cpu);
	for (guint i = 0; i < queue->ready.n; i++)
		best_by_key(engine, queue->ready.node[i], cpu, &best);
	for (guint i = 0; i < queue->future.n; i++)
		best_by_key(engine, queue->future.node[i], cpu, &best);
	if (best.order == G_MAXUINT64)
		return NONE;
	queue_remove(engine, queue, queue_id(&best));
	return queue_id(&best);
}
