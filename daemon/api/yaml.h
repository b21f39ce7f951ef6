/* JSON trees as YAML 1.2 text, block style. */
#pragma once

#include <json-glib/json-glib.h>

/* yaml_format(node): an object or array as YAML, members in their order. Caller frees. */
char *yaml_format(JsonNode *node);
