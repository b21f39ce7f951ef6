#include "tests/unit/store/shim.h"

#include <sqlite3.h>
#include <string.h>

#define SECTOR_BYTES 512u

enum op_kind { OP_CREATE, OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_DELETE };

/* One life of a file: made again after a deletion it is another one. */
struct file {
	char *name;
	GByteArray *content;
};

struct op {
	enum op_kind kind;
	guint file;
	gsize offset; /* TRUNCATE: the size */
	GBytes *data;
	gboolean durable; /* DELETE: the directory was synced */
};

struct shim {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	char *name;
	int characteristics;
	GMutex lock;
	GPtrArray *files;  /* of struct file, every life */
	GHashTable *names; /* name → index + 1 */
	GArray *ops;
	gsize file_bytes_max;
	gboolean sync_fails;
	guint n_syncs;
};

struct handle {
	sqlite3_file base;
	struct shim *shim;
	guint file;
};

static void file_free(gpointer data)
{
	struct file *file = data;

	g_free(file->name);
	g_byte_array_unref(file->content);
	g_free(file);
}

static void op_clear(gpointer data)
{
	g_clear_pointer(&((struct op *)data)->data, g_bytes_unref);
}

static void record(struct shim *shim, enum op_kind kind, guint file, gsize offset, GBytes *data)
{
	struct op op = { .kind = kind, .file = file, .offset = offset, .data = data };

	g_array_append_val(shim->ops, op);
}

static guint file_add(struct shim *shim, const char *name, GByteArray *content)
{
	struct file *file = g_new(struct file, 1);

	file->name = g_strdup(name);
	file->content = content;
	g_ptr_array_add(shim->files, file);
	g_hash_table_insert(shim->names, g_strdup(name), GUINT_TO_POINTER(shim->files->len));
	return shim->files->len - 1;
}

static GByteArray *content_of(struct handle *handle)
{
	return ((struct file *)handle->shim->files->pdata[handle->file])->content;
}

static void content_write(GByteArray *content, gsize offset, const void *data, gsize size)
{
	gsize had = content->len;

	if (offset + size > had) {
		g_byte_array_set_size(content, (guint)(offset + size));
		memset(content->data + had, 0, offset + size - had);
	}
	memcpy(content->data + offset, data, size);
}

static void content_truncate(GByteArray *content, gsize size)
{
	gsize had = content->len;

	g_byte_array_set_size(content, (guint)size);
	if (size > had)
		memset(content->data + had, 0, size - had);
}

static int on_close(sqlite3_file *file)
{
	return SQLITE_OK;
}

static int on_read(sqlite3_file *file, void *out, int amount, sqlite3_int64 offset)
{
	struct handle *handle = (struct handle *)file;
	GByteArray *content;
	gsize there;

	g_mutex_lock(&handle->shim->lock);
	content = content_of(handle);
	there = (gsize)offset < content->len ? MIN((gsize)amount, content->len - (gsize)offset) : 0;
	if (there > 0)
		memcpy(out, content->data + offset, there);
	g_mutex_unlock(&handle->shim->lock);
	memset((char *)out + there, 0, (gsize)amount - there);
	return there == (gsize)amount ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int on_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset)
{
	struct handle *handle = (struct handle *)file;
	struct shim *shim = handle->shim;
	int rc = SQLITE_FULL;

	g_mutex_lock(&shim->lock);
	if (shim->file_bytes_max == 0 || (gsize)(offset + amount) <= shim->file_bytes_max) {
		content_write(content_of(handle), (gsize)offset, data, (gsize)amount);
		record(shim, OP_WRITE, handle->file, (gsize)offset, g_bytes_new(data, (gsize)amount));
		rc = SQLITE_OK;
	}
	g_mutex_unlock(&shim->lock);
	return rc;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct handle *handle = (struct handle *)file;

	g_mutex_lock(&handle->shim->lock);
	content_truncate(content_of(handle), (gsize)size);
	record(handle->shim, OP_TRUNCATE, handle->file, (gsize)size, NULL);
	g_mutex_unlock(&handle->shim->lock);
	return SQLITE_OK;
}

static int on_sync(sqlite3_file *file, int flags)
{
	struct handle *handle = (struct handle *)file;
	int rc = SQLITE_IOERR_FSYNC;

	g_mutex_lock(&handle->shim->lock);
	if (!handle->shim->sync_fails) {
		record(handle->shim, OP_SYNC, handle->file, 0, NULL);
		handle->shim->n_syncs++;
		rc = SQLITE_OK;
	}
	g_mutex_unlock(&handle->shim->lock);
	return rc;
}

static int on_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	struct handle *handle = (struct handle *)file;

	g_mutex_lock(&handle->shim->lock);
	*size = content_of(handle)->len;
	g_mutex_unlock(&handle->shim->lock);
	return SQLITE_OK;
}

static int on_lock(sqlite3_file *file, int level)
{
	return SQLITE_OK;
}

static int on_check_reserved(sqlite3_file *file, int *reserved)
{
	*reserved = 0;
	return SQLITE_OK;
}

static int on_file_control(sqlite3_file *file, int op, void *arg)
{
	return SQLITE_NOTFOUND;
}

static int on_sector_size(sqlite3_file *file)
{
	return SECTOR_BYTES;
}

static int on_characteristics(sqlite3_file *file)
{
	return ((struct handle *)file)->shim->characteristics;
}

/* Version 1: no shared memory, which an exclusively locked write-ahead log does without. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_file_size,
	.xLock = on_lock,
	.xUnlock = on_lock,
	.xCheckReservedLock = on_check_reserved,
	.xFileControl = on_file_control,
	.xSectorSize = on_sector_size,
	.xDeviceCharacteristics = on_characteristics,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
	struct handle *handle = (struct handle *)file;
	struct shim *shim = vfs->pAppData;
	guint index;

	g_mutex_lock(&shim->lock);
	index = GPOINTER_TO_UINT(g_hash_table_lookup(shim->names, name != NULL ? name : "temporary"));
	if (index == 0) {
		index = file_add(shim, name != NULL ? name : "temporary", g_byte_array_new()) + 1;
		record(shim, OP_CREATE, index - 1, 0, NULL);
	}
	g_mutex_unlock(&shim->lock);
	*handle = (struct handle) { .base.pMethods = &methods, .shim = shim, .file = index - 1 };
	if (flags_out != NULL)
		*flags_out = flags;
	return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	struct shim *shim = vfs->pAppData;
	guint index;

	g_mutex_lock(&shim->lock);
	index = GPOINTER_TO_UINT(g_hash_table_lookup(shim->names, name));
	if (index > 0) {
		g_hash_table_remove(shim->names, name);
		record(shim, OP_DELETE, index - 1, 0, NULL);
		g_array_index(shim->ops, struct op, shim->ops->len - 1).durable = sync_dir != 0;
	}
	g_mutex_unlock(&shim->lock);
	return index > 0 ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}

static int on_access(sqlite3_vfs *vfs, const char *name, int flags, int *there)
{
	struct shim *shim = vfs->pAppData;

	g_mutex_lock(&shim->lock);
	*there = g_hash_table_contains(shim->names, name);
	g_mutex_unlock(&shim->lock);
	return SQLITE_OK;
}

static int on_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	g_strlcpy(out, name, (gsize)size);
	return SQLITE_OK;
}

struct shim *shim_new(const char *name, gboolean powersafe)
{
	struct shim *shim = g_new0(struct shim, 1);

	shim->real = sqlite3_vfs_find(NULL);
	shim->name = g_strdup(name);
	shim->characteristics = powersafe ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
	g_mutex_init(&shim->lock);
	shim->files = g_ptr_array_new_with_free_func(file_free);
	shim->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	shim->ops = g_array_new(FALSE, FALSE, sizeof(struct op));
	g_array_set_clear_func(shim->ops, op_clear);
	shim->vfs = *shim->real; /* sleep, clock and randomness are the real one's */
	shim->vfs.pNext = NULL;
	shim->vfs.zName = shim->name;
	shim->vfs.pAppData = shim;
	shim->vfs.szOsFile = sizeof(struct handle);
	shim->vfs.xOpen = on_open;
	shim->vfs.xDelete = on_delete;
	shim->vfs.xAccess = on_access;
	shim->vfs.xFullPathname = on_full_pathname;
	g_assert_cmpint(sqlite3_vfs_register(&shim->vfs, 0), ==, SQLITE_OK);
	return shim;
}

void shim_free(struct shim *shim)
{
	sqlite3_vfs_unregister(&shim->vfs);
	g_ptr_array_unref(shim->files);
	g_hash_table_unref(shim->names);
	g_array_unref(shim->ops);
	g_mutex_clear(&shim->lock);
	g_free(shim->name);
	g_free(shim);
}

guint shim_op_count(struct shim *shim)
{
	guint n;

	g_mutex_lock(&shim->lock);
	n = shim->ops->len;
	g_mutex_unlock(&shim->lock);
	return n;
}

gboolean shim_op_is_sync(struct shim *shim, guint index)
{
	return g_array_index(shim->ops, struct op, index).kind == OP_SYNC;
}

guint shim_sync_count(struct shim *shim)
{
	return shim->n_syncs;
}

void shim_set_full(struct shim *shim, gsize file_bytes_max)
{
	g_mutex_lock(&shim->lock);
	shim->file_bytes_max = file_bytes_max;
	g_mutex_unlock(&shim->lock);
}

void shim_set_sync_fails(struct shim *shim, gboolean fails)
{
	g_mutex_lock(&shim->lock);
	shim->sync_fails = fails;
	g_mutex_unlock(&shim->lock);
}

/* ---- power loss ---- */

static void op_apply(GByteArray *content, const struct op *op)
{
	gsize size;
	const void *data;

	if (op->kind == OP_TRUNCATE) {
		content_truncate(content, op->offset);
		return;
	}
	data = g_bytes_get_data(op->data, &size);
	content_write(content, op->offset, data, size);
}

/* A run of whole sectors of it reached the disk, or, the device being old, bytes up to anywhere. */
static void op_tear(GByteArray *content, const struct op *op, GRand *rand)
{
	gsize size, from, to;
	const guint8 *data = g_bytes_get_data(op->data, &size);

	from = (gsize)g_rand_int_range(rand, 0, (gint32)(size / SECTOR_BYTES) + 1) * SECTOR_BYTES;
	to = from + (gsize)g_rand_int_range(rand, 0, (gint32)(size - MIN(from, size)) + 1);
	if (to > from)
		content_write(content, op->offset + from, data + from, to - from);
}

static void lose(GByteArray *content, const struct op *op, enum shim_loss loss, GRand *rand)
{
	guint fate = loss == SHIM_LOSE_ALL ? 0 : loss == SHIM_LOSE_NONE ? 1 : (guint)g_rand_int_range(rand, 0, 3);

	if (fate == 1)
		op_apply(content, op);
	else if (fate == 2 && op->kind == OP_WRITE)
		op_tear(content, op, rand);
}

/* As unix does it: the first sync of a new journal or log syncs the directory, and so all that was made or deleted in it
 * so far. Returns the last such operation, 0 when there was none. */
static guint last_directory_sync(struct shim *shim, guint index)
{
	g_autofree gboolean *synced = g_new0(gboolean, shim->files->len);
	guint last = 0;

	for (guint i = 0; i < index; i++) {
		const struct op *op = &g_array_index(shim->ops, struct op, i);
		const struct file *file = shim->files->pdata[op->file];

		if (op->kind == OP_DELETE && op->durable)
			last = i;
		if (op->kind != OP_SYNC || synced[op->file])
			continue;
		synced[op->file] = TRUE;
		if (g_str_has_suffix(file->name, "-journal") || g_str_has_suffix(file->name, "-wal"))
			last = i;
	}
	return last;
}

struct crash {
	struct shim *shim;
	guint index;
	guint directory_synced;
	enum shim_loss loss;
	GRand *rand;
};

/* Whether what was done to the directory at operation i stays done. */
static gboolean directory_keeps(const struct crash *crash, guint i)
{
	return i <= crash->directory_synced || crash->loss == SHIM_LOSE_NONE ||
	       (crash->loss == SHIM_LOSE_SOME && g_rand_boolean(crash->rand));
}

/* The fate of one life of a file. `content` starts empty. Returns whether its name is in the directory. */
static gboolean recover_file(const struct crash *crash, guint file, GByteArray *content)
{
	guint synced = 0; /* operations below it are on the disk */
	gboolean there = FALSE;

	for (guint i = 0; i < crash->index; i++) {
		const struct op *op = &g_array_index(crash->shim->ops, struct op, i);

		if (op->file == file && op->kind == OP_SYNC)
			synced = i;
	}
	for (guint i = 0; i < crash->index; i++) {
		const struct op *op = &g_array_index(crash->shim->ops, struct op, i);

		if (op->file != file)
			continue;
		if (op->kind == OP_CREATE)
			there = directory_keeps(crash, i);
		else if (op->kind == OP_DELETE)
			there = there && !directory_keeps(crash, i);
		else if (op->kind != OP_SYNC && i < synced)
			op_apply(content, op);
		else if (op->kind != OP_SYNC)
			lose(content, op, crash->loss, crash->rand);
	}
	return there;
}

void shim_recover(struct shim *from, guint index, enum shim_loss loss, GRand *rand, struct shim *to)
{
	struct crash crash = { from, index, last_directory_sync(from, index), loss, rand };

	g_array_set_size(to->ops, 0);
	g_hash_table_remove_all(to->names);
	g_ptr_array_set_size(to->files, 0);
	for (guint i = 0; i < from->files->len; i++) {
		const struct file *file = from->files->pdata[i];
		GByteArray *content = g_byte_array_new();

		/* A later life of the same name replaces an earlier one that came back. */
		if (recover_file(&crash, i, content))
			file_add(to, file->name, content);
		else
			g_byte_array_unref(content);
	}
}
