/* Which cgroup hierarchy has the cpu controller, and where in it we are. */
#include "daemon/cpu/cpu_private.h"

#include <string.h>

/* Does the comma list hold this word? */
static gboolean has_word(const char *list, const char *word)
{
	g_auto(GStrv) words = g_strsplit(list, ",", -1);

	return g_strv_contains((const char *const *)words, word);
}

/* The group of the hierarchy in /proc/PID/cgroup: lines "ID:CONTROLLERS:PATH", v2's is "0::PATH". NULL: none. */
static char *group_path(enum cpu_groups_kind kind, const char *cgroup)
{
	g_auto(GStrv) lines = g_strsplit(cgroup, "\n", -1);

	for (guint i = 0; lines[i]; i++) {
		g_auto(GStrv) fields = g_strsplit(lines[i], ":", 3);

		if (g_strv_length(fields) != 3 || fields[2][0] != '/')
			continue;
		if (kind == CPU_GROUPS_V2 ? (!strcmp(fields[0], "0") && !fields[1][0]) : has_word(fields[1], "cpu"))
			return g_strdup(fields[2]);
	}
	return NULL;
}

char *cpu_mounts_dir(const struct cpu_groups *groups, const char *cgroup)
{
	g_autofree char *path = group_path(groups->kind, cgroup);
	size_t length = strlen(groups->mount_root);

	if (!path)
		return NULL;
	if (!strcmp(groups->mount_root, "/"))
		return g_strconcat(groups->mount, strcmp(path, "/") ? path : "", NULL);
	/* Only a part of the hierarchy is mounted here (a container). */
	if (g_str_has_prefix(path, groups->mount_root) && (path[length] == '/' || !path[length]))
		return g_strconcat(groups->mount, path + length, NULL);
	return NULL;
}

/* Mount point with \040 and the like undone. */
static char *unescape(const char *text)
{
	GString *plain = g_string_new(NULL);

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && g_ascii_isdigit(text[2]) &&
		    g_ascii_isdigit(text[3])) {
			g_string_append_c(plain, (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0')));
			text += 3;
		} else {
			g_string_append_c(plain, *text);
		}
	}
	return g_string_free(plain, FALSE);
}

struct found {
	char *mount, *root;
	gboolean read_only, with_cpuset;
};

static void found_clear(struct found *found)
{
	g_clear_pointer(&found->mount, g_free);
	g_clear_pointer(&found->root, g_free);
}

/* ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS [TAGS…] - TYPE SOURCE SUPEROPTIONS; the last mount of each kind hides others. */
static void look_at_line(const char *line, struct found *v1, struct found *v2)
{
	g_auto(GStrv) halves = g_strsplit(line, " - ", 2);
	g_auto(GStrv) left = NULL, right = NULL;
	struct found *found;

	if (!halves[0] || !halves[1])
		return;
	left = g_strsplit(halves[0], " ", -1);
	right = g_strsplit(halves[1], " ", -1);
	if (g_strv_length(left) < 6 || g_strv_length(right) < 3)
		return;
	if (!strcmp(right[0], "cgroup2"))
		found = v2;
	else if (!strcmp(right[0], "cgroup") && has_word(right[2], "cpu"))
		found = v1;
	else
		return;
	found_clear(found);
	found->root = unescape(left[3]);
	found->mount = unescape(left[4]);
	found->read_only = has_word(left[5], "ro") || has_word(right[2], "ro");
	found->with_cpuset = has_word(right[2], "cpuset");
}

void cpu_mounts_find(const char *mountinfo, const char *cgroup, struct cpu_groups *groups)
{
	g_auto(GStrv) lines = g_strsplit(mountinfo, "\n", -1);
	struct found v1 = { 0 }, v2 = { 0 };
	struct found *found;

	for (guint i = 0; lines[i]; i++)
		look_at_line(lines[i], &v1, &v2);
	found = v1.mount ? &v1 : &v2;
	groups->kind = !found->mount ? CPU_GROUPS_NONE : found == &v1 ? CPU_GROUPS_V1 : CPU_GROUPS_V2;
	if (groups->kind == CPU_GROUPS_NONE) {
		g_strlcpy(groups->why, "no cgroup hierarchy with the cpu controller is mounted", CPU_WHY_MAX);
	} else if (found->read_only) {
		g_snprintf(groups->why, CPU_WHY_MAX, "%s is mounted read-only", found->mount);
		groups->kind = CPU_GROUPS_NONE;
	} else {
		groups->mount = g_steal_pointer(&found->mount);
		groups->mount_root = g_steal_pointer(&found->root);
		groups->with_cpuset = found->with_cpuset;
		groups->base = cpu_mounts_dir(groups, cgroup);
		if (!groups->base) /* our group is outside what is mounted */
			groups->base = g_strdup(groups->mount);
	}
	found_clear(&v1);
	found_clear(&v2);
}
