/* /v1/images. The API writes /image/NAME; the agent builds and writes /image-status/NAME. */
#include "daemon/api/change.h"

#include <string.h>

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

/* ---- Changes ---- */

static const struct change creating = { "create image",
					"it exists already: choose another name, or polder image rm it first", 201,
					answer };
static const struct change building = { "build image", "somebody else changed it meanwhile: try again", 200, answer };
static const struct change removing = { "remove image", "somebody else changed it meanwhile: try again", 200,
					answer_gone };

static void put(struct request *request, const struct change *change, const struct image *image, gint64 mod_revision)
{
	g_autofree char *key = g_strconcat("/image/", image->name, NULL);

	change_commit(request, change, image->name, change_put(key, mod_revision, &image_noun, image));
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
		put(request, &creating, &image, 0);
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
	put(request, &building, &image, kv->mod_revision);
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
	change_commit(request, &removing, request->name, change_delete(kv));
}
