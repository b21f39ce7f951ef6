/* An explanation of a placement (the API's Explanation) as people read it. */
#pragma once

#include <json-glib/json-glib.h>

void explanation_print(JsonObject *explanation);
gboolean explanation_refuses(JsonObject *explanation);
