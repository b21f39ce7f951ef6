/* /v1/images. The API writes /image/NAME; the agent builds and writes /image-status/NAME. */
#include "daemon/api/server.h"

#include <string.h>

#define UPDATE_WAIT_MS LIMIT_STORE_REQUEST_TIMEOUT_MS

/* A write under way; request->state. */
struct image_op {
	char *name;
	gint64 revision;
	guint status;
	gboolean removed;
};

static void image_op_free(gpointer data)
{
	struct image_op *op = data;

	g_free(op->name);
	g_free(op);
}

static struct image_op *image_op_new(struct request *request, const char *name, guint status)
{
	struct image_op *op = g_new0(struct image_op, 1);

	op->name = g_strdup(name);
	op->status = status;
	request->state = op;
	request->state_free = image_op_free;
	return op;
}

static void not_found(struct request *request, const char *name)
{
	request_fail_new(request, POLDER_ERROR_NOT_FOUND,
			 "there is no image called \"%s\": polder image ls lists those there are", name);
}

static void answer(struct request *request, guint status, const char *name)
{
	const struct store_kv *image = api_get(request->api, "image", name);
	GString *out;

	if (!image) {
		not_found(request, name);
		return;
	}
	out = g_string_new(NULL);
	view_image(out, image, api_get(request->api, "image-status", name));
	request_json(request, status, out);
}

struct image_list {
	const struct api *api;
	GString *out;
	guint n;
};

static gboolean list_add(const struct store_kv *kv, gpointer user_data)
{
	struct image_list *list = user_data;

	if (list->n++)
		g_string_append_c(list->out, ',');
	view_image(list->out, kv, api_get(list->api, "image-status", kv->key + strlen("/image/")));
	return TRUE;
}

void images_list(struct request *request)
{
	struct image_list list = { .api = request->api, .out = g_string_new("{\"images\":[") };

	store_cache_foreach(request->api->config.cache, "/image/", list_add, &list);
	g_string_append(list.out, "]}");
	request_json(request, 200, list.out);
}

void images_get(struct request *request)
{
	answer(request, 200, request->name);
}

/* ---- Writes: answered once our cache has seen them ---- */

static gboolean written_check(struct request *request)
{
	const struct image_op *op = request->state;

	if (store_cache_revision(request->api->config.cache) < op->revision)
		return FALSE;
	if (op->removed) {
		GString *out = g_string_new("{\"name\":");

		record_append_string(out, op->name);
		g_string_append(out, ",\"gone\":true}");
		request_json(request, 200, out);
	} else {
		answer(request, op->status, op->name);
	}
	return TRUE;
}

static void written_expired(struct request *request)
{
	request_fail_new(request, POLDER_ERROR_TIMEOUT, "the store has not confirmed the change in time");
}

static void write_done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	static const struct wait_funcs funcs = { .check = written_check, .expired = written_expired };
	struct request *request = user_data;
	struct image_op *op = request->state;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result = store_txn_finish(request->store, async, &error);

	if (!result) {
		g_prefix_error(&error, "change image %s: ", op->name);
		request_fail(request, error);
	} else if (!result->succeeded) {
		request_fail_new(
			request, POLDER_ERROR_CONFLICT,
			op->status == 201
				? "an image called \"%s\" exists already: choose another name, or polder image rm %s"
				: "image %s was changed by somebody else meanwhile: try again%.0s",
			op->name, op->name);
	} else {
		op->revision = result->revision;
		wait_begin(request, op->name, UPDATE_WAIT_MS, &funcs);
	}
	if (result)
		store_txn_result_free(result);
	request_unref(request);
}

static void put(struct request *request, const struct image *image, gint64 mod_revision)
{
	struct store_txn *txn = store_txn_new();
	g_autofree char *key = g_strconcat("/image/", image->name, NULL);
	char *text = noun_to_json(&image_noun, image);
	g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));

	store_txn_compare(txn, key, STORE_TARGET_MOD, STORE_EQUAL, mod_revision);
	store_txn_put(txn, STORE_THEN, key, value, 0);
	store_txn_async(request->store, txn, NULL, write_done, request_ref(request));
}

static gboolean create_check(const struct image *image, GError **error)
{
	gboolean kernel = image->kernel && *image->kernel, firmware = image->firmware && *image->firmware;

	if (image->source == IMAGE_SOURCE_BUILTIN) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "the builtin image is \"tiny\" and is there already; others have source \"files\"");
		return FALSE;
	}
	if (kernel == firmware) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "an image needs either a kernel or a firmware, as an absolute path");
		return FALSE;
	}
	return TRUE;
}

void images_create(struct request *request)
{
	g_autoptr(GError) error = NULL;
	struct image image;

	if (!noun_from_json(&image_noun, &image, (const char *)request->body->data, request->body->len,
			    NOUN_FROM_CREATE, &error)) {
		request_fail(request, error);
		return;
	}
	if (!create_check(&image, &error)) {
		request_fail(request, error);
	} else {
		image.owner_uid = request->peer_uid;
		image.created_at = g_get_real_time();
		image.build = 1;
		image_op_new(request, image.name, 201);
		put(request, &image, 0);
	}
	noun_clear(&image_noun, &image);
}

void images_build(struct request *request)
{
	const struct store_kv *kv = api_get(request->api, "image", request->name);
	g_autoptr(GError) error = NULL;
	struct image image;

	if (!kv) {
		not_found(request, request->name);
		return;
	}
	if (!api_parse(&image_noun, kv, &image, &error)) {
		request_fail(request, error);
		return;
	}
	image.build++;
	image_op_new(request, image.name, 200);
	put(request, &image, kv->mod_revision);
	noun_clear(&image_noun, &image);
}

struct image_user {
	const char *image;
	char *vm; /* the first VM that uses it */
};

static gboolean find_user(const struct store_kv *kv, gpointer user_data)
{
	struct image_user *user = user_data;
	g_autofree char *image = record_value_string(record_get(kv->value, "image"));

	if (g_strcmp0(image, user->image) != 0)
		return TRUE;
	user->vm = g_strdup(kv->key + strlen("/vm/"));
	return FALSE;
}

void images_delete(struct request *request)
{
	const struct store_kv *kv = api_get(request->api, "image", request->name);
	struct image_user user = { .image = request->name };
	g_autofree char *vm = NULL;
	struct store_txn *txn;
	struct image_op *op;

	if (!kv) {
		not_found(request, request->name);
		return;
	}
	if (record_value_is(record_get(kv->value, "source"), "\"builtin\"")) {
		request_fail_new(request, POLDER_ERROR_CONFLICT,
				 "image %s is built in: it can be built anew, not removed", request->name);
		return;
	}
	store_cache_foreach(request->api->config.cache, "/vm/", find_user, &user);
	vm = user.vm;
	if (vm) {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "image %s is used by VM %s: polder rm %s first",
				 request->name, vm, vm);
		return;
	}
	op = image_op_new(request, request->name, 200);
	op->removed = TRUE;
	txn = store_txn_new();
	store_txn_compare(txn, kv->key, STORE_TARGET_MOD, STORE_EQUAL, kv->mod_revision);
	store_txn_delete(txn, STORE_THEN, kv->key);
	store_txn_async(request->store, txn, NULL, write_done, request_ref(request));
}
