/* A SQLite VFS whose files are in memory and which remembers every write and sync, so that the disk can be seen as a
 * power loss at any of them would leave it; and which can be told to fail. */
#pragma once

#include <glib.h>

struct shim;
struct shim *shim_new(const char *name,
		      gboolean powersafe); /* registers the VFS. powersafe: claims POWERSAFE_OVERWRITE */
void shim_free(struct shim *shim);

/* What became of writes the disk had not yet been told to keep. */
enum shim_loss { SHIM_LOSE_ALL, SHIM_LOSE_NONE, SHIM_LOSE_SOME, SHIM_LOSS_COUNT };

guint shim_op_count(struct shim *shim);
gboolean shim_op_is_sync(struct shim *shim, guint index);
/* Makes `to` the disk that `from` was before operation `index`: synced writes whole, the others lost or torn. */
void shim_recover(struct shim *from, guint index, enum shim_loss loss, GRand *rand, struct shim *to);

void shim_set_full(struct shim *shim, gsize file_bytes_max); /* no file grows beyond; 0: no limit */
void shim_set_sync_fails(struct shim *shim, gboolean fails);
guint shim_sync_count(struct shim *shim);
