#include "daemon/agent/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/model/limits.h"
#include "daemon/model/units.h"

#define MEMORY_RESERVED_MIN_BYTES (256ull << 20)

char *host_name_from(const char *hostname)
{
	GString *name = g_string_new(NULL);

	for (const char *c = hostname; *c && name->len < LIMIT_NAME_BYTES; c++) {
		if (g_ascii_isalnum(*c))
			g_string_append_c(name, g_ascii_tolower(*c));
		else if (name->len)
			g_string_append_c(name, *c == '.' ? '.' : '-');
	}
	while (name->len && !g_ascii_isalnum(name->str[name->len - 1]))
		g_string_truncate(name, name->len - 1);
	if (!name->len)
		g_string_append(name, "localhost");
	return g_string_free(name, FALSE);
}

char *host_name(void)
{
	struct utsname uts;

	return host_name_from(uname(&uts) == 0 ? uts.nodename : "");
}

/* What the file says: NULL with errno ENOENT when there is none, with EINVAL when it is not to be believed. */
static char *read_kept(const char *path)
{
	char text[LIMIT_NAME_BYTES + 2];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() ? read(fd, text, sizeof text - 1) : -1;
	close(fd);
	errno = EINVAL;
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	g_strchomp(text);
	return strlen(text) <= LIMIT_NAME_BYTES && name_check(text, NULL) ? g_strdup(text) : NULL;
}

char *host_name_keep(const struct dirs *dirs, const char *fresh)
{
	g_autofree char *path = g_build_filename(dirs->state, "host", NULL);
	g_autofree char *line = g_strconcat(fresh, "\n", NULL);
	g_autoptr(GError) error = NULL;
	char *kept = read_kept(path);

	if (kept) {
		if (strcmp(kept, fresh) != 0)
			g_message("this machine is called %s by now; for its VMs it stays host %s (%s)", fresh, kept,
				  path);
		return kept;
	}
	if (errno != ENOENT)
		g_warning("%s holds no host's name of ours: it is written anew", path);
	if (!g_file_set_contents_full(path, line, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
				      0644, &error))
		g_warning("host %s can't keep its name: %s", fresh, error->message);
	return g_strdup(fresh);
}

/* ---- /proc ---- */

/* Its text without trailing space, or NULL. */
static char *read_text(const char *path)
{
	char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	return g_strchomp(text);
}

/* What follows the first `prefix` at a line's start up to the line's end, blanks and a colon skipped. Caller frees. */
static char *line_after(const char *text, const char *prefix)
{
	gsize length = strlen(prefix);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, prefix, length) == 0) {
			line += length + strspn(line + length, " \t:");
			return g_strndup(line, strcspn(line, "\n"));
		}
	}
	return NULL;
}

char *host_boot_id(void)
{
	return read_text("/proc/sys/kernel/random/boot_id");
}

gint64 host_booted_at(void)
{
	g_autofree char *text = read_text("/proc/stat");
	g_autofree char *seconds = text ? line_after(text, "btime") : NULL;

	return seconds ? g_ascii_strtoll(seconds, NULL, 10) * G_USEC_PER_SEC : 0;
}

static guint64 memory_total_bytes(void)
{
	g_autofree char *text = read_text("/proc/meminfo");
	g_autofree char *kib = text ? line_after(text, "MemTotal") : NULL;

	return kib ? g_ascii_strtoull(kib, NULL, 10) * 1024 : 0;
}

static char *cpu_model(void)
{
	g_autofree char *text = read_text("/proc/cpuinfo");
	char *model = text ? line_after(text, "model name") : NULL;

	return model ? model : g_strdup("unknown");
}

static void set_string(char **field, char *value)
{
	g_free(*field);
	*field = value;
}

void host_inspect(struct host *host, const char *name)
{
	struct utsname uts;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	noun_init(&host_noun, host);
	set_string(&host->name, g_strdup(name));
	host->cpus = cpus > 0 ? (guint64)cpus : 1;
	host->memory_bytes = memory_total_bytes();
	host->memory_reserved_bytes = MAX(host->memory_bytes / 20 >> 20 << 20, MEMORY_RESERVED_MIN_BYTES);
	host->memory_reserved_bytes = MIN(host->memory_reserved_bytes, host->memory_bytes);
	set_string(&host->cpu_model, cpu_model());
	set_string(&host->kernel,
		   uname(&uts) == 0 ? g_strdup_printf("%s %s %s", uts.sysname, uts.release, uts.machine) : NULL);
	host->privileged = geteuid() == 0;
	host->agent_pid = (guint64)getpid();
	host->started_at = g_get_real_time();
	set_string(&host->boot_id, host_boot_id());
	if (!host->privileged) {
		host_add_limit(host, "network: user-mode only (--publish), because the agent does not run as root");
		host_add_limit(host,
			       "cpu: no cgroups, so no weights or quotas, because the agent does not run as root");
		host_add_limit(
			host,
			"isolation: every VM runs under your own user id, because the agent does not run as root");
	}
}

static void add_string(char ***list, const char *item)
{
	guint length = *list ? g_strv_length(*list) : 0;

	*list = g_renew(char *, *list, length + 2);
	(*list)[length] = g_strdup(item);
	(*list)[length + 1] = NULL;
}

void host_add_limit(struct host *host, const char *limit)
{
	add_string(&host->limits, limit);
}

void host_merge(struct host *host, const struct host *found)
{
	for (char **engine = found->engines; engine && *engine; engine++)
		add_string(&host->engines, *engine);
	for (char **limit = found->limits; limit && *limit; limit++)
		host_add_limit(host, *limit);
	if (found->accelerator && *found->accelerator)
		set_string(&host->accelerator, g_strdup(found->accelerator));
	if (found->accelerator_reason && *found->accelerator_reason)
		set_string(&host->accelerator_reason, g_strdup(found->accelerator_reason));
	if (found->qemu_version && *found->qemu_version)
		set_string(&host->qemu_version, g_strdup(found->qemu_version));
}
