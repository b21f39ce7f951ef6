/* The user's terminal. */
#pragma once

#include <glib.h>

/* terminal_size(fd, rows, columns): FALSE, and 24 by 80, when fd is no terminal or does not know. */
gboolean terminal_size(int fd, guint *rows, guint *columns);

/* terminal_raw(fd): every key as typed, nothing echoed. Undone by terminal_restore(), by exit() and by any signal that
 * ends the process and can be caught. FALSE when fd is no terminal. */
gboolean terminal_raw(int fd);
void terminal_restore(void); /* does nothing when not raw */
