/* What a new VM is to be, from the options of run and of host capacity. */
#pragma once

#include <json-glib/json-glib.h>

#include "cli/command.h"

/* create_request(invocation, image, error): the body of POST /v1/vms; image NULL: none. Caller unrefs. */
JsonNode *create_request(const struct invocation *invocation, const char *image, GError **error);
