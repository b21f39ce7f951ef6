/* Private to the API: what hosts.c and host_create.c share. */
#pragma once

#include "daemon/api/server.h"

void hosts_not_found(struct request *request);
