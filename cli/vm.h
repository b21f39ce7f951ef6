/* What several VM verbs share. */
#pragma once

#include "cli/client.h"
#include "cli/stream.h"

#define VM_START_WAIT_MS 60000u

/* vm_wait_image(client, image, error): have the image ready to boot, building it with a progress bar when it is not.
 * In images.c. */
gboolean image_make_ready(struct client *client, const char *image, GError **error);

/* image_build(client, image, error): build it anew, to its end. In images.c. */
gboolean image_build(struct client *client, const char *image, GError **error);

/* names_check(invocation, error): every argument is a valid name, safe to put into a path. In vms.c. */
gboolean names_check(const struct invocation *invocation, GError **error);

/* vm_get(client, name, error): the VM's view. Caller unrefs. In vms.c. */
JsonNode *vm_get(struct client *client, const char *name, GError **error);

/* vm_check_running(view, error): FALSE when the VM has ended instead, with its reason and the next step. In vms.c. */
gboolean vm_check_running(JsonNode *view, GError **error);

/* What an exec needs besides the VM. */
struct exec_request {
	char **argv;
	const char **env;
	const char *workdir;
	gboolean tty, interactive;
	guint64 wait_ms;
	gboolean remove; /* the VM, when the stream ends */
};

/* exec_request_init(request, invocation, error): from the options env, workdir, tty and interactive. In attach.c. */
gboolean exec_request_init(struct exec_request *request, const struct invocation *invocation, GError **error);
void exec_request_clear(struct exec_request *request);

/* vm_exec(client, name, request, error): the exit status for us to exit with. Once the session was open every failure of
 * Polder's is 125. In attach.c. */
int vm_exec(struct client *client, const char *name, const struct exec_request *request, GError **error);

/* vm_attach(client, name, error): console until detached or the VM ends: exit status. In attach.c. */
int vm_attach(struct client *client, const char *name, GError **error);
