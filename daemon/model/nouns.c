#include "daemon/model/table.h"

#include <string.h>

const char *const vm_desired_names[] = { "running", "paused", "stopped", NULL };
const char *const vm_restart_names[] = { "never", "on-failure", "always", NULL };
const char *const vm_network_names[] = { "user", "none", NULL };
const char *const vm_exclusive_names[] = { "none", "host", "core", NULL };
const char *const vm_numa_names[] = { "any", "one", "split", NULL };
const char *const vm_hugepages_names[] = { "none", "2M", "1G", NULL };

const struct noun *const nouns[] = {
	&vm_noun,   &plan_noun,      &status_noun,          &host_noun, &image_noun, &image_status_noun,
	&pool_noun, &host_spec_noun, &strategy_choice_noun, NULL,
};

gboolean engine_check(const char *text, GError **error)
{
	if (strcmp(text, "qemu") == 0 || strcmp(text, "sim") == 0)
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "there is no engine '%.63s': use qemu or sim", text);
	return FALSE;
}

gboolean path_check(const char *text, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(text, "/", -1);

	if (text[0] == '/' && !g_strv_contains((const char *const *)parts, ".."))
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
		    "'%.100s' is not an absolute path: begin it at / and use no ..", text);
	return FALSE;
}
