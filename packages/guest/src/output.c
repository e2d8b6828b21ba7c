#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "managed.h"

enum {
  MAX_DRAINS = 256,
  TURN_READ = 64 << 10,
  // An output that waits for a reader waits this long after the last one has gone.
  HOLD_BLOCK_MS = 300000,
  HOLD_FOLLOW_MS = 60000,
};

// Keeps a pipe empty whose writers outlived the process that it was made for.
struct drain {
  struct source source;
  struct job job;
  struct drain *next;
};

static struct drain *drains;
static unsigned drain_count;

static void drain_close(struct drain *drain) {
  loop_close(&drain->source);
  job_stop(&drain->job);
  for (struct drain **at = &drains; *at; at = &(*at)->next) {
    if (*at != drain) continue;
    *at = drain->next;
    break;
  }
  drain_count--;
  loop_free(drain);
}

static void drain_step(struct job *job) {
  static uint8_t scratch[4096];
  struct drain *drain = (struct drain *)((char *)job - offsetof(struct drain, job));
  for (int turns = 16; turns > 0; turns--) {
    ssize_t count = read(drain->source.fd, scratch, sizeof scratch);
    if (count > 0) continue;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN)
      job_stop(job);
    else
      drain_close(drain);
    return;
  }
}

static void drain_ready(struct source *source, uint32_t events) {
  (void)events;
  struct drain *drain = (struct drain *)source;
  job_start(&drain->job, drain_step, 0);
}

void output_drain(struct output *output) {
  struct drain *drain = drain_count < MAX_DRAINS ? calloc(1, sizeof *drain) : NULL;
  if (!drain) {
    loop_close(&output->source);
    return;
  }
  drain->source = (struct source){loop_detach(&output->source), drain_ready};
  drain->next = drains;
  drains = drain;
  drain_count++;
  if (!loop_watch(&drain->source, EPOLLIN)) drain_close(drain);
}

static bool held(const struct process *process) {
  if (process->unheld || process->forget) return false;
  return process->flags & START_BLOCK ||
         (process->flags & START_FOLLOW && process->subscriptions);
}

static void output_closed(struct output *output) {
  output->readable = false;
  output->due = 0;
  loop_close(&output->source);
}

// True where there is more to read at once.
static bool read_output(struct process *process, int index) {
  struct output *output = &process->output[index];
  bool error = index == 1;
  for (size_t total = 0; output->readable && output->source.fd >= 0;) {
    if (total >= TURN_READ) return true;
    size_t room;
    uint64_t floor = held(process) ? process->acknowledged : process->ring.end;
    bool keep = !(process->flags & START_BLOCK);
    uint8_t *at = ring_room(&process->ring, floor, keep, error, &room);
    if (!at) {
      if (process->hold_until || !held(process)) return false;
      if (process->flags & START_FOLLOW)
        process->hold_until = now_ms() + HOLD_FOLLOW_MS;
      else if (!process->subscriptions)
        process->hold_until = now_ms() + HOLD_BLOCK_MS;
      return false;
    }
    ssize_t count = read(output->source.fd, at, room < TURN_READ ? room : TURN_READ);
    if (count > 0) {
      ring_added(&process->ring, (size_t)count, error);
      total += (size_t)count;
      output->due -= output->due < (size_t)count ? output->due : (size_t)count;
    } else if (count < 0 && errno == EAGAIN) {
      output->readable = false;
      output->due = 0;
    } else if (count == 0 || errno != EINTR) {  // a terminal's end is EIO
      output_closed(output);
    }
  }
  return false;
}

static bool settled(const struct process *process) {
  if (!process->exited) return false;
  bool late = now_ms() >= process->linger_until;
  for (int i = 0; i < 2; i++) {
    const struct output *output = &process->output[i];
    if (output->source.fd >= 0 && (!late || output->due)) return false;
  }
  return true;
}

static void work_step(struct job *job) {
  struct process *process =
      (struct process *)((char *)job - offsetof(struct process, job));
  output_work(process);
}

void output_work(struct process *process) {
  if (process->finished) return;
  if (process->hold_until && now_ms() >= process->hold_until) {
    process->hold_until = 0;
    process->unheld = true;
  }
  uint64_t before = process->ring.end;
  bool more = read_output(process, 0);
  more |= read_output(process, 1);
  if (process->ring.end != before)
    for (struct subscription *at = process->subscriptions; at; at = at->next)
      stream_ready(&at->stream);
  if (settled(process)) {
    job_stop(&process->job);
    process_finish(process);
    return;
  }
  int64_t due = INT64_MAX;
  if (more) due = 0;
  if (process->hold_until && process->hold_until < due) due = process->hold_until;
  if (process->exited && process->linger_until > now_ms() && process->linger_until < due)
    due = process->linger_until;
  if (due == INT64_MAX)
    job_stop(&process->job);
  else
    job_start(&process->job, work_step, due);
}

void output_ready(struct source *source, uint32_t events) {
  struct output *output = (struct output *)source;
  // An empty pipe that nobody can write into any more needs no buffer to read into.
  if (events & EPOLLIN || output->process->flags & START_PTY)
    output->readable = true;
  else
    output_closed(output);
  output_work(output->process);
}

// What every subscriber has consumed may give way.
static void acknowledge(struct process *process) {
  uint64_t least = UINT64_MAX;
  for (struct subscription *at = process->subscriptions; at; at = at->next) {
    uint64_t consumed = at->stream.limit - at->stream.window;
    if (consumed < least) least = consumed;
  }
  if (least != UINT64_MAX) process->acknowledged = least;
  process->hold_until = 0;
  process->unheld = false;
  output_work(process);
}

void put_exit(struct builder *builder, const struct process *process) {
  bool signaled = process->exited && WIFSIGNALED(process->status);
  put8(builder, signaled ? (uint8_t)WTERMSIG(process->status) : 0);
  put8(builder, process->exited && !signaled ? (uint8_t)WEXITSTATUS(process->status) : 0);
  put64(builder, process->user_us);
  put64(builder, process->system_us);
  put64(builder, process->max_rss_kib);
}

static bool output_pump(struct stream *stream) {
  struct subscription *subscription = (struct subscription *)stream;
  struct process *process = subscription->process;
  struct ring *ring = &process->ring;
  uint8_t prefix[16];
  store64(prefix, stream->sent);
  if (stream->sent < ring->start) {
    store64(prefix + 8, ring->start - stream->sent);
    send_out(stream, OUT_DROPPED, prefix, 16, NULL, 0);
    stream->sent = ring->start;
    return true;
  }
  if (stream->sent < ring->end) {
    size_t length, allowed = stream_allowance(stream);
    bool error;
    const uint8_t *data = ring_at(ring, stream->sent, &length, &error);
    if (length > allowed) length = allowed;
    if (length > MAX_PIECE - 8) length = MAX_PIECE - 8;
    if (!length) return false;
    send_out(stream, error ? OUT_STDERR : OUT_STDOUT, prefix, 8, data, length);
    stream->sent += length;
    if (stream->sent < ring->end) return stream_allowance(stream) > 0;
  }
  if (!process->finished) return false;
  struct builder builder = {0};
  put64(&builder, ring->end);
  put_exit(&builder, process);
  reply_built(stream->id, false, &builder);
  stream_close(stream);
  stream->ops->drop(stream);
  return false;
}

static void output_credit(struct stream *stream) {
  acknowledge(((struct subscription *)stream)->process);
}

static void output_drop(struct stream *stream) {
  struct subscription *subscription = (struct subscription *)stream;
  struct process *process = subscription->process;
  for (struct subscription **at = &process->subscriptions; *at; at = &(*at)->next) {
    if (*at != subscription) continue;
    *at = subscription->next;
    break;
  }
  loop_free(subscription);
  if (!process->finished) acknowledge(process);
}

void process_output(uint32_t id, struct cursor *cursor) {
  static const struct stream_ops ops = {
      .pump = output_pump, .credit = output_credit, .drop = output_drop};
  struct process *process = process_named(id, cursor);
  if (!process) return;
  uint64_t from = get64(cursor);
  uint32_t window = get32(cursor);
  if (cursor->bad || from > process->ring.end) {
    reply_error(id, EINVAL, STEP_NONE, "the offset is past the end of the output");
    return;
  }
  struct subscription *subscription = malloc(sizeof *subscription);
  if (!subscription) {
    reply_error(id, ENOMEM, STEP_NONE, "out of memory");
    return;
  }
  if (!stream_open(&subscription->stream, id, &ops, window, from)) {
    free(subscription);
    return;
  }
  subscription->process = process;
  subscription->next = process->subscriptions;
  process->subscriptions = subscription;
  stream_ready(&subscription->stream);
  acknowledge(process);
}
