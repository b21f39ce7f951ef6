/* What the parts of the state machine share: lifecycle.c (the machine, and its steps while something runs),
 * lifecycle_rest.c (the steps while nothing does), lifecycle_end.c (from one to the other). A step returns TRUE when it
 * changed the state: the next one is then taken at once. */
#pragma once

#include "daemon/agent/lifecycle.h"

gint64 life_now_us(const struct vm_life *vm);                 /* monotonic */
const struct engine_ops *life_ops(const struct vm_life *vm);  /* of vm->engine, which must be set */
void life_set_reason(struct vm_life *vm, const char *reason); /* copied; has the status written when it is new */
void life_due_at(struct vm_life *vm, gint64 when_us);         /* reconcile again then at the latest */

/* life_set_state(vm, state, reason): enter it, with its reason (copied, may be vm->reason or NULL). Always TRUE. */
gboolean life_set_state(struct vm_life *vm, enum life state, const char *reason);

/* What the plan wants: the VM to be gone from here; a run to begin that was not carried out yet; what runs to end. */
gboolean life_wants_gone(const struct vm_life *vm);
gboolean life_wants_run(const struct vm_life *vm);
gboolean life_wants_end(const struct vm_life *vm);

/* life_end_run(vm): act on vm->exit, which must be set. */
gboolean life_end_run(struct vm_life *vm);

gboolean life_step_rest(struct vm_life *vm);
gboolean life_step_preparing(struct vm_life *vm);
