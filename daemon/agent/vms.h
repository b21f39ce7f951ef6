/* All VMs of this host: feeds plans, time and images into their lives, and has their statuses written. */
#pragma once

#include "daemon/agent/lifecycle.h"
#include "daemon/agent/writer.h"
#include "daemon/store/store.h"

struct vms;

struct vms_config {
	struct store *store; /* borrowed, as everything here: must outlive the vms */
	struct writer *writer;
	const struct dirs *dirs;
	const char *host;
	const char *boot_id;         /* of the kernel now */
	gint64 booted_at;            /* wall clock, µs; 0: unknown */
	struct life_engine *engines; /* terminated by one without an engine */
	/* As in struct life_env. */
	const struct image_status *(*image)(const char *name, gboolean want, gpointer user_data);
	gint64 (*now_us)(void); /* NULL: g_get_monotonic_time. Tests bring their own and call vms_tick() */
	/* Recovery is over (error NULL): every VM that was there is known and the plans are being carried out. Otherwise
	 * the store could not be read and nothing was begun. */
	void (*recovered)(const GError *error, gpointer user_data);
	/* A plan or a status changed. May be NULL. Only notes that it did. */
	void (*changed)(gpointer user_data);
	/* The plans can't be followed any more. */
	void (*lost)(const GError *error, gpointer user_data);
	gpointer user_data;
};

/* vms_new(config): begins recovery: reads /status/, /host/HOST and /plan/, scans the engines' run directories. The
 * config is copied. */
struct vms *vms_new(const struct vms_config *config);
void vms_free(struct vms *vms); /* what runs, runs on; NULL is fine */

/* Something outside the VMs changed: look again at those that wait for it. */
void vms_image_changed(struct vms *vms, const char *image);
void vms_engines_changed(struct vms *vms);

/* vms_tick(vms): carry out what is due by config->now_us. Only needed with a clock of one's own. */
void vms_tick(struct vms *vms);

/* vms_count(vms): how many VMs are known, in whatever state. */
guint vms_count(const struct vms *vms);
/* Nothing is queued (timers may still be set). */
gboolean vms_settled(const struct vms *vms);
const struct vm_life *vms_get(const struct vms *vms, const char *name); /* borrowed, or NULL */

/* vms_foreach(vms, func, user_data): every VM known, in no order. vms_cpu_notes(vms, name, notes): as
 * lifecycle_cpu_notes() of the VM of that name, if there is one. */
void vms_foreach(const struct vms *vms, void (*func)(const struct vm_life *vm, gpointer user_data), gpointer user_data);
void vms_cpu_notes(struct vms *vms, const char *name, char **notes);

/* vms_stream_open(vms, name, stream, error): as engine_ops.stream_open: an fd owned by the caller, or -1. */
int vms_stream_open(struct vms *vms, const char *name, const struct engine_stream *stream, GError **error);

/* vms_stream_may_come(vms, name, kind): a stream that was refused just now may be had in a moment: the VM is being found
 * again, or starts, or its guest agent has not answered yet. */
gboolean vms_stream_may_come(const struct vms *vms, const char *name, enum engine_stream_kind kind);
