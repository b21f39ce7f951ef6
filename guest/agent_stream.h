/* Streaming sessions (guest/protocol.h): a program with its stdin, stdout and stderr, or on a terminal. */
#pragma once

#include "guest/loop.h"

struct stream_agent;

struct stream_agent *stream_agent_new(struct loop *loop, int fd); /* owns fd */
void stream_agent_free(struct stream_agent *agent);               /* kills what its sessions run */
void stream_agent_wake(struct stream_agent *agent);               /* see port_wake */
