#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "managed.h"

void input_close(struct input *input, bool broken) {
  loop_close(&input->source);
  free(input->buffer);
  input->buffer = NULL;
  input->start = input->end = 0;
  if (broken) input->broken = true;
  struct stdin_stream *stream = input->stream;
  if (!stream) return;
  input->stream = NULL;
  if (broken)
    reply_error(stream->stream.id, EPIPE, STEP_NONE, "the process no longer reads");
  else
    reply(stream->stream.id, false, NULL, 0);
  stream_close(&stream->stream);
  loop_free(stream);
}

// Writes what the pipe takes at once and says how much that was. False where nobody reads any more: it is closed then.
static bool put(struct input *input, const uint8_t *data, size_t length, size_t *taken) {
  *taken = 0;
  while (input->writable && *taken < length) {
    ssize_t count = write(input->source.fd, data + *taken, length - *taken);
    if (count >= 0) {
      *taken += (size_t)count;
      input->consumed += (uint64_t)count;
    } else if (errno == EAGAIN) {
      input->writable = false;
    } else if (errno != EINTR) {
      input_close(input, true);
      return false;
    }
  }
  return true;
}

static void input_write(struct input *input) {
  size_t taken = 0, waiting = input->end - input->start;
  if (input->buffer && !put(input, input->buffer + input->start, waiting, &taken)) return;
  input->start += taken;
  if (input->consumed > input->received) input->consumed = input->received;
  if (input->stream && input->consumed - input->credited >= STDIN_WINDOW / 4) {
    input->credited = input->consumed;
    send_credit(&input->stream->stream, input->consumed);
  }
  if (input->start < input->end) return;
  free(input->buffer);
  input->buffer = NULL;
  input->start = input->end = 0;
  if (input->ended) input_close(input, false);
}

static bool input_add(struct input *input, const uint8_t *data, size_t length) {
  if (!input->buffer) {
    // One more byte than a window: a terminal's end-of-file character.
    input->buffer = malloc(STDIN_WINDOW + 1);
    if (!input->buffer) return false;
  }
  if (input->start) {
    memmove(input->buffer, input->buffer + input->start, input->end - input->start);
    input->end -= input->start;
    input->start = 0;
  }
  if (STDIN_WINDOW + 1 - input->end < length) return false;
  memcpy(input->buffer + input->end, data, length);
  input->end += length;
  return true;
}

void input_ready(struct source *source, uint32_t events) {
  struct input *input = (struct input *)source;
  if (events & EPOLLERR) {
    input_close(input, true);
    return;
  }
  if (!(events & EPOLLOUT)) return;
  input->writable = true;
  input_write(input);
}

static void stdin_data(struct stream *stream, const uint8_t *data, size_t length) {
  struct stdin_stream *self = (struct stdin_stream *)stream;
  struct input *input = &self->process->input;
  // Bytes before `received` are a resend after a reattach.
  uint64_t known = input->received - self->position;
  self->position += length;
  if (known >= length || input->ended) return;
  data += known;
  length -= (size_t)known;
  // What goes straight into the pipe needs no buffer.
  if (!input->buffer) {
    size_t taken;
    bool open = put(input, data, length, &taken);
    input->received += taken;
    if (!open) return;
    data += taken;
    length -= taken;
  }
  if (length && !input_add(input, data, length)) {
    reply_error(stream->id, ENOBUFS, STEP_NONE, "more input than the window allows");
    input->stream = NULL;
    stream_close(stream);
    loop_free(stream);
    return;
  }
  input->received += length;
  input_write(input);
}

static void stdin_end(struct stream *stream) {
  struct process *process = ((struct stdin_stream *)stream)->process;
  struct input *input = &process->input;
  if (process->flags & START_PTY) {
    // A terminal has no end, but a character that says so; it can be written to afterwards.
    struct termios settings;
    uint8_t end_of_file = 4;
    if (tcgetattr(input->source.fd, &settings) == 0) end_of_file = settings.c_cc[VEOF];
    bool added = input_add(input, &end_of_file, 1);
    input->stream = NULL;
    if (added)
      reply(stream->id, false, NULL, 0);
    else
      reply_error(stream->id, ENOBUFS, STEP_NONE, "the terminal's input is full");
    stream_close(stream);
    loop_free(stream);
    input_write(input);
    return;
  }
  input->ended = true;
  input_write(input);
}

static void stdin_drop(struct stream *stream) {
  struct stdin_stream *self = (struct stdin_stream *)stream;
  self->process->input.stream = NULL;
  loop_free(self);
}

void process_stdin(uint32_t id, struct cursor *cursor) {
  static const struct stream_ops ops = {.data = stdin_data, .end = stdin_end, .drop = stdin_drop};
  struct process *process = process_named(id, cursor);
  if (!process) return;
  struct input *input = &process->input;
  uint64_t offset = get64(cursor);
  if (offset == UINT64_MAX) offset = input->received;
  if (input->source.fd < 0 && !(input->ended && !input->broken)) {
    reply_error(id, EPIPE, STEP_NONE, "the process has no open stdin");
    return;
  }
  if (cursor->bad || offset > input->received) {
    reply_error(id, EINVAL, STEP_NONE, "input before this offset is missing");
    return;
  }
  if (input->stream) {
    struct stdin_stream *old = input->stream;
    input->stream = NULL;
    reply_error(old->stream.id, ECANCELED, STEP_NONE, "another stream feeds this process now");
    stream_close(&old->stream);
    loop_free(old);
  }
  struct stdin_stream *stream = malloc(sizeof *stream);
  if (!stream) {
    reply_error(id, ENOMEM, STEP_NONE, "out of memory");
    return;
  }
  if (!stream_open(&stream->stream, id, &ops, 0, 0)) {
    free(stream);
    return;
  }
  stream->process = process;
  stream->position = offset;
  input->stream = stream;
  input->credited = input->consumed;
  struct builder builder = {0};
  put64(&builder, input->received);
  put64(&builder, input->consumed);
  reply_built(id, true, &builder);
  if (input->source.fd < 0) input_close(input, false);  // its end had arrived before a reattach
}
