/* The platform's own trace. See README.md. */
#pragma once

#include "daemon/store/cache.h"

#define HISTORY_FILE_BYTES (64u << 20) /* then a new one is begun; one older is kept */

struct history;

/* history_open(dir, file_bytes, error): go on with DIR/allocation.csv. `file_bytes` 0: HISTORY_FILE_BYTES. */
struct history *history_open(const char *dir, guint64 file_bytes, GError **error);
void history_free(struct history *history); /* NULL is fine, here and below */

/* As the cache's owner tells control: history_ready() once after the first full read, then each change, then the revision's
 * end. */
void history_ready(struct history *history, const struct store_cache *cache);
void history_changed(struct history *history, const struct store_kv *before, const struct store_kv *now);
void history_settled(struct history *history);

/* ---- Reading it: one trace, header first, in time order, times from 0 ---- */

struct history_reader;
struct history_reader *history_read(struct history *history, GError **error);
/* history_reader_next(reader, error): whole rows, some 64 KiB of them; NULL without error at the end. Caller unrefs. */
GBytes *history_reader_next(struct history_reader *reader, GError **error);
void history_reader_free(struct history_reader *reader);
