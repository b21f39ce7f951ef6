/* What writing and reading share. */
#pragma once

#include "daemon/history/history.h"
#include "daemon/rows/rows.h"

#define HISTORY_HEADER "time_s,event,vm,cpus,memory_mib,tenant,group,numa_nodes,priority,host,strategy,note\n"
#define HISTORY_AGAIN  "again" /* note of rows that only repeat, at the head of a file, what the one before tells */

struct history {
	struct row_file file;
	guint64 file_bytes;
	GString *rows;       /* not written yet */
	GHashTable *live;    /* name → its create row, from `cpus` on: VMs created and not deleted */
	GHashTable *hosts;   /* name → its row from `cpus` on, without rack; those told have it in `told` */
	GHashTable *told;    /* set of host names */
	GHashTable *pending; /* set of host names to tell before the next VM */
	GHashTable *racks;   /* host → rack */
	gint64 now_us;       /* of the last row: time never runs backwards */
};

/* history_row_fields(row, name, bytes, event): of "time,event,vm,…": where vm starts and how long it is. FALSE: no row. */
gboolean history_row_fields(const char *row, const char **event, gsize *event_bytes, const char **vm, gsize *vm_bytes);
/* Time of a row, µs; -1: none. */
gint64 history_row_time(const char *row);
