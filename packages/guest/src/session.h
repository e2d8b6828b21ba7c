// The conversation with the daemon: handshake, requests, their answers, and the way that all of it takes.
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "streams.h"

void session_init(void);
// Announces protocol capabilities (bits of docs/GUEST.md).
void session_capability(uint32_t bit);
// Makes pipes of our own for the daemon to open and switch to.
void session_pipes(uint32_t stream, struct cursor *cursor);
uint32_t session_stop_grace_ms(void);
// Called once a turn: sends what is ready, reads on where reading had stopped.
void session_turn(void);
bool session_input_ended(void);

// The last answer of a request, or with open the first of a stream.
void reply(uint32_t stream, bool open, const void *data, size_t length);
// Replies with what was built (an error where building failed) and frees it.
void reply_built(uint32_t stream, bool open, struct builder *builder);
// The same for an answer that something else is likely to follow at once: it goes with that, or 2 ms later.
void reply_lingering(uint32_t stream, struct builder *builder);

enum start_step { STEP_NONE, STEP_EXEC, STEP_CWD, STEP_FORK, STEP_PTY, STEP_PIPE, STEP_LIMITS };
// Errors beyond errno.
enum { E_OUTSIDE = 1000, E_PRECONDITION = 1001 };
void reply_error(uint32_t stream, int error, enum start_step step, const char *message);

// From within pump: one OUT frame of prefix and body, at most MAX_PAYLOAD together.
void send_out(const struct stream *stream, uint8_t flags, const void *prefix, size_t prefix_length,
              const void *body, size_t length);
void send_end(const struct stream *stream);
void send_credit(const struct stream *stream, uint64_t consumed);

// For the fuzzer: bytes as if they had been read from stdin, or where the daemon's come from now.
void session_feed(bool from_stdin, const uint8_t *data, size_t length);

#endif
