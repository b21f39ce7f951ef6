/* What the agent may do, reduced to what it needs. */
#pragma once

#include <glib.h>

/* privileges_reduce(error): no process below may gain privileges by exec; as root, every capability that neither the
 * agent nor its children need is given up for good, theirs included. Call once, before threads. */
gboolean privileges_reduce(GError **error);
