#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "loop.h"
#include "operations.h"
#include "outbox.h"
#include "pipes.h"

enum {
  TURN_READ = 256 << 10,
  // How long the answer to a start waits for the end of a short program: each write wakes others on its way.
  LINGER_MS = 2,
};

// Where the daemon's bytes come from: the engine (stdin), and after a SWITCH a pipe of our own.
struct inlet {
  struct source source;
  struct job job;
  struct parser parser;
  bool readable, ended;
  bool unparsed;  // frames were left in the parser since the queue was full
};

static struct inlet engine = {.source = {.fd = 0}}, own = {.source = {.fd = -1}};
static bool in_session;
static uint32_t capabilities = CAPABILITY_PIPES, stop_grace_ms = 700;
static uint8_t boot_id[16];

// A request spread over several frames.
static uint8_t *assembly;
static size_t assembly_length;
static uint32_t assembly_stream;

static void send_frame(uint8_t type, uint8_t flags, uint32_t stream, const void *first,
                       size_t first_length, const void *second, size_t second_length) {
  if (outbox_frame(type, flags, stream, first, first_length, second, second_length)) return;
  in_session = false;
  outbox_clear();
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
  int64_t due = outbox_lingers();
  bool alone = due || !outbox_length();
  if (!due) due = now_ms() + LINGER_MS;
  reply_built(stream, false, builder);
  if (alone && outbox_length()) outbox_linger(due);
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

static void session_over(void) {
  in_session = false;
  streams_drop();
  outbox_clear();
  free(assembly);
  assembly = NULL;
  assembly_length = 0;
}

// Back to the engine's way, where the next HELLO comes in.
static void leave_pipes(void) {
  outbox_return();
  loop_detach(&own.source);
  job_stop(&own.job);
  own.parser.start = own.parser.end = 0;
  own.readable = own.unparsed = false;
  pipes_close();
}

static void hello(const uint8_t *payload) {
  session_over();
  leave_pipes();
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
  parser_accept(&engine.parser, nonce);
  in_session = true;
}

void session_pipes(uint32_t stream, struct cursor *cursor) {
  (void)cursor;
  if (own.source.fd >= 0) {
    reply_error(stream, EISCONN, STEP_NONE, "the pipes are in use");
    return;
  }
  if (!pipes_make()) {
    reply_error(stream, errno, STEP_PIPE, "no pipes");
    return;
  }
  uint8_t numbers[8];
  store32(numbers, (uint32_t)pipes.input);
  store32(numbers + 4, (uint32_t)pipes.output);
  reply(stream, false, numbers, sizeof numbers);
}

static void inlet_ready(struct source *source, uint32_t events);

// The daemon has opened our pipes: what follows goes through them, both ways.
static void switch_over(void) {
  if (own.source.fd >= 0 || pipes.input < 0) return;
  send_frame(FRAME_SWITCHED, 0, 0, NULL, 0, NULL, 0);
  own.source.fd = pipes.input;
  own.source.ready = inlet_ready;
  memcpy(own.parser.tag, engine.parser.tag, TRAILER_SIZE);
  own.parser.synced = true;
  // There only a HELLO counts from now on.
  engine.parser.synced = false;
  if (outbox_move(pipes.output) && loop_watch(&own.source, EPOLLIN | EPOLLRDHUP)) return;
  session_over();
  leave_pipes();
}

static void request(const struct frame *frame) {
  const uint8_t *data = frame->payload;
  size_t length = frame->length;
  if (stream_find(frame->stream)) return;
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
  struct stream *stream = stream_find(frame->stream);
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
    stream_drop(stream);
    reply_error(id, ECANCELED, STEP_NONE, "cancelled");
  }
}

static void parse(struct inlet *inlet) {
  struct frame frame;
  for (;;) {
    inlet->unparsed = outbox_length() >= OUTBOX_BUSY;
    if (inlet->unparsed) return;
    switch (parser_next(&inlet->parser, &frame)) {
      case PARSED_NONE:
        return;
      case PARSED_HELLO:
        if (inlet == &engine) hello(frame.payload);
        break;
      case PARSED_LOST:
        session_over();
        send_frame(FRAME_DESYNC, 0, 0, NULL, 0, NULL, 0);
        break;
      case PARSED_FRAME:
        if (!in_session) break;
        if (frame.type == FRAME_SWITCH)
          switch_over();
        else
          dispatch(&frame);
        break;
    }
  }
}

static void input_ended(struct inlet *inlet) {
  inlet->readable = false;
  inlet->ended = true;
  if (inlet == &engine) return;
  // The daemon is gone.
  session_over();
  leave_pipes();
}

static void read_input(struct job *job) {
  struct inlet *inlet = (struct inlet *)((char *)job - offsetof(struct inlet, job));
  size_t total = 0;
  if (inlet->unparsed) parse(inlet);
  while (inlet->readable && !inlet->unparsed && total < TURN_READ) {
    size_t room;
    uint8_t *at = parser_room(&inlet->parser, &room);
    ssize_t count = read(inlet->source.fd, at, room);
    if (count > 0) {
      if (inlet == &own && count >= PIPE_MUCH) pipe_grow(own.source.fd);
      total += (size_t)count;
      parser_added(&inlet->parser, (size_t)count);
      parse(inlet);
    } else if (count == 0) {
      input_ended(inlet);
    } else if (errno != EINTR) {
      inlet->readable = false;
    }
  }
  job_stop(job);  // session_turn starts it again where there is more and room for its answers
}

static void inlet_ready(struct source *source, uint32_t events) {
  (void)events;
  struct inlet *inlet = (struct inlet *)source;
  inlet->readable = true;
  read_input(&inlet->job);
}

static struct job pump_job;
static void pump_again(struct job *job) { job_stop(job); }

void session_turn(void) {
  bool more = streams_pump();
  outbox_flush();
  struct inlet *const inlets[] = {&engine, &own};
  for (int i = 0; i < 2; i++)
    if ((inlets[i]->readable || inlets[i]->unparsed) && outbox_length() < OUTBOX_BUSY)
      job_start(&inlets[i]->job, read_input, 0);
  if (more && !outbox_blocked()) job_start(&pump_job, pump_again, 0);
}

void session_init(void) {
  if (getrandom(boot_id, sizeof boot_id, 0) != (ssize_t)sizeof boot_id) boot_id[0] = 1;
  for (int fd = 0; fd <= 1; fd++) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  engine.source.ready = inlet_ready;
  loop_watch(&engine.source, EPOLLIN | EPOLLRDHUP);
  outbox_init();
}

void session_capability(uint32_t bit) { capabilities |= bit; }
uint32_t session_stop_grace_ms(void) { return stop_grace_ms; }
bool session_input_ended(void) { return engine.ended; }

void session_feed(bool from_stdin, const uint8_t *data, size_t length) {
  while (length) {
    struct inlet *inlet = from_stdin || own.source.fd < 0 ? &engine : &own;
    size_t room;
    uint8_t *at = parser_room(&inlet->parser, &room);
    if (!room) return;
    size_t count = length < room ? length : room;
    memcpy(at, data, count);
    parser_added(&inlet->parser, count);
    parse(inlet);
    data += count;
    length -= count;
  }
}
