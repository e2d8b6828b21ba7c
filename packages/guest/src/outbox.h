// What goes to the daemon: frames are gathered and written, through stdout or through another descriptor.
#ifndef OUTBOX_H
#define OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// No stream adds to a queue this long, no request is read; only replies to those already read.
enum { OUTBOX_BUSY = 64 << 10 };

void outbox_init(void);
// A frame of up to two parts. False without memory for it: part of a frame is never lost, the session has to end then.
bool outbox_frame(uint8_t type, uint8_t flags, uint32_t stream, const void *first,
                  size_t first_length, const void *second, size_t second_length);
// Bytes that are not written yet.
size_t outbox_length(void);
// Whether the next write has to wait.
bool outbox_blocked(void);
void outbox_flush(void);
void outbox_clear(void);
// All that is queued can wait until more comes, but no longer than due (ms of now_ms()).
void outbox_linger(int64_t due);
// Until when it waits; 0 where it doesn't.
int64_t outbox_lingers(void);

// What is queued by now still goes to stdout, what follows into this pipe. The descriptor stays the caller's.
bool outbox_move(int fd);
// Back to stdout at once; what is queued is thrown away.
void outbox_return(void);

#endif
