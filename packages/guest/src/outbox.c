#define _GNU_SOURCE
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frames.h"
#include "loop.h"
#include "pipes.h"

enum {
  // Frames below this are gathered into one write.
  SMALL_FRAME = 2048,
  // A session whose replies pile up beyond this has no reader and is dropped.
  QUEUE_LIMIT = 8 << 20,
};

struct outlet {
  struct source source;
  bool blocked;
};

static struct outlet engine = {.source = {.fd = 1}}, own = {.source = {.fd = -1}}, *current = &engine;
// So many bytes of the queue go to the engine before the pipe of our own is taken; 0: nothing is to be changed.
static size_t before_move;

// What could not be written yet, from queue_start to queue_end.
static uint8_t *queue;
static size_t queue_start, queue_end, queue_capacity;
// Listed while all that is queued waits a moment for what goes with it.
static struct job linger_job;

size_t outbox_length(void) { return queue_end - queue_start; }
bool outbox_blocked(void) { return current->blocked; }

int64_t outbox_lingers(void) { return linger_job.listed ? linger_job.due : 0; }
void outbox_linger(int64_t due) { job_start(&linger_job, job_stop, due); }

// One write; false where the next has to wait. Where nobody can read, bytes count as written: as if nobody were attached.
static bool write_some(const struct iovec *parts, int count, size_t *written) {
  *written = 0;
  for (;;) {
    ssize_t done = writev(current->source.fd, parts, count);
    if (done >= 0) {
      *written = (size_t)done;
      return true;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      if (current == &own && pipe_grow(own.source.fd)) continue;
      current->blocked = true;
      return false;
    }
    for (int i = 0; i < count; i++) *written += parts[i].iov_len;
    return true;
  }
}

void outbox_flush(void) {
  if (outbox_lingers()) return;
  while (outbox_length() && !current->blocked) {
    struct iovec rest = {queue + queue_start, before_move ? before_move : outbox_length()};
    size_t written;
    if (!write_some(&rest, 1, &written)) break;
    queue_start += written;
    if (!before_move) continue;
    before_move -= written;
    if (!before_move) current = &own;
  }
  if (outbox_length()) return;
  queue_start = queue_end = 0;
  if (queue_capacity > OUTBOX_BUSY) {
    free(queue);
    queue = NULL;
    queue_capacity = 0;
  }
}

void outbox_clear(void) { queue_start = queue_end = before_move = 0; }

static bool enqueue(const void *data, size_t length) {
  if (queue_capacity - queue_end < length) {
    if (queue_start) {
      memmove(queue, queue + queue_start, outbox_length());
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

bool outbox_frame(uint8_t type, uint8_t flags, uint32_t stream, const void *first,
                  size_t first_length, const void *second, size_t second_length) {
  uint8_t header[HEADER_SIZE];
  size_t total = HEADER_SIZE + first_length + second_length, written = 0;
  job_stop(&linger_job);
  frame_header(header, type, flags, first_length + second_length, stream);
  struct iovec parts[3] = {
      {header, HEADER_SIZE}, {(void *)first, first_length}, {(void *)second, second_length}};
  if (total > SMALL_FRAME) {
    outbox_flush();
    if (!outbox_length() && !current->blocked) write_some(parts, 3, &written);
  }
  for (int i = 0; i < 3; i++) {
    size_t skip = written < parts[i].iov_len ? written : parts[i].iov_len;
    written -= skip;
    if (parts[i].iov_len == skip) continue;
    if (!enqueue((uint8_t *)parts[i].iov_base + skip, parts[i].iov_len - skip)) return false;
  }
  return true;
}

static void writable(struct source *source, uint32_t events) {
  (void)events;
  ((struct outlet *)source)->blocked = false;
}

bool outbox_move(int fd) {
  own = (struct outlet){.source = {fd, writable}};
  if (!loop_watch(&own.source, EPOLLOUT)) return false;
  before_move = outbox_length();
  if (!before_move) current = &own;
  return true;
}

void outbox_return(void) {
  outbox_clear();
  loop_detach(&own.source);
  current = &engine;
}

void outbox_init(void) {
  engine.source.ready = writable;
  loop_watch(&engine.source, EPOLLOUT);
}
