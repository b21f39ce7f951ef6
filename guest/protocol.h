/* Stream frames: one format from the guest to the CLI.
 *
 *   guest  ⇄  agent      over virtio-serial port "org.polder.stream.0": many sessions, each frame with struct stream_header
 *   agent  ⇄  polderd    one SOCK_SEQPACKET socketpair a session: each packet = kind byte + payload
 *   polderd ⇄ cli        one WebSocket a session: each binary message = kind byte + payload
 *
 * Flow control is end to end: a sender of STDIN/STDOUT/STDERR data may have at most STREAM_WINDOW bytes unacknowledged
 * per session and direction (stdout and stderr share one window); the receiver gives bytes back with CREDIT once it has
 * really consumed them. Nobody in between needs to buffer more than a window; one who is sent more ends the session.
 * Console and log streams use DATA kinds the same way: output as STDOUT, input as STDIN.
 * Libc only: the guest includes this. */
#pragma once

#include <stdint.h>

#define STREAM_PORT_NAME       "org.polder.stream.0"
#define STREAM_AGENT_PORT_NAME "org.qemu.guest_agent.0"
#define STREAM_WINDOW          (256u * 1024u)
#define STREAM_PAYLOAD_MAX     16384u /* bytes after the header (or the kind byte); a longer frame is a protocol error */

enum stream_kind {
	STREAM_HELLO =
		1,   /* guest ⇄ agent, session 0. Agent: 8-byte nonce. Guest: the same nonce + u32 version (1), after
	                    * ending every session it had. Sent by the agent when it connects; bytes before the answer are
	                    * old and dropped. */
	STREAM_OPEN, /* → guest. JSON: {"argv":[…],"env":["K=V"…],"cwd":"/","tty":bool,"rows":n,"cols":n} */
	STREAM_OPENED,    /* ← guest. u32 pid in the guest */
	STREAM_REFUSED,   /* ← UTF-8 reason; ends the session ("exec nosuch: not found") */
	STREAM_STDIN,     /* → data */
	STREAM_STDIN_EOF, /* → no more */
	STREAM_STDOUT,    /* ← data */
	STREAM_STDERR,    /* ← data */
	STREAM_CREDIT,    /* ⇄ u32 bytes consumed */
	STREAM_RESIZE,    /* → u16 rows, u16 cols */
	STREAM_SIGNAL,    /* → u32 signal number for the foreground process group */
	STREAM_EXIT,      /* ← u32 status: 0–255, or 128+signal; all output was sent before; ends the session */
	STREAM_CLOSE,     /* → the client is gone: SIGHUP then SIGKILL to what is left; ends the session */
	STREAM_STATUS,    /* agent → cli only: UTF-8 line for people ("waiting for the guest agent") */
};

/* On the virtio-serial port, little endian, packed. */
struct stream_header {
	uint32_t magic;   /* STREAM_MAGIC: resynchronize on it after a torn write */
	uint32_t session; /* chosen by the agent, never reused within a connection; 0: the link itself */
	uint32_t bytes;   /* of payload */
	uint8_t kind;
	uint8_t reserved[3];
} __attribute__((packed));
#define STREAM_MAGIC 0x4d525453u /* "STRM" */
