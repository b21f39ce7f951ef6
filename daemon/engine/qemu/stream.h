/* The streams of a VM, each as a SOCK_SEQPACKET fd (non-blocking, close-on-exec, the caller's) on which every packet is
 * a kind byte of guest/protocol.h + payload. What the caller must keep to: at most STREAM_WINDOW bytes of STDIN without
 * CREDIT; CREDIT only for bytes it consumed. Who breaks it has its stream ended. A stream ends with STREAM_EXIT, or
 * STREAM_REFUSED + reason at any time (also later than OPENED: the guest went away), followed by end of file.
 * Closing the fd ends what runs at the other end. */
#pragma once

#include "daemon/engine/qemu/guest.h"

/* stream_exec(guest, open_json, error): run a command in the guest. `open_json` is STREAM_OPEN's payload. Over the
 * guest's stream port where it answers, else over the agent's guest-exec: then without terminal, with stdin gathered
 * until its end (at most STREAM_FALLBACK_STDIN_MAX bytes) and output at the end.
 * -1: POLDER_ERROR_UNAVAILABLE when the guest is not ready, NO_CAPACITY over LIMIT_EXEC_SESSIONS, INVALID. */
int stream_exec(struct guest *guest, const char *open_json, GError **error);
#define STREAM_FALLBACK_STDIN_MAX (512u * 1024u)

/* stream_console(run_dir, error): the serial console, both ways; STREAM_EXIT 0 when the VM ends. */
int stream_console(const char *run_dir, GError **error);

/* stream_log(log_path, run_dir, follow, tail_bytes, error): log_path.1 then log_path, at most the last `tail_bytes` of
 * both together (0: all); with `follow`, goes on, across rotation, until the VM of `run_dir` has ended.
 * STREAM_EXIT 0 at the end. No log yet reads as an empty one. */
int stream_log(const char *log_path, const char *run_dir, gboolean follow, guint64 tail_bytes, GError **error);
