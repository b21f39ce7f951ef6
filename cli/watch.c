/* polder logs, polder events: what comes as it comes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/vm.h"
#include "daemon/model/error.h"
#include "daemon/model/nouns.h"
#include "daemon/model/units.h"

#define EVENT_BYTES_MAX 65536

static gboolean broke_off(GError **error, GError *cause)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "the daemon went away: %s; try again",
		    cause ? cause->message : "the stream ended");
	g_clear_error(&cause);
	return FALSE;
}

static gboolean copy_to_stdout(GInputStream *stream, GError **error)
{
	char buffer[16384];
	GError *cause = NULL;
	gssize got;

	while ((got = g_input_stream_read(stream, buffer, sizeof(buffer), NULL, &cause)) > 0) {
		if (fwrite(buffer, 1, (gsize)got, stdout) != (gsize)got || fflush(stdout) != 0) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "can't write the log: %s",
				    g_strerror(errno));
			return FALSE;
		}
	}
	return got == 0 || broke_off(error, cause);
}

/* One document: the whole log as a string, made valid UTF-8. */
static gboolean log_as_json(GInputStream *stream, const char *name, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(JsonObject) object = json_object_new();
	g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
	char buffer[16384];
	GError *cause = NULL;
	gssize got;
	char *valid;

	while ((got = g_input_stream_read(stream, buffer, sizeof(buffer), NULL, &cause)) > 0)
		g_string_append_len(text, buffer, got);
	if (got < 0)
		return broke_off(error, cause);
	valid = g_utf8_make_valid(text->str, (gssize)text->len);
	json_object_set_string_member(object, "name", name);
	json_object_set_string_member(object, "log", valid);
	g_free(valid);
	view_json(node);
	return TRUE;
}

int verb_logs(struct invocation *invocation, GError **error)
{
	const char *name = invocation_argument(invocation, 0), *tail = invocation_option(invocation, "tail");
	gboolean follow = invocation_flag(invocation, "follow"), as_json = invocation_flag(invocation, "json");
	g_autoptr(GInputStream) stream = NULL;
	g_autofree char *path = NULL;
	struct client *client;
	guint64 tail_bytes = 0;
	gboolean ok;

	if (!names_check(invocation, error))
		return -1;
	if (tail && !size_parse(tail, &tail_bytes, error)) {
		g_prefix_error(error, "--tail: ");
		return -1;
	}
	if (follow && as_json)
		return usage_error(error, invocation, "--follow and --json exclude each other");
	client = client_open(invocation, error);
	if (!client)
		return -1;
	path = g_strdup_printf("/v1/vms/%s/logs?follow=%s&tail_bytes=%" G_GUINT64_FORMAT, name,
			       follow ? "true" : "false", tail_bytes);
	stream = client_read(client, path, error);
	ok = stream && (as_json ? log_as_json(stream, name, error) : copy_to_stdout(stream, error));
	client_close(client);
	return ok ? 0 : -1;
}

static const struct field time_field = { .name = "time", .type = FIELD_TIME };

static void print_event(JsonObject *event)
{
	g_autofree char *time = field_format(&time_field, json_object_get_member(event, "time"));
	const char *state = view_text(event, NULL, "state"), *reason = view_text(event, NULL, "reason");
	g_autoptr(GString) line = g_string_new(NULL);
	g_autofree char *printable = NULL;

	g_string_append_printf(line, "%s  %-5s  %s  %s", time, view_text(event, NULL, "type"),
			       view_text(event, NULL, "name"), view_text(event, NULL, "change"));
	if (*state)
		g_string_append_printf(line, "  %s", state);
	if (json_object_get_boolean_member_with_default(event, "ready", FALSE))
		g_string_append(line, ", ready");
	if (strcmp(state, "building") == 0)
		g_string_append_printf(line, " %" G_GINT64_FORMAT "%%", view_number(event, NULL, "progress_percent"));
	if (*reason)
		g_string_append_printf(line, "  %s", reason);
	printable = text_printable(line->str);
	puts(printable);
}

/* One server-sent event's data. */
static void event(const char *data, gboolean as_json)
{
	g_autoptr(JsonNode) node = json_parse_bounded(data, strlen(data), NULL);

	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return;
	if (as_json) {
		g_autofree char *text = json_to_string(node, FALSE);

		puts(text);
	} else
		print_event(json_node_get_object(node));
	fflush(stdout);
}

static gboolean follow_events(GInputStream *stream, gboolean as_json, GError **error)
{
	g_autoptr(GDataInputStream) lines = g_data_input_stream_new(stream);
	g_autoptr(GString) data = g_string_new(NULL);
	GError *cause = NULL;
	char *line;

	while (!ferror(stdout) && (line = g_data_input_stream_read_line(lines, NULL, NULL, &cause))) {
		g_strchomp(line);
		if (!*line && data->len) {
			event(data->str, as_json);
			g_string_truncate(data, 0);
		} else if (g_str_has_prefix(line, "data:") && data->len + strlen(line) < EVENT_BYTES_MAX)
			g_string_append(data, line + strlen("data:"));
		g_free(line);
	}
	/* `polder events | head` is no failure. */
	return ferror(stdout) || broke_off(error, cause);
}

int verb_events(struct invocation *invocation, GError **error)
{
	const char *since = invocation_option(invocation, "since");
	g_autoptr(GInputStream) stream = NULL;
	g_autofree char *path = NULL;
	struct client *client;
	guint64 revision = 0;
	gboolean ok;

	if (since && !g_ascii_string_to_unsigned(since, 10, 0, G_MAXINT64, &revision, NULL))
		return usage_error(error, invocation, "--since '%s' is not a revision", since);
	client = client_open(invocation, error);
	if (!client)
		return -1;
	path = since ? g_strdup_printf("/v1/events?since=%" G_GUINT64_FORMAT, revision) : g_strdup("/v1/events");
	stream = client_read(client, path, error);
	ok = stream && follow_events(stream, invocation_flag(invocation, "json"), error);
	client_close(client);
	return ok ? 0 : -1;
}
