#include "guest/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void buffer_init(struct buffer *buffer, size_t max)
{
	*buffer = (struct buffer) { .max = max };
}

void buffer_clear(struct buffer *buffer)
{
	free(buffer->data);
	buffer_init(buffer, buffer->max);
}

size_t buffer_bytes(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

const char *buffer_peek(const struct buffer *buffer)
{
	return buffer->data ? buffer->data + buffer->start : "";
}

void buffer_consume(struct buffer *buffer, size_t bytes)
{
	assert(bytes <= buffer_bytes(buffer));
	buffer->start += bytes;
	if (buffer->start == buffer->end)
		buffer->start = buffer->end = 0;
	/* A burst's memory goes back: the guest may have little. */
	if (!buffer->end && buffer->capacity > 65536) {
		free(buffer->data);
		buffer->data = NULL;
		buffer->capacity = 0;
	}
}

/* Room for `bytes` more at the end. */
static bool buffer_reserve(struct buffer *buffer, size_t bytes)
{
	size_t held = buffer_bytes(buffer);

	if (bytes > buffer->max || held > buffer->max - bytes)
		return false;
	if (buffer->end + bytes <= buffer->capacity)
		return true;
	if (buffer->start && held)
		memmove(buffer->data, buffer->data + buffer->start, held);
	buffer->start = 0;
	buffer->end = held;
	if (held + bytes <= buffer->capacity)
		return true;

	size_t capacity = buffer->capacity ? buffer->capacity : 512;
	while (capacity < held + bytes)
		capacity *= 2;
	char *data = realloc(buffer->data, capacity);
	if (!data)
		return false;
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

bool buffer_append(struct buffer *buffer, const void *data, size_t bytes)
{
	if (!bytes)
		return true;
	if (!buffer_reserve(buffer, bytes)) {
		buffer->overflow = true;
		return false;
	}
	memcpy(buffer->data + buffer->end, data, bytes);
	buffer->end += bytes;
	return true;
}

bool buffer_printf(struct buffer *buffer, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	int bytes = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Only for our own short pieces: a longer text is an error of ours, kept from being sent half. */
	if (bytes < 0 || (size_t)bytes >= sizeof(text)) {
		buffer->overflow = true;
		return false;
	}
	return buffer_append(buffer, text, bytes);
}

ptrdiff_t buffer_write(struct buffer *buffer, int fd)
{
	ptrdiff_t written = 0;

	while (buffer_bytes(buffer)) {
		ssize_t n = write(fd, buffer_peek(buffer), buffer_bytes(buffer));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n <= 0)
			break;
		buffer_consume(buffer, n);
		written += n;
	}
	return written;
}
