/* Every noun's table is sound: rows inside the struct and not overlapping, documented, schemas that say what is parsed. */
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"

static gsize field_size(const struct field *field)
{
	switch (field->type) {
	case FIELD_BOOL:
	case FIELD_ENUM:
		return sizeof(int);
	case FIELD_STRING:
	case FIELD_STRINGS:
	case FIELD_UINT:
	case FIELD_BYTES:
	case FIELD_MS:
	case FIELD_TIME:
	case FIELD_NUMBER:
		break;
	}
	return 8;
}

static void test_rows(void)
{
	for (int n = 0; nouns[n]; n++) {
		const struct noun *noun = nouns[n];
		g_autofree char *used = g_malloc0(noun->size);
		gsize covered = 0;

		for (gsize i = 0; i < noun->n_fields; i++) {
			const struct field *field = &noun->fields[i];

			g_assert_true(noun_field(noun, field->name) == field);
			g_assert_true(g_str_has_suffix(field->doc, "."));
			g_assert_cmpuint(field->offset + field_size(field), <=, noun->size);
			for (gsize b = field->offset; b < field->offset + field_size(field); b++) {
				g_assert_cmpint(used[b], ==, 0);
				used[b] = 1;
			}
			covered += field_size(field);
			g_assert_true((field->type == FIELD_ENUM) == (field->names != NULL));
		}
		/* What no row covers can only be padding: no member was forgotten. */
		g_assert_cmpuint(noun->size - covered, <, 16);
	}
}

static gsize fields_answered(const struct noun *noun)
{
	gsize n = 0;

	for (gsize i = 0; i < noun->n_fields; i++)
		n += (noun->fields[i].flags & FIELD_INTERNAL) == 0;
	return n;
}

static void test_empty_round_trip(void)
{
	for (int n = 0; nouns[n]; n++) {
		g_autofree gpointer object = g_malloc(nouns[n]->size);
		g_autoptr(JsonObject) node = NULL;
		g_autofree gpointer back = g_malloc(nouns[n]->size);
		g_autoptr(GError) error = NULL;

		noun_init(nouns[n], object);
		node = noun_to_node(nouns[n], object);
		g_assert_cmpuint(json_object_get_size(node), ==, fields_answered(nouns[n]));
		if (nouns[n] == &vm_noun || nouns[n] == &status_noun || nouns[n] == &pool_noun ||
		    nouns[n] == &plan_noun || nouns[n] == &host_noun || nouns[n] == &host_spec_noun ||
		    nouns[n] == &strategy_choice_noun) {
			noun_from_node(nouns[n], back, node, NOUN_FROM_STORE, &error);
			g_assert_no_error(error);
			g_assert_true(noun_equal(nouns[n], object, back, 0));
			noun_clear(nouns[n], back);
		}
		noun_clear(nouns[n], object);
	}
}

static void test_schema(void)
{
	g_autoptr(JsonObject) create = noun_schema(&vm_noun, NOUN_FROM_CREATE);
	g_autoptr(JsonObject) update = noun_schema(&vm_noun, NOUN_FROM_UPDATE);
	g_autoptr(JsonObject) answer = noun_schema(&vm_noun, NOUN_FROM_STORE);
	JsonObject *properties = json_object_get_object_member(create, "properties");
	JsonObject *memory = json_object_get_object_member(properties, "memory_bytes");

	g_assert_false(json_object_get_boolean_member(create, "additionalProperties"));
	g_assert_true(json_object_has_member(properties, "image"));
	g_assert_false(json_object_has_member(properties, "uuid"));
	g_assert_cmpint(json_object_get_int_member(memory, "minimum"), ==, LIMIT_VM_MEMORY_MIN_BYTES);
	g_assert_cmpint(json_object_get_int_member(memory, "default"), ==, 256 << 20);
	g_assert_cmpstr(json_array_get_string_element(json_object_get_array_member(create, "required"), 0), ==,
			"image");
	g_assert_false(json_object_has_member(update, "required"));
	g_assert_cmpuint(json_array_get_length(json_object_get_array_member(answer, "required")), ==, vm_noun.n_fields);
}

static gboolean vm_accepts(const char *json)
{
	struct vm vm;
	gboolean ok = noun_from_json(&vm_noun, &vm, json, strlen(json), NOUN_FROM_CREATE, NULL);

	noun_clear(&vm_noun, &vm);
	return ok;
}

static void test_vm_requests(void)
{
	g_assert_true(vm_accepts("{\"image\":\"tiny\"}"));
	g_assert_true(vm_accepts(
		"{\"image\":\"tiny\",\"memory_bytes\":10993924975165440}")); /* 9999T: for allocation to refuse */
	g_assert_true(vm_accepts("{\"image\":\"tiny\",\"publish\":[\"8080:80\"],\"engine\":\"sim\"}"));
	g_assert_false(vm_accepts("{\"image\":\"../tiny\"}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"name\":\"\"}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"name\":\"../etc\"}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"engine\":\"xen\"}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"cpus\":0}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"cpus\":289}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"memory_bytes\":1048576}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"publish\":[\"80\"]}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"uuid\":\"x\"}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"run\":3}"));
}

static void refuses(const char *members, const char *why)
{
	g_autofree char *json = g_strdup_printf("{\"image\":\"tiny\",%s}", members);
	g_autoptr(GError) error = NULL;
	struct vm vm;

	g_assert_false(noun_from_json(&vm_noun, &vm, json, strlen(json), NOUN_FROM_CREATE, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
	g_assert_cmpstr(error->message, ==, why);
}

/* What a VM wishes of CPUs must make sense together. */
static void test_vm_cpus(void)
{
	static const char update[] = "{\"cpu_limit_percent\":20}";
	g_autoptr(GError) error = NULL;
	struct vm vm;

	g_assert_true(vm_accepts("{\"image\":\"tiny\",\"cpus\":2,\"cpu_reserve_percent\":200}"));
	refuses("\"cpus\":2,\"cpu_reserve_percent\":201",
		"cpu_reserve_percent: 201% is more than 2 vCPUs can use: at most 200%");
	refuses("\"cpu_limit_percent\":20,\"cpu_reserve_percent\":30",
		"cpu_reserve_percent: 30% is more than its limit of 20%: raise cpu_limit_percent or reserve less");
	g_assert_true(vm_accepts("{\"image\":\"tiny\",\"cpus\":10,\"cpu_limit_percent\":1}"));
	refuses("\"cpus\":11,\"cpu_limit_percent\":1", "cpu_limit_percent: 1% over 11 vCPUs is less than the kernel "
						       "can limit each to (1 ms a second): at least 2%");
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"cpu_weight\":0}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"cpu_weight\":10001}"));
	g_assert_false(vm_accepts("{\"image\":\"tiny\",\"cpu_latency_us\":1000001}"));
	/* A change is looked at with what stays, and does nothing when it is refused. */
	noun_init(&vm_noun, &vm);
	vm.cpu_reserve_percent = 50;
	g_assert_false(noun_from_json(&vm_noun, &vm, update, strlen(update), NOUN_FROM_UPDATE, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
	g_assert_cmpuint(vm.cpu_limit_percent, ==, 0);
	vm.cpu_reserve_percent = 20;
	g_assert_true(noun_from_json(&vm_noun, &vm, update, strlen(update), NOUN_FROM_UPDATE, NULL));
	noun_clear(&vm_noun, &vm);
}

static void test_image_paths(void)
{
	static const char bad[] = "{\"name\":\"a\",\"kernel\":\"vmlinux\"}";
	static const char tricky[] = "{\"name\":\"a\",\"kernel\":\"/boot/../etc/shadow\"}";
	static const char good[] = "{\"name\":\"a\",\"kernel\":\"/boot/vmlinuz\"}";
	struct image image;

	g_assert_false(noun_from_json(&image_noun, &image, bad, strlen(bad), NOUN_FROM_CREATE, NULL));
	g_assert_false(noun_from_json(&image_noun, &image, tricky, strlen(tricky), NOUN_FROM_CREATE, NULL));
	g_assert_true(noun_from_json(&image_noun, &image, good, strlen(good), NOUN_FROM_CREATE, NULL));
	g_assert_cmpint(image.source, ==, IMAGE_SOURCE_FILES);
	noun_clear(&image_noun, &image);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/nouns/rows", test_rows);
	g_test_add_func("/nouns/empty-round-trip", test_empty_round_trip);
	g_test_add_func("/nouns/schema", test_schema);
	g_test_add_func("/nouns/vm-requests", test_vm_requests);
	g_test_add_func("/nouns/vm-cpus", test_vm_cpus);
	g_test_add_func("/nouns/image-paths", test_image_paths);
	return g_test_run();
}
