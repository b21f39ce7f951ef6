/* Private to the API: the parts that openapi.c puts together. */
#pragma once

#include <json-glib/json-glib.h>

/* All schemas by name. Caller unrefs. */
JsonObject *openapi_schemas(void);

JsonObject *schema_typed(const char *type, const char *doc);
JsonObject *schema_reference(const char *schema);
