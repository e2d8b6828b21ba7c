#include "streams.h"

#include <errno.h>
#include <stddef.h>

#include "outbox.h"
#include "pipes.h"
#include "session.h"

enum { MAX_STREAMS = 1024, BUCKETS = 256, TURN_WRITE = 1 << 20 };

static struct stream *table[BUCKETS];
static unsigned stream_count;
static struct stream *ready_first, **ready_last = &ready_first;

static struct stream **place(uint32_t id) {
  struct stream **at = &table[id % BUCKETS];
  while (*at && (*at)->id != id) at = &(*at)->next;
  return at;
}

bool stream_open(struct stream *stream, uint32_t id, const struct stream_ops *ops, uint32_t window,
                 uint64_t sent) {
  if (stream_count >= MAX_STREAMS) {
    reply_error(id, ENFILE, STEP_NONE, "too many open streams");
    return false;
  }
  stream_count++;
  *stream = (struct stream){.id = id,
                            .ops = ops,
                            .next = table[id % BUCKETS],
                            .listed = true,
                            .window = window,
                            .sent = sent,
                            .limit = sent + window};
  table[id % BUCKETS] = stream;
  return true;
}

void stream_close(struct stream *stream) {
  if (!stream->listed) return;
  stream->listed = false;
  if (!--stream_count) pipes_rest();
  struct stream **at = place(stream->id);
  if (*at == stream) *at = stream->next;
  if (!stream->ready) return;
  stream->ready = false;
  for (at = &ready_first; *at != stream;) at = &(*at)->ready_next;
  *at = stream->ready_next;
  if (ready_last == &stream->ready_next) ready_last = at;
}

void stream_ready(struct stream *stream) {
  if (stream->ready || !stream->listed) return;
  stream->ready = true;
  stream->ready_next = NULL;
  *ready_last = stream;
  ready_last = &stream->ready_next;
}

uint64_t stream_allowance(const struct stream *stream) {
  return stream->limit > stream->sent ? stream->limit - stream->sent : 0;
}

void stream_drop(struct stream *stream) {
  stream_close(stream);
  stream->ops->drop(stream);
}

struct stream *stream_find(uint32_t id) { return *place(id); }

void streams_drop(void) {
  for (unsigned i = 0; i < BUCKETS; i++)
    while (table[i]) stream_drop(table[i]);
}

bool streams_pump(void) {
  size_t turns = TURN_WRITE / MAX_PAYLOAD;
  while (ready_first && !outbox_blocked() && outbox_length() < OUTBOX_BUSY && turns--) {
    struct stream *stream = ready_first;
    ready_first = stream->ready_next;
    if (!ready_first) ready_last = &ready_first;
    stream->ready = false;
    if (stream->ops->pump && stream->ops->pump(stream)) stream_ready(stream);
  }
  return ready_first != NULL;
}
