#include "guest/agent_stream.h"

#include <stdlib.h>
#include <string.h>

#include "guest/port.h"
#include "guest/stream_session.h"

#define STREAM_VERSION 1
/* Output of all sessions on its way; and the control frames, which are few and short, on top. */
#define STREAM_OUT_BYTES_MAX (1u << 20)

struct slot {
	uint32_t id;
	bool silent; /* closing: its id answers no more frames */
	struct stream_session *session;
};

struct stream_agent {
	struct loop *loop;
	struct port *port;
	bool greeted; /* HELLO came since the host connected; frames before it are of an older connection */
	struct slot slots[STREAM_SESSIONS_MAX];
	/* The frame being read. */
	size_t got;
	union {
		struct stream_header header;
		uint8_t bytes[sizeof(struct stream_header) + STREAM_PAYLOAD_MAX];
	} frame;
};

struct loop *stream_agent_loop(struct stream_agent *agent)
{
	return agent->loop;
}

bool stream_agent_crowded(const struct stream_agent *agent)
{
	return port_crowded(agent->port);
}

void stream_agent_send(struct stream_agent *agent, uint32_t id, uint8_t kind, const void *payload, size_t bytes)
{
	struct stream_header header = { .magic = STREAM_MAGIC, .session = id, .bytes = bytes, .kind = kind };
	struct buffer *out = port_out(agent->port);

	/* Whole frames or nothing: half a frame would be read as another one's payload. */
	if (buffer_bytes(out) + sizeof(header) + bytes <= out->max) {
		buffer_append(out, &header, sizeof(header));
		buffer_append(out, payload, bytes);
	}
	port_flush(agent->port);
}

void stream_agent_gone(struct stream_agent *agent, struct stream_session *session)
{
	for (int i = 0; i < STREAM_SESSIONS_MAX; i++)
		if (agent->slots[i].session == session)
			agent->slots[i] = (struct slot) { 0 };
}

static void close_slot(struct slot *slot)
{
	slot->silent = true;
	stream_session_close(slot->session);
}

static void close_all(struct stream_agent *agent)
{
	for (int i = 0; i < STREAM_SESSIONS_MAX; i++)
		if (agent->slots[i].session && !agent->slots[i].silent)
			close_slot(&agent->slots[i]);
}

static void hello(struct stream_agent *agent, const uint8_t *nonce, size_t bytes)
{
	uint8_t answer[12];
	uint32_t version = STREAM_VERSION;

	if (bytes != 8)
		return;
	close_all(agent);
	buffer_clear(port_out(agent->port));
	agent->greeted = true;
	memcpy(answer, nonce, 8);
	memcpy(answer + 8, &version, 4);
	stream_agent_send(agent, 0, STREAM_HELLO, answer, sizeof(answer));
}

static struct slot *find_slot(struct stream_agent *agent, uint32_t id)
{
	for (int i = 0; i < STREAM_SESSIONS_MAX; i++)
		if (agent->slots[i].session && !agent->slots[i].silent && agent->slots[i].id == id)
			return &agent->slots[i];
	return NULL;
}

static void open_session(struct stream_agent *agent, uint32_t id, const uint8_t *payload, size_t bytes)
{
	char error[200] = "too many sessions are open in this VM";
	struct stream_session *session = NULL;
	int i = 0;

	while (i < STREAM_SESSIONS_MAX && agent->slots[i].session)
		i++;
	if (i < STREAM_SESSIONS_MAX)
		session = stream_session_open(agent, id, (const char *)payload, bytes, error, sizeof(error));
	if (session)
		agent->slots[i] = (struct slot) { .id = id, .session = session };
	else
		stream_agent_send(agent, id, STREAM_REFUSED, error, strlen(error));
}

static void handle_frame(struct stream_agent *agent, const struct stream_header *header, const uint8_t *payload)
{
	struct slot *slot = find_slot(agent, header->session);

	if (header->session == 0) {
		if (header->kind == STREAM_HELLO)
			hello(agent, payload, header->bytes);
	} else if (!agent->greeted) {
		return;
	} else if (header->kind == STREAM_OPEN && !slot) {
		open_session(agent, header->session, payload, header->bytes);
	} else if (header->kind == STREAM_CLOSE && slot) {
		close_slot(slot);
	} else if (slot) {
		stream_session_frame(slot->session, header->kind, payload, header->bytes);
	}
	/* Frames of a session that just ended are late, not wrong. */
}

/* Drop what can't begin a frame: everything before the next magic (or before what may become one). */
static void resynchronize(struct stream_agent *agent)
{
	static const uint32_t magic = STREAM_MAGIC;
	size_t skip = 1;

	while (skip < agent->got) {
		size_t left = agent->got - skip < sizeof(magic) ? agent->got - skip : sizeof(magic);
		if (!memcmp(agent->frame.bytes + skip, &magic, left))
			break;
		skip++;
	}
	agent->got -= skip;
	memmove(agent->frame.bytes, agent->frame.bytes + skip, agent->got);
}

/* Bytes the frame needs to go on: its header first, then its payload; 0 when it is whole. */
static size_t frame_missing(struct stream_agent *agent)
{
	const struct stream_header *header = &agent->frame.header;

	for (;;) {
		if (agent->got >= 4 && header->magic != STREAM_MAGIC) {
			resynchronize(agent);
			continue;
		}
		if (agent->got < sizeof(*header))
			return sizeof(*header) - agent->got;
		if (header->bytes <= STREAM_PAYLOAD_MAX)
			return sizeof(*header) + header->bytes > agent->got
				       ? sizeof(*header) + header->bytes - agent->got
				       : 0;
		resynchronize(agent);
	}
}

static void take_frames(struct stream_agent *agent)
{
	while (frame_missing(agent) == 0) {
		size_t bytes = sizeof(struct stream_header) + agent->frame.header.bytes;
		handle_frame(agent, &agent->frame.header, agent->frame.bytes + sizeof(struct stream_header));
		/* After a resynchronization the frame may be followed by more. */
		agent->got -= bytes;
		memmove(agent->frame.bytes, agent->frame.bytes + bytes, agent->got);
	}
}

static void stream_input(void *data, const char *bytes, size_t count)
{
	struct stream_agent *agent = data;

	while (count) {
		size_t missing = frame_missing(agent);
		size_t taken = missing < count ? missing : count;
		memcpy(agent->frame.bytes + agent->got, bytes, taken);
		agent->got += taken;
		bytes += taken;
		count -= taken;
		take_frames(agent);
	}
}

static void stream_hangup(void *data)
{
	struct stream_agent *agent = data;

	close_all(agent);
	agent->greeted = false;
	agent->got = 0;
}

static void stream_drained(void *data)
{
	struct stream_agent *agent = data;

	for (int i = 0; i < STREAM_SESSIONS_MAX; i++)
		if (agent->slots[i].session && !agent->slots[i].silent)
			stream_session_resume(agent->slots[i].session);
}

struct stream_agent *stream_agent_new(struct loop *loop, int fd)
{
	static const struct port_events events = { stream_input, stream_hangup, stream_drained };
	struct stream_agent *agent = calloc(1, sizeof(*agent));

	if (!agent)
		return NULL;
	agent->loop = loop;
	agent->port = port_new(loop, fd, STREAM_OUT_BYTES_MAX, &events, agent);
	if (!agent->port) {
		free(agent);
		return NULL;
	}
	return agent;
}

void stream_agent_free(struct stream_agent *agent)
{
	if (!agent)
		return;
	for (int i = 0; i < STREAM_SESSIONS_MAX; i++)
		if (agent->slots[i].session)
			stream_session_kill(agent->slots[i].session);
	port_free(agent->port);
	free(agent);
}

void stream_agent_wake(struct stream_agent *agent)
{
	port_wake(agent->port);
}
