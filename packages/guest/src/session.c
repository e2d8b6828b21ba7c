#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop.h"
#include "operations.h"

enum {
  MAX_STREAMS = 1024,
  BUCKETS = 256,
  // Frames below this are gathered into one write.
  SMALL_FRAME = 2048,
  // No stream adds to a queue this long, no request is read; only replies to those already read.
  QUEUE_BUSY = 64 << 10,
  // A session whose replies pile up beyond this has no reader and is dropped.
  QUEUE_LIMIT = 8 << 20,
  TURN_READ = 256 << 10,
  TURN_WRITE = 1 << 20,
  // How long the answer to a start waits for the end of a short program: each write wakes three others on its way.
  LINGER_MS = 2,
};

static struct parser parser;
static struct source input = {.fd = 0}, output = {.fd = 1};
static bool input_readable, input_ended, output_blocked;
static bool unparsed;  // frames were left in the parser since the queue was full
static bool in_session;
static uint32_t capabilities, stop_grace_ms = 700;
static uint8_t boot_id[16];
static struct job input_job;

static struct stream *table[BUCKETS];
static unsigned stream_count;
static struct stream *ready_first, **ready_last = &ready_first;

// What could not be written yet, from queue_start to queue_end.
static uint8_t *queue;
static size_t queue_start, queue_end, queue_capacity;
// All that is queued can wait a moment for what goes with it.
static bool lingering;
static struct job linger_job;

// A request spread over several frames.
static uint8_t *assembly;
static size_t assembly_length;
static uint32_t assembly_stream;

static size_t queued(void) { return queue_end - queue_start; }

static void stop_lingering(void) {
  lingering = false;
  job_stop(&linger_job);
}

static void linger_over(struct job *job) {
  (void)job;
  stop_lingering();
}

static void flush(void) {
  if (lingering) return;
  while (queued() && !output_blocked) {
    ssize_t count = write(1, queue + queue_start, queued());
    if (count >= 0) {
      queue_start += (size_t)count;
    } else if (errno == EAGAIN) {
      output_blocked = true;
    } else if (errno != EINTR) {
      queue_start = queue_end;  // nobody can read: the same as nobody attached
    }
  }
  if (queued()) return;
  queue_start = queue_end = 0;
  if (queue_capacity > QUEUE_BUSY) {
    free(queue);
    queue = NULL;
    queue_capacity = 0;
  }
}

static bool enqueue(const void *data, size_t length) {
  if (queue_capacity - queue_end < length) {
    if (queue_start) {
      memmove(queue, queue + queue_start, queued());
      queue_end -= queue_start;
      queue_start = 0;
    }
    if (queue_capacity - queue_end < length) {
      size_t capacity = queue_capacity ? queue_capacity : 8192;
      while (capacity - queue_end < length) capacity *= 2;
      uint8_t *grown = capacity > QUEUE_LIMIT ? NULL : realloc(queue, capacity);
      if (!grown) return false;
      queue = grown;
      queue_capacity = capacity;
    }
  }
  memcpy(queue + queue_end, data, length);
  queue_end += length;
  return true;
}

// A frame of up to two parts. Part of a frame is never lost: without memory for it the session ends.
static void send_frame(uint8_t type, uint8_t flags, uint32_t stream, const void *first,
                       size_t first_length, const void *second, size_t second_length) {
  uint8_t header[HEADER_SIZE];
  size_t total = HEADER_SIZE + first_length + second_length, written = 0;
  stop_lingering();
  frame_header(header, type, flags, first_length + second_length, stream);
  struct iovec parts[3] = {
      {header, HEADER_SIZE}, {(void *)first, first_length}, {(void *)second, second_length}};
  if (total > SMALL_FRAME) {
    flush();
    if (!queued() && !output_blocked) {
      ssize_t count = writev(1, parts, 3);
      if (count >= 0) {
        written = (size_t)count;
      } else if (errno == EAGAIN) {
        output_blocked = true;
      } else if (errno != EINTR) {
        return;
      }
    }
  }
  for (int i = 0; i < 3; i++) {
    size_t skip = written < parts[i].iov_len ? written : parts[i].iov_len;
    written -= skip;
    if (parts[i].iov_len == skip) continue;
    if (enqueue((uint8_t *)parts[i].iov_base + skip, parts[i].iov_len - skip)) continue;
    in_session = false;
    queue_start = queue_end = 0;
    return;
  }
}

void reply(uint32_t stream, bool open, const void *data, size_t length) {
  const uint8_t *at = data;
  while (length > MAX_PAYLOAD) {
    send_frame(FRAME_REPLY, FLAG_MORE, stream, at, MAX_PAYLOAD, NULL, 0);
    at += MAX_PAYLOAD;
    length -= MAX_PAYLOAD;
  }
  send_frame(FRAME_REPLY, open ? FLAG_OPEN : 0, stream, at, length, NULL, 0);
}

void reply_built(uint32_t stream, bool open, struct builder *builder) {
  if (builder->failed)
    reply_error(stream, ENOMEM, STEP_NONE, "the answer is too large");
  else
    reply(stream, open, builder->data, builder->length);
  free(builder->data);
}

void reply_lingering(uint32_t stream, struct builder *builder) {
  bool alone = lingering || !queued();
  int64_t due = linger_job.listed ? linger_job.due : now_ms() + LINGER_MS;
  reply_built(stream, false, builder);
  if (!alone || !queued()) return;
  lingering = true;
  job_start(&linger_job, linger_over, due);
}

void reply_error(uint32_t stream, int error, enum start_step step, const char *message) {
  uint8_t head[4] = {(uint8_t)error, (uint8_t)(error >> 8), (uint8_t)step, 0};
  send_frame(FRAME_ERROR, 0, stream, head, sizeof head, message, strlen(message));
}

void send_out(const struct stream *stream, uint8_t flags, const void *prefix, size_t prefix_length,
              const void *body, size_t length) {
  send_frame(FRAME_OUT, flags, stream->id, prefix, prefix_length, body, length);
}

void send_end(const struct stream *stream) {
  send_frame(FRAME_OUT_END, 0, stream->id, NULL, 0, NULL, 0);
}

void send_credit(const struct stream *stream, uint64_t consumed) {
  uint8_t value[8];
  store64(value, consumed);
  send_frame(FRAME_OUT_CREDIT, 0, stream->id, value, sizeof value, NULL, 0);
}

static struct stream **find(uint32_t id) {
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
  stream_count--;
  struct stream **at = find(stream->id);
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

static void drop_stream(struct stream *stream) {
  stream_close(stream);
  stream->ops->drop(stream);
}

static void session_over(void) {
  in_session = false;
  for (unsigned i = 0; i < BUCKETS; i++)
    while (table[i]) drop_stream(table[i]);
  queue_start = queue_end = 0;
  free(assembly);
  assembly = NULL;
  assembly_length = 0;
}

static void hello(const uint8_t *payload) {
  session_over();
  struct cursor cursor = {payload + 8, payload + HELLO_SIZE, false};
  uint16_t major = get16(&cursor);
  get16(&cursor);
  const uint8_t *nonce = get_raw(&cursor, NONCE_SIZE);
  uint32_t grace = get32(&cursor);

  uint8_t ack[HELLO_ACK_SIZE] = {0};
  memcpy(ack, nonce, NONCE_SIZE);
  memcpy(ack + 16, "CLAWDGST", 8);
  ack[24] = PROTOCOL_MAJOR;
  ack[26] = PROTOCOL_MINOR;
  store32(ack + 28, capabilities);
  memcpy(ack + 32, boot_id, sizeof boot_id);
  store32(ack + 48, (uint32_t)getpid());
  send_frame(FRAME_HELLO_ACK, 0, 0, ack, sizeof ack, NULL, 0);
  // A daemon of another major version learns so from the answer; its frames aren't listened to.
  if (major != PROTOCOL_MAJOR) return;
  stop_grace_ms = grace;
  parser_accept(&parser, nonce);
  in_session = true;
}

static void request(const struct frame *frame) {
  const uint8_t *data = frame->payload;
  size_t length = frame->length;
  if (*find(frame->stream)) return;
  if (assembly_length && frame->stream != assembly_stream) {
    uint32_t interrupted = assembly_stream;
    assembly_length = 0;
    reply_error(interrupted, EPROTO, STEP_NONE, "the request was interrupted by another");
  }
  if (assembly_length || frame->flags & FLAG_MORE) {
    uint8_t *grown =
        assembly_length + length > MAX_REQUEST ? NULL : realloc(assembly, assembly_length + length + 1);
    if (!grown) {
      free(assembly);
      assembly = NULL;
      assembly_length = 0;
      reply_error(frame->stream, E2BIG, STEP_NONE, "the request is too large");
      return;
    }
    assembly = grown;
    memcpy(assembly + assembly_length, data, length);
    assembly_length += length;
    assembly_stream = frame->stream;
    if (frame->flags & FLAG_MORE) return;
    data = assembly;
    length = assembly_length;
  }
  struct cursor cursor = {data, data + length, false};
  operation_run(frame->stream, &cursor);
  free(assembly);
  assembly = NULL;
  assembly_length = 0;
}

static void dispatch(const struct frame *frame) {
  if (frame->type == FRAME_REQUEST) {
    request(frame);
    return;
  }
  // Frames for a stream that has just ended are normal.
  struct stream *stream = *find(frame->stream);
  if (!stream) return;
  if (frame->type == FRAME_DATA) {
    if (stream->ops->data) stream->ops->data(stream, frame->payload, frame->length);
  } else if (frame->type == FRAME_END) {
    if (stream->ops->end) stream->ops->end(stream);
  } else if (frame->type == FRAME_CREDIT) {
    struct cursor cursor = {frame->payload, frame->payload + frame->length, false};
    uint64_t consumed = get64(&cursor);
    // The daemon can't have consumed what was never sent.
    if (cursor.bad || consumed > stream->sent || consumed + stream->window <= stream->limit) return;
    stream->limit = consumed + stream->window;
    if (stream->ops->credit) stream->ops->credit(stream);
    stream_ready(stream);
  } else if (frame->type == FRAME_CANCEL) {
    uint32_t id = stream->id;
    drop_stream(stream);
    reply_error(id, ECANCELED, STEP_NONE, "cancelled");
  }
}

static void parse(void) {
  struct frame frame;
  for (;;) {
    unparsed = queued() >= QUEUE_BUSY;
    if (unparsed) return;
    switch (parser_next(&parser, &frame)) {
      case PARSED_NONE:
        return;
      case PARSED_HELLO:
        hello(frame.payload);
        break;
      case PARSED_LOST:
        session_over();
        send_frame(FRAME_DESYNC, 0, 0, NULL, 0, NULL, 0);
        break;
      case PARSED_FRAME:
        if (in_session) dispatch(&frame);
        break;
    }
  }
}

static void read_input(struct job *job) {
  size_t total = 0;
  if (unparsed) parse();
  while (input_readable && !unparsed && total < TURN_READ) {
    size_t room;
    uint8_t *at = parser_room(&parser, &room);
    ssize_t count = read(0, at, room);
    if (count > 0) {
      total += (size_t)count;
      parser_added(&parser, (size_t)count);
      parse();
    } else if (count == 0) {
      input_readable = false;
      input_ended = true;
    } else if (errno != EINTR) {
      input_readable = false;
    }
  }
  job_stop(job);  // session_turn starts it again where there is more and room for its answers
}

static void input_ready(struct source *source, uint32_t events) {
  (void)source;
  (void)events;
  input_readable = true;
  read_input(&input_job);
}

static void output_ready(struct source *source, uint32_t events) {
  (void)source;
  (void)events;
  output_blocked = false;
}

static struct job pump_job;
static void pump_again(struct job *job) { job_stop(job); }

void session_turn(void) {
  flush();
  size_t turns = TURN_WRITE / MAX_PAYLOAD;
  while (ready_first && !output_blocked && queued() < QUEUE_BUSY && turns--) {
    struct stream *stream = ready_first;
    ready_first = stream->ready_next;
    if (!ready_first) ready_last = &ready_first;
    stream->ready = false;
    if (stream->ops->pump && stream->ops->pump(stream)) stream_ready(stream);
  }
  flush();
  if ((input_readable || unparsed) && queued() < QUEUE_BUSY) job_start(&input_job, read_input, 0);
  if (ready_first && !output_blocked) job_start(&pump_job, pump_again, 0);
}

void session_init(void) {
  if (getrandom(boot_id, sizeof boot_id, 0) != (ssize_t)sizeof boot_id) boot_id[0] = 1;
  for (int fd = 0; fd <= 1; fd++) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  input.ready = input_ready;
  output.ready = output_ready;
  loop_watch(&input, EPOLLIN | EPOLLRDHUP);
  loop_watch(&output, EPOLLOUT);
}

void session_capability(uint32_t bit) { capabilities |= bit; }
uint32_t session_stop_grace_ms(void) { return stop_grace_ms; }
bool session_input_ended(void) { return input_ended; }

void session_feed(const uint8_t *data, size_t length) {
  while (length) {
    size_t room;
    uint8_t *at = parser_room(&parser, &room);
    if (!room) return;
    size_t count = length < room ? length : room;
    memcpy(at, data, count);
    parser_added(&parser, count);
    parse();
    data += count;
    length -= count;
  }
}
