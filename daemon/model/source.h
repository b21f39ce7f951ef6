/* What GLib lacks for sources that we keep a reference to. */
#pragma once

#include <glib.h>

/* source_clear(&source): end the source and forget it. Fine when there is none. */
static inline void source_clear(GSource **source)
{
	if (!*source)
		return;
	g_source_destroy(*source);
	g_clear_pointer(source, g_source_unref);
}
