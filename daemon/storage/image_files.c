/* An image from files the user names. They are opened by a child that has the user's rights, so that nobody imports what
 * he may not read; the copy then goes through that descriptor. */
#include "daemon/storage/image_private.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define COPY_BYTES      (1u << 20)
#define GROUPS_MAX      1024
#define OPEN_TIMEOUT_MS 10000 /* a file on a dead network file system */
#define HEADER_BYTES    8192

struct reader {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	int group_count;
};

static void reader_init(struct reader *reader, uid_t uid)
{
	struct passwd entry, *found = NULL;
	char names[16384];

	*reader = (struct reader) { .uid = uid, .gid = uid };
	if (getpwuid_r(uid, &entry, names, sizeof(names), &found) != 0 || !found)
		return;
	reader->gid = entry.pw_gid;
	reader->group_count = GROUPS_MAX;
	if (getgrouplist(entry.pw_name, entry.pw_gid, reader->groups, &reader->group_count) < 0)
		reader->group_count = 0;
}

/* In the child of a process with threads: plain system calls only. Sends the descriptor, or an errno. */
static void open_and_send(const struct reader *reader, const char *path, int socket)
{
	int error = 0, fd = -1;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec text = { &error, sizeof(error) };
	struct msghdr message = { .msg_iov = &text, .msg_iovlen = 1 };

	if (geteuid() == 0 && (syscall(SYS_setgroups, (size_t)reader->group_count, reader->groups) < 0 ||
			       syscall(SYS_setresgid, reader->gid, reader->gid, reader->gid) < 0 ||
			       syscall(SYS_setresuid, reader->uid, reader->uid, reader->uid) < 0))
		error = errno;
	else if ((fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0)
		error = errno;
	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.header = (struct cmsghdr) { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	_exit(sendmsg(socket, &message, 0) < 0);
}

/* The descriptor the child sends, or -1 with errno. */
static int receive(int socket)
{
	int error = EIO, fd = -1;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec text = { &error, sizeof(error) };
	struct msghdr message = {
		.msg_iov = &text, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	struct pollfd wait = { .fd = socket, .events = POLLIN };

	errno = ETIMEDOUT;
	if (poll(&wait, 1, OPEN_TIMEOUT_MS) <= 0 || recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof(error))
		return -1;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	errno = error;
	return fd;
}

static int open_as(uid_t uid, const char *path)
{
	struct reader reader;
	int sockets[2];

	if (geteuid() != 0 && uid != geteuid()) {
		errno = EPERM;
		return -1;
	}
	reader_init(&reader, uid);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		open_and_send(&reader, path, sockets[1]);
	close(sockets[1]);
	int fd = pid > 0 ? receive(sockets[0]) : -1;
	int saved = errno;
	close(sockets[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	errno = saved;
	return fd;
}

/* ---- Checks ---- */

static gboolean is_kernel(const guint8 *head, gsize bytes)
{
	static const guint8 multiboot[] = { 0x02, 0xb0, 0xad, 0x1b };

	if (bytes >= 4 && !memcmp(head, "\177ELF", 4))
		return TRUE;
	if (bytes >= 0x206 && !memcmp(head + 0x202, "HdrS", 4))
		return TRUE;
	return memmem(head, bytes, multiboot, sizeof(multiboot)) != NULL;
}

static gboolean check_part(int fd, enum image_part part, const char *path, guint64 *size, GError **error)
{
	guint8 head[HEADER_BYTES];
	struct stat info;
	guint64 limit = part == IMAGE_PART_FIRMWARE ? IMAGE_FIRMWARE_BYTES_MAX : IMAGE_FILE_BYTES_MAX;
	const char *what = image_parts[part];

	if (fstat(fd, &info) < 0) {
		image_error(error, path, "look at");
		return FALSE;
	}
	if (!S_ISREG(info.st_mode)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s %s is not a regular file", what, path);
		return FALSE;
	}
	*size = info.st_size;
	if (*size == 0 || *size > limit) {
		g_set_error(error, POLDER_ERROR, *size ? POLDER_ERROR_TOO_LARGE : POLDER_ERROR_INVALID,
			    *size ? "%s %s is larger than %" G_GUINT64_FORMAT " MiB" : "%s %s is empty", what, path,
			    limit >> 20);
		return FALSE;
	}
	gssize got = pread(fd, head, sizeof(head), 0);
	if (part == IMAGE_PART_KERNEL && !is_kernel(head, MAX(got, 0))) {
		g_set_error(
			error, POLDER_ERROR, POLDER_ERROR_INVALID,
			"kernel %s is not one QEMU can start; next: give a vmlinux (ELF with a PVH note) or a bzImage",
			path);
		return FALSE;
	}
	if (part == IMAGE_PART_FIRMWARE && *size % 65536) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "firmware %s is not a multiple of 64 KiB; next: pad it in front", path);
		return FALSE;
	}
	return TRUE;
}

/* ---- Copying, in a worker thread ---- */

struct copy {
	struct build *build;
	guint64 total, done;
};

static gboolean copy_bytes(struct copy *copy, int from, int to, const char *path, guint64 size, GError **error)
{
	g_autofree char *buffer = g_malloc(COPY_BYTES);

	for (guint64 left = size; left;) {
		gssize got = read(from, buffer, MIN(left, COPY_BYTES));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "read %s: %s", path,
				    got ? g_strerror(errno) : "it became shorter while it was copied");
			return FALSE;
		}
		for (gssize put = 0, n; put < got; put += n) {
			n = write(to, buffer + put, got - put);
			if (n < 0 && errno == EINTR)
				n = 0;
			if (n < 0) {
				image_error(error, copy->build->directory, "copy into");
				return FALSE;
			}
		}
		left -= got;
		copy->done += got;
		g_atomic_int_set(&copy->build->copied_percent, (guint)(copy->done * 95 / copy->total));
		if (g_cancellable_set_error_if_cancelled(copy->build->cancellable, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean copy_part(struct copy *copy, int from, enum image_part part, const char *path, guint64 size,
			  GError **error)
{
	g_autofree char *target = g_build_filename(copy->build->directory, image_parts[part], NULL);
	int to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (to < 0) {
		image_error(error, target, "write");
		return FALSE;
	}
	gboolean done = copy_bytes(copy, from, to, path, size, error);
	close(to);
	return done;
}

static gboolean check_all(struct copy *copy, char *const paths[], int fds[], guint64 sizes[], GError **error)
{
	struct image *image = &copy->build->image;

	for (guint part = 0; part < IMAGE_PARTS; part++) {
		if (!paths[part] || !paths[part][0])
			continue;
		fds[part] = open_as(image->owner_uid, paths[part]);
		if (fds[part] < 0) {
			g_set_error(error, POLDER_ERROR, errno == ENOENT ? POLDER_ERROR_NOT_FOUND : POLDER_ERROR_DENIED,
				    "read %s %s as user %" G_GUINT64_FORMAT ": %s", image_parts[part], paths[part],
				    image->owner_uid, g_strerror(errno));
			return FALSE;
		}
		if (!check_part(fds[part], part, paths[part], &sizes[part], error))
			return FALSE;
		copy->total += sizes[part];
	}
	return TRUE;
}

static gboolean import(struct build *build, GError **error)
{
	struct image *image = &build->image;
	char *const paths[IMAGE_PARTS] = { image->kernel, image->initrd, image->firmware };
	int fds[IMAGE_PARTS] = { -1, -1, -1 };
	guint64 sizes[IMAGE_PARTS] = { 0 };
	struct copy copy = { .build = build };
	struct image_status made = { .build = image->build, .cmdline = image->cmdline };
	gboolean done = check_all(&copy, paths, fds, sizes, error);

	for (guint part = 0; done && part < IMAGE_PARTS; part++)
		if (fds[part] >= 0)
			done = copy_part(&copy, fds[part], part, paths[part], sizes[part], error);
	done = done && image_cache_install(&build->cache, image->name, build->directory, &made, error);
	for (guint part = 0; part < IMAGE_PARTS; part++)
		if (fds[part] >= 0)
			close(fds[part]);
	return done;
}

void image_files_start(struct build *build)
{
	const struct image *image = &build->image;
	g_autoptr(GError) error = NULL;
	gboolean kernel = image->kernel && image->kernel[0], firmware = image->firmware && image->firmware[0];

	if (!kernel && !firmware)
		g_set_error(&error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "image %s names neither a kernel nor a firmware; next: give it one", image->name);
	else if (!kernel && image->initrd && image->initrd[0])
		g_set_error(&error, POLDER_ERROR, POLDER_ERROR_INVALID, "image %s has an initrd but no kernel",
			    image->name);
	if (error) {
		build_ended(build, error);
		return;
	}
	build_step(build, 1, "copying");
	build_work(build, import);
}
