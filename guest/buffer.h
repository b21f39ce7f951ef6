/* A bounded byte queue: appended at the end, consumed at the front. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	char *data;
	size_t start, end; /* what it holds: data[start, end) */
	size_t capacity;
	size_t max; /* it never holds more; what would is dropped whole and `overflow` is set */
	bool overflow;
};

void buffer_init(struct buffer *buffer, size_t max);
void buffer_clear(struct buffer *buffer); /* frees what it holds; it stays usable */
size_t buffer_bytes(const struct buffer *buffer);
const char *buffer_peek(const struct buffer *buffer); /* borrowed until the next call that changes it */
void buffer_consume(struct buffer *buffer, size_t bytes);
bool buffer_append(struct buffer *buffer, const void *data, size_t bytes);
bool buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* buffer_write(buffer, fd): write to a non-blocking fd until it is empty or the fd takes no more. Bytes written, or -1
 * with errno when the fd failed (EAGAIN is not a failure). */
ptrdiff_t buffer_write(struct buffer *buffer, int fd);
