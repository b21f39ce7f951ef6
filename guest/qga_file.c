/* guest-file-*: small files in and out of the guest. */
#include "guest/qga_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX          32
#define READ_BYTES_DEFAULT 4096
#define READ_BYTES_MAX     524288 /* as base64 it fits one reply */

struct qga_files {
	int fds[FILES_MAX]; /* -1: free */
	bool eof[FILES_MAX];
	int64_t first[FILES_MAX]; /* the handle of each slot: never one used before */
	int64_t next_handle;
};

struct qga_files *qga_files_new(void)
{
	struct qga_files *files = calloc(1, sizeof(*files));

	for (int i = 0; files && i < FILES_MAX; i++)
		files->fds[i] = -1;
	if (files)
		files->next_handle = 1000;
	return files;
}

void qga_files_free(struct qga_files *files)
{
	for (int i = 0; files && i < FILES_MAX; i++)
		if (files->fds[i] >= 0)
			close(files->fds[i]);
	free(files);
}

/* The slot of the call's handle, or -1 with the call failed. */
static int find(struct qga_call *call)
{
	int64_t handle = qga_integer(call, "handle", -1);

	for (int i = 0; i < FILES_MAX; i++)
		if (call->files->fds[i] >= 0 && call->files->first[i] == handle)
			return i;
	qga_fail(call, "handle '%lld' has not been found", (long long)handle);
	return -1;
}

/* The flags of an fopen(3) mode, or -1. */
static int mode_flags(const char *mode)
{
	bool plus = strchr(mode, '+') != NULL;
	int access = plus ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;

	if (!*mode || !strchr("rwa", *mode) || strlen(mode) > 3 || mode[1 + strspn(mode + 1, "b+")])
		return -1;
	return access | (*mode == 'w' ? O_CREAT | O_TRUNC : *mode == 'a' ? O_CREAT | O_APPEND : 0);
}

void qga_file_open(struct qga_call *call)
{
	const char *path = qga_string(call, "path", ""), *mode = qga_string(call, "mode", "r");
	struct qga_files *files = call->files;
	int flags = mode_flags(mode), slot = 0;

	while (slot < FILES_MAX && files->fds[slot] >= 0)
		slot++;
	if (flags < 0) {
		qga_fail(call, "invalid file open mode '%.20s'", mode);
		return;
	}
	if (slot == FILES_MAX) {
		qga_fail(call, "%d files are open already", FILES_MAX);
		return;
	}
	/* Non-blocking: nothing may hold up the one loop, not even a FIFO without a reader. */
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
	if (fd < 0) {
		qga_fail(call, "failed to open file '%.120s' (mode: '%s'): %s", path, mode, strerror(errno));
		return;
	}
	files->fds[slot] = fd;
	files->eof[slot] = false;
	files->first[slot] = files->next_handle++;
	buffer_printf(call->reply, "%lld", (long long)files->first[slot]);
}

void qga_file_close(struct qga_call *call)
{
	int slot = find(call);

	if (slot < 0)
		return;
	if (close(call->files->fds[slot]) < 0)
		qga_fail(call, "failed to close: %s", strerror(errno));
	call->files->fds[slot] = -1;
}

void qga_file_read(struct qga_call *call)
{
	int slot = find(call);
	int64_t count = qga_integer(call, "count", READ_BYTES_DEFAULT);

	if (slot < 0)
		return;
	if (count < 0 || count > READ_BYTES_MAX) {
		qga_fail(call, "value '%lld' is invalid for argument count (at most %d)", (long long)count,
			 READ_BYTES_MAX);
		return;
	}
	char *bytes = malloc(count + 1);
	ssize_t got = bytes ? read(call->files->fds[slot], bytes, count) : -1;
	if (got < 0) {
		qga_fail(call, "failed to read file: %s", bytes ? strerror(errno) : "out of memory");
	} else {
		call->files->eof[slot] = got < count;
		buffer_printf(call->reply, "{\"count\":%zd,\"buf-b64\":", got);
		json_put_base64(call->reply, bytes, got);
		buffer_printf(call->reply, ",\"eof\":%s}", got < count ? "true" : "false");
	}
	free(bytes);
}

void qga_file_write(struct qga_call *call)
{
	int slot = find(call);
	size_t bytes = 0;

	if (slot < 0)
		return;
	unsigned char *data = json_base64_decode(qga_string(call, "buf-b64", ""), &bytes);
	if (!data) {
		qga_fail(call, "buf-b64 is not base64");
		return;
	}
	int64_t count = qga_integer(call, "count", bytes);
	if (count < 0 || (uint64_t)count > bytes) {
		qga_fail(call, "value '%lld' is invalid for argument count", (long long)count);
	} else {
		ssize_t written = write(call->files->fds[slot], data, count);
		if (written < 0)
			qga_fail(call, "failed to write to file: %s", strerror(errno));
		else
			buffer_printf(call->reply, "{\"count\":%zd,\"eof\":false}", written);
	}
	free(data);
}

void qga_file_seek(struct qga_call *call)
{
	static const char *const names[] = { "set", "cur", "end" };
	static const int values[] = { SEEK_SET, SEEK_CUR, SEEK_END };
	const struct json *given = json_member(call->args, "whence");
	int slot = find(call), whence = 0;

	if (slot < 0)
		return;
	while (whence < 3 && !(given->type == JSON_STRING && !strcmp(given->string, names[whence])) &&
	       !(given->type == JSON_INTEGER && given->integer == whence))
		whence++;
	if (whence == 3) {
		qga_fail(call, "invalid whence: set, cur, end or 0 to 2");
		return;
	}
	off_t position = lseek(call->files->fds[slot], qga_integer(call, "offset", 0), values[whence]);
	if (position < 0) {
		qga_fail(call, "failed to seek file: %s", strerror(errno));
		return;
	}
	/* As the stock agent: eof is what the last read saw, and a seek clears it. */
	call->files->eof[slot] = false;
	buffer_printf(call->reply, "{\"position\":%lld,\"eof\":false}", (long long)position);
}

void qga_file_flush(struct qga_call *call)
{
	int slot = find(call);

	/* EINVAL: a pipe or a terminal, which has nothing to flush. */
	if (slot >= 0 && fsync(call->files->fds[slot]) < 0 && errno != EINVAL && errno != EROFS)
		qga_fail(call, "failed to flush file: %s", strerror(errno));
}
