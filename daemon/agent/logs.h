/* A VM's directory of console logs under the state directory. */
#pragma once

#include "daemon/model/dirs.h"

/* logs_remove(dirs, name): delete state/vm/NAME with the files in it. Fine when there is none. Follows no links. */
void logs_remove(const struct dirs *dirs, const char *name);
