/* Private to vms.c and recovery.c. */
#pragma once

#include "daemon/agent/vms.h"
#include "daemon/store/cache.h"

struct recovery;

struct vms {
	struct vms_config config;
	struct life_env env;
	char *host, *boot_id;
	GHashTable *by_name; /* its name (borrowed from it) → struct vm_life */
	GQueue queue;        /* of struct vm_life: to reconcile */
	GTree *timers;       /* of struct vm_life by (timer_us, address) */
	GSource *work, *timer;
	struct store_cache *plans;
	struct writer_source source;
	struct recovery *recovery; /* NULL: it is over */
};

/* vms_ensure(vms, name): the VM of that name, new when it was not known. */
struct vm_life *vms_ensure(struct vms *vms, const char *name);

/* vms_read_plan(vms, vm): give the VM what the cache holds as its plan. */
void vms_read_plan(struct vms *vms, struct vm_life *vm);

/* recovery_begin(vms): reads what the store and the engines know, then gives every VM its past. Calls
 * vms_recovered(vms, error) once, never inside. */
struct recovery *recovery_begin(struct vms *vms);
void recovery_free(struct recovery *recovery); /* NULL is fine */
/* The plans were read for the first time. */
void recovery_plans_ready(struct recovery *recovery);

void vms_recovered(struct vms *vms, const GError *error);
