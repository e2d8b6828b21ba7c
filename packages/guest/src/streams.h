// What is answered over time: the streams of a conversation, each with its own credit, and their turns to send.
#ifndef STREAMS_H
#define STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

// What a long-lived request does with what arrives. NULL: nothing.
struct stream_ops {
  void (*data)(struct stream *stream, const uint8_t *data, size_t length);
  void (*end)(struct stream *stream);
  // Sends at most one frame; true where more could follow at once.
  bool (*pump)(struct stream *stream);
  // The daemon's credit grew.
  void (*credit)(struct stream *stream);
  // The daemon cancelled it, or the session is over: let go of everything and loop_free it. Sends nothing.
  void (*drop)(struct stream *stream);
};

// First member of everything that answers over time.
struct stream {
  uint32_t id;
  const struct stream_ops *ops;
  struct stream *next;        // in the table
  struct stream *ready_next;  // among those with something to send
  bool listed, ready;
  uint32_t window;
  uint64_t sent;   // bytes, or for process output its offset
  uint64_t limit;  // sent may go this far
};

// False (and an error was answered) where there are too many streams.
bool stream_open(struct stream *stream, uint32_t id, const struct stream_ops *ops, uint32_t window,
                 uint64_t sent);
// Takes it out of the table. The caller has sent its last frame, or none is wanted.
void stream_close(struct stream *stream);
// pump() is called as soon as there is room to send.
void stream_ready(struct stream *stream);

uint64_t stream_allowance(const struct stream *stream);

struct stream *stream_find(uint32_t id);
// Closes it and lets its owner let go.
void stream_drop(struct stream *stream);
void streams_drop(void);
// Lets those that are ready send, as far as there is room. True where some are still ready.
bool streams_pump(void);

#endif
