/* Private to the stream agent: one session.
 *
 *   open ──▶ RUNNING ──child ended──▶ DRAINING ──all it wrote was sent──▶ EXIT sent, gone
 *               └───────CLOSE, hang-up, HELLO──▶ CLOSING (SIGHUP, later SIGKILL; nothing is sent) ──child ended──▶ gone
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest/buffer.h"
#include "guest/loop.h"
#include "guest/protocol.h"

#define STREAM_SESSIONS_MAX 64

struct stream_agent;
struct stream_session;

struct stream_session *stream_session_open(struct stream_agent *agent, uint32_t id, const char *request, size_t bytes,
					   char *error, size_t error_bytes);

/* A frame for it. A sender that breaks the window's rule has its session closed with REFUSED. */
void stream_session_frame(struct stream_session *session, uint8_t kind, const uint8_t *payload, size_t bytes);
void stream_session_close(struct stream_session *session);  /* begin CLOSING */
void stream_session_kill(struct stream_session *session);   /* kill and free at once */
void stream_session_resume(struct stream_session *session); /* the port takes output again */

/* What a session needs of its agent. */
struct loop *stream_agent_loop(struct stream_agent *agent);
bool stream_agent_crowded(const struct stream_agent *agent); /* don't read more output now */
void stream_agent_send(struct stream_agent *agent, uint32_t id, uint8_t kind, const void *payload, size_t bytes);
void stream_agent_gone(struct stream_agent *agent, struct stream_session *session); /* forget it: it frees itself */
