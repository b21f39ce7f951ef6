/* Private to lifecycle.c and facts.c: how facts get into a VM's life. */
#pragma once

#include "daemon/agent/lifecycle.h"

/* Events of every engine: facts are recorded in the struct vm_life given as user_data, and it is queued. */
extern const struct engine_events life_engine_events;

/* life_forget(vm): as if only its plan were known: the next VM of this name begins. */
void life_forget(struct vm_life *vm);

void life_exit_free(struct life_exit *ended); /* NULL is fine */
