/* What the API parses of a request: three lines are the method's path, the query and the body. */
#include <stdint.h>
#include <string.h>

#include "daemon/api/parse.h"
#include "daemon/api/record.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_path(const char *path)
{
	static const char *const templates[] = { "/v1/vms", "/v1/vms/{name}", "/v1/vms/{name}/exec",
						 "/v1/images/{name}/build" };

	for (gsize i = 0; i < G_N_ELEMENTS(templates); i++) {
		g_autofree char *name = NULL;

		/* A matched name has no separator in it: it becomes a key and a path component. */
		if (path_match(templates[i], path, &name) && name)
			g_assert_null(strchr(name, '/'));
	}
}

static void fuzz_query(const char *text)
{
	static const char *const allowed[] = { "wait_ms", "force", "since", NULL };
	g_autoptr(GHashTable) query = query_parse(text, allowed, NULL);
	guint64 number;
	gboolean flag;

	if (!query)
		return;
	g_assert_cmpuint(g_hash_table_size(query), <=, 3);
	if (query_uint(query, "wait_ms", (struct query_range) { 5, 1000 }, &number, NULL))
		g_assert_cmpuint(number, <=, 1000);
	if (query_bool(query, "force", &flag, NULL))
		g_assert_true(flag == TRUE || flag == FALSE);
}

static void fuzz_body(const char *body, gsize bytes)
{
	static const struct noun *const taken[] = { &vm_noun, &image_noun };
	g_autoptr(GBytes) record = g_bytes_new(body, bytes);
	g_autoptr(GString) out = g_string_new(NULL);

	for (gsize i = 0; i < G_N_ELEMENTS(taken); i++) {
		guint64 object[64];

		g_assert_cmpuint(taken[i]->size, <=, sizeof(object));
		if (!noun_from_json(taken[i], object, body, bytes, NOUN_FROM_CREATE, NULL))
			continue;
		{
			/* What is accepted is stored, and answered from what was stored: that must be JSON again. */
			char *text = noun_to_json(taken[i], object);
			g_autoptr(GBytes) stored = g_bytes_new_take(text, strlen(text));
			g_autoptr(GString) view = g_string_new("{");
			g_autoptr(JsonNode) node = NULL;

			record_append(view, taken[i], stored, NULL, 0);
			g_string_append_c(view, '}');
			node = json_parse_bounded(view->str, view->len, NULL);
			g_assert_nonnull(node);
			g_assert_cmpuint(json_object_get_size(json_node_get_object(node)), ==, taken[i]->n_fields);
		}
		noun_clear(taken[i], object);
	}
	/* The scanner of stored records stays within its bounds whatever it is given. */
	record_append(out, &status_noun, record, NULL, 0);
	record_append(out, &plan_noun, record, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	char *query = strchr(text, '\n'), *body = query ? strchr(query + 1, '\n') : NULL;

	if (query)
		*query++ = '\0';
	if (body)
		*body++ = '\0';
	fuzz_path(text);
	if (query)
		fuzz_query(query);
	if (body && strlen(body) <= LIMIT_API_BODY_BYTES)
		fuzz_body(body, strlen(body));
	return 0;
}
