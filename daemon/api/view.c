/* What a client sees of a VM or image: its records merged into one object. */
#include "daemon/api/server.h"

#include <string.h>

struct vm_records vm_records_get(const struct api *api, const char *name)
{
	return (struct vm_records) { .vm = api_get(api, "vm", name),
				     .plan = api_get(api, "plan", name),
				     .status = api_get(api, "status", name) };
}

static GBytes *value_of(const struct store_kv *kv)
{
	return kv ? kv->value : NULL;
}

static gboolean plan_refuses(const struct store_kv *plan)
{
	return plan && record_value_is(record_get(plan->value, "refused"), "true");
}

static gint64 view_revision(const struct vm_records *records)
{
	gint64 revision = records->vm->mod_revision;

	if (records->plan)
		revision = MAX(revision, records->plan->mod_revision);
	if (records->status)
		revision = MAX(revision, records->status->mod_revision);
	return revision;
}

void view_vm(GString *out, const struct vm_records *records)
{
	static const char refused_json[] = "\"refused\"";
	struct record_override refused[2];
	gsize n_refused = 0;

	if (!records->status && plan_refuses(records->plan)) {
		refused[0] = (struct record_override) { "state", { refused_json, strlen(refused_json) } };
		refused[1] = (struct record_override) { "reason", record_get(records->plan->value, "reason") };
		n_refused = refused[1].value.bytes ? 2 : 1;
	}
	g_string_append_c(out, '{');
	record_append(out, &vm_noun, records->vm->value, NULL, 0);
	g_string_append(out, ",\"status\":{");
	record_append(out, &status_noun, value_of(records->status), refused, n_refused);
	g_string_append(out, "},\"plan\":{");
	record_append(out, &plan_noun, value_of(records->plan), NULL, 0);
	g_string_append_printf(out, "},\"revision\":%" G_GINT64_FORMAT "}", view_revision(records));
}

static int enum_value(const struct noun *noun, const char *field_name, struct record_value value)
{
	const struct field *field = noun_field(noun, field_name);
	g_autofree char *name = record_value_string(value);

	for (int i = 0; name && field->names[i]; i++) {
		if (strcmp(field->names[i], name) == 0)
			return i;
	}
	return (int)field->initial;
}

int view_state(const struct vm_records *records, char **reason)
{
	int state = VM_STATE_PENDING;

	*reason = NULL;
	if (records->status) {
		state = enum_value(&status_noun, "state", record_get(records->status->value, "state"));
		*reason = record_value_string(record_get(records->status->value, "reason"));
	} else if (plan_refuses(records->plan)) {
		state = VM_STATE_REFUSED;
		*reason = record_value_string(record_get(records->plan->value, "reason"));
	}
	if (!*reason)
		*reason = g_strdup("");
	return state;
}

const char *view_state_name(int state)
{
	return noun_field(&status_noun, "state")->names[state];
}

void view_image(GString *out, const struct store_kv *image, const struct store_kv *status)
{
	g_string_append_c(out, '{');
	record_append(out, &image_noun, image->value, NULL, 0);
	g_string_append(out, ",\"status\":{");
	record_append(out, &image_status_noun, value_of(status), NULL, 0);
	g_string_append(out, "}}");
}

int view_image_state(const struct store_kv *status)
{
	return status ? enum_value(&image_status_noun, "state", record_get(status->value, "state"))
		      : IMAGE_STATE_ABSENT;
}
