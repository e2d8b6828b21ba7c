#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "killing.h"
#include "loop.h"
#include "ring.h"
#include "session.h"
#include "spawn.h"

enum {
  MAX_RUNNING = 1024,
  MAX_FINISHED = 256,
  MAX_DRAINS = 256,
  MAX_META = 16 << 10,
  TURN_READ = 64 << 10,
  // An output that waits for a reader waits this long after the last one has gone.
  HOLD_BLOCK_MS = 300000,
  HOLD_FOLLOW_MS = 60000,
  LIST_PAGE = 512 << 10,
};

enum start_flags { START_PTY = 1, START_STDIN = 2, START_BLOCK = 4, START_FOLLOW = 8 };

struct output {
  struct source source;
  struct process *process;
  bool readable;
  size_t due;  // bytes that were in the pipe when the process ended: they still count
};

struct input {
  struct source source;
  struct process *process;
  bool writable, ended, broken;
  uint8_t *buffer;  // received, not yet taken by the process
  size_t start, end;
  uint64_t received, consumed, credited;
  struct stdin_stream *stream;
};

struct process {
  struct process *next;
  uint32_t sequence;
  uint8_t id[PROCESS_ID_SIZE];
  pid_t pid;
  uint8_t flags;
  bool exited, forget;
  uint32_t finished;  // 0: not yet; else in which order
  int status;
  uint64_t user_us, system_us, max_rss_kib, started_ms;
  unsigned linger_ms;
  int64_t linger_until, hold_until;  // 0: not armed
  bool unheld;
  struct job job;
  struct output output[2];
  struct input input;
  struct ring ring;
  uint64_t acknowledged;
  struct subscription *subscriptions;
  uint8_t *meta;
  uint32_t meta_length;
};

struct subscription {
  struct stream stream;
  struct process *process;
  struct subscription *next;
};

struct stdin_stream {
  struct stream stream;
  struct process *process;
  uint64_t position;  // offset of the next byte from the daemon
};

// Keeps a pipe empty whose writers outlived the process that it was made for.
struct drain {
  struct source source;
  struct job job;
  struct drain *next;
};

static struct process *processes, **last_process = &processes;
static unsigned running, kept;  // kept: finished and not forgotten
static uint32_t last_sequence, last_finished;
static int null_fd = -1;
static struct drain *drains;
static unsigned drain_count;

static void work(struct process *process);

// ---- looking up ----

static struct process *find(const uint8_t *id) {
  for (struct process *at = processes; id && at; at = at->next)
    if (memcmp(at->id, id, PROCESS_ID_SIZE) == 0) return at;
  return NULL;
}

// The process that a request names first; answers where there is none.
static struct process *named(uint32_t stream, struct cursor *cursor) {
  struct process *process = find(get_raw(cursor, PROCESS_ID_SIZE));
  if (!process) reply_error(stream, cursor->bad ? EPROTO : ESRCH, STEP_NONE, "no such process");
  return process;
}

const uint8_t *process_id_of(pid_t pid) {
  for (struct process *at = processes; at; at = at->next)
    if (!at->exited && at->pid == pid) return at->id;
  return NULL;
}

void process_each(void (*call)(pid_t pid, const uint8_t *id, bool terminal)) {
  for (struct process *at = processes; at; at = at->next)
    if (!at->exited) call(at->pid, at->id, at->flags & START_PTY);
}

// ---- the end of a process ----

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

// What the process's children still write is read and thrown away: a full or closed pipe would stop or kill them.
static void drain_pipe(struct output *output) {
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

static void input_close(struct input *input, bool broken) {
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

static void release(struct process *process) {
  for (struct process **at = &processes; *at; at = &(*at)->next) {
    if (*at != process) continue;
    *at = process->next;
    if (last_process == &process->next) last_process = at;
    break;
  }
  kept--;
  job_stop(&process->job);
  while (process->subscriptions) {
    struct subscription *subscription = process->subscriptions;
    process->subscriptions = subscription->next;
    reply_error(subscription->stream.id, ESRCH, STEP_NONE, "the process was forgotten");
    stream_close(&subscription->stream);
    loop_free(subscription);
  }
  ring_free(&process->ring);
  free(process->meta);
  loop_free(process);
}

static bool release_oldest(void) {
  struct process *oldest = NULL;
  for (struct process *at = processes; at; at = at->next)
    if (at->finished && !at->subscriptions && (!oldest || at->finished < oldest->finished))
      oldest = at;
  if (oldest) release(oldest);
  return oldest != NULL;
}

static void finish(struct process *process) {
  process->finished = ++last_finished;
  running--;
  kept++;
  for (int i = 0; i < 2; i++) {
    struct output *output = &process->output[i];
    if (output->source.fd < 0) continue;
    if (process->flags & START_PTY)
      loop_close(&output->source);  // hangs up the terminal
    else
      drain_pipe(output);
  }
  input_close(&process->input, true);
  ring_shrink(&process->ring);
  for (struct subscription *at = process->subscriptions; at; at = at->next)
    stream_ready(&at->stream);
  if (process->forget)
    release(process);
  else if (kept > MAX_FINISHED)
    release_oldest();
}

bool process_reap(void) {
  int status;
  struct rusage usage;
  pid_t pid;
  while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
    for (struct process *at = processes; at; at = at->next) {
      if (at->exited || at->pid != pid) continue;
      at->exited = true;
      at->status = status;
      at->user_us = (uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec;
      at->system_us = (uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec;
      at->max_rss_kib = (uint64_t)usage.ru_maxrss;
      at->linger_until = now_ms() + at->linger_ms;
      for (int i = 0; i < 2; i++) {
        int waiting = 0;
        if (at->output[i].source.fd >= 0) {
          ioctl(at->output[i].source.fd, FIONREAD, &waiting);
          at->output[i].readable = true;
        }
        at->output[i].due = waiting > 0 ? (size_t)waiting : 0;
      }
      work(at);
      break;
    }
  }
  return pid == 0;
}

// ---- output ----

static bool held(const struct process *process) {
  if (process->unheld || process->forget) return false;
  return process->flags & START_BLOCK ||
         (process->flags & START_FOLLOW && process->subscriptions);
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
      output->readable = false;
      output->due = 0;
      loop_close(&output->source);
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
  work(process);
}

static void work(struct process *process) {
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
    finish(process);
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

static void output_ready(struct source *source, uint32_t events) {
  (void)events;
  struct output *output = (struct output *)source;
  output->readable = true;
  work(output->process);
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
  work(process);
}

static void put_exit(struct builder *builder, const struct process *process) {
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
  struct process *process = named(id, cursor);
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

// ---- stdin ----

static void input_write(struct input *input) {
  while (input->writable && input->start < input->end) {
    ssize_t count = write(input->source.fd, input->buffer + input->start, input->end - input->start);
    if (count >= 0) {
      input->start += (size_t)count;
      input->consumed += (uint64_t)count;
    } else if (errno == EAGAIN) {
      input->writable = false;
    } else if (errno != EINTR) {
      input_close(input, true);
      return;
    }
  }
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

static void input_ready(struct source *source, uint32_t events) {
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
  while (length && !input->buffer && input->writable) {
    ssize_t count = write(input->source.fd, data, length);
    if (count >= 0) {
      data += count;
      length -= (size_t)count;
      input->received += (uint64_t)count;
      input->consumed += (uint64_t)count;
    } else if (errno == EAGAIN) {
      input->writable = false;
    } else if (errno != EINTR) {
      input_close(input, true);
      return;
    }
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
  struct process *process = named(id, cursor);
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

// ---- starting ----

// A string of the request in the arena at *at; the arena has room since a NUL is shorter than the length it replaces.
static char *take_string(struct cursor *cursor, char **at) {
  uint32_t length;
  const uint8_t *data = get_bytes(cursor, &length);
  if (!data || memchr(data, 0, length)) {
    cursor->bad = true;
    return *at;
  }
  char *string = *at;
  memcpy(string, data, length);
  string[length] = 0;
  *at += length + 1;
  return string;
}

static void take_list(struct cursor *cursor, char **list, uint32_t count, char **at) {
  for (uint32_t i = 0; i < count; i++) list[i] = take_string(cursor, at);
  list[count] = NULL;
}

struct channels {
  int child[3];   // what the program gets
  int output[2];  // what we read
  int input;
};

static void close_channels(const struct channels *channels, bool ours) {
  for (int i = 0; i < 3; i++)
    if (channels->child[i] >= 0 && channels->child[i] != null_fd &&
        (i == 0 || channels->child[i] != channels->child[0]))
      close(channels->child[i]);
  if (!ours) return;
  for (int i = 0; i < 2; i++)
    if (channels->output[i] >= 0) close(channels->output[i]);
  if (channels->input >= 0) close(channels->input);
}

static bool open_terminal(struct channels *channels, uint16_t columns, uint16_t rows) {
  int unlock = 0, master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (master < 0) return false;
  channels->output[0] = master;
  struct winsize size = {.ws_col = columns, .ws_row = rows};
  if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0) return false;
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return false;
  for (int i = 0; i < 3; i++) channels->child[i] = slave;
  channels->input = fcntl(master, F_DUPFD_CLOEXEC, 3);
  return channels->input >= 0;
}

static bool open_pipes(struct channels *channels, bool with_input) {
  int ends[2];
  for (int i = 0; i < 2; i++) {
    if (pipe2(ends, O_CLOEXEC) < 0) return false;
    channels->output[i] = ends[0];
    channels->child[i + 1] = ends[1];
    fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);
  }
  channels->child[0] = null_fd;
  if (!with_input) return true;
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  channels->child[0] = ends[0];
  channels->input = ends[1];
  fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
  return true;
}

static const char *variable(char *const *env, const char *name, size_t length) {
  for (; *env; env++)
    if (strncmp(*env, name, length) == 0) return *env + length;
  return NULL;
}

static void marker(char *at, const uint8_t *id) {
  memcpy(at, PROCESS_VARIABLE, sizeof PROCESS_VARIABLE - 1);
  at += sizeof PROCESS_VARIABLE - 1;
  for (int i = 0; i < PROCESS_ID_SIZE; i++) {
    *at++ = "0123456789abcdef"[id[i] >> 4];
    *at++ = "0123456789abcdef"[id[i] & 15];
  }
  *at = 0;
}

static void watch_channels(struct process *process, const struct channels *channels) {
  for (int i = 0; i < 2; i++) {
    struct output *output = &process->output[i];
    *output = (struct output){.source = {channels->output[i], output_ready}, .process = process};
    if (output->source.fd >= 0) loop_watch(&output->source, EPOLLIN);
  }
  process->input = (struct input){
      .source = {channels->input, input_ready}, .process = process, .writable = true};
  if (channels->input >= 0)
    loop_watch(&process->input.source, EPOLLOUT);
  else
    process->input.broken = true;
}

static uint64_t real_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void started(uint32_t stream, const struct process *process, bool already) {
  struct builder builder = {0};
  put32(&builder, (uint32_t)process->pid);
  put8(&builder, already);
  reply_lingering(stream, &builder);
}

static void launch(uint32_t stream, struct process *process, struct spawn *request,
                   uint16_t columns, uint16_t rows) {
  struct channels channels = {{-1, -1, -1}, {-1, -1}, -1};
  bool terminal = process->flags & START_PTY;
  bool opened = terminal ? open_terminal(&channels, columns, rows)
                         : open_pipes(&channels, process->flags & START_STDIN);
  int error = errno;
  enum start_step step = terminal ? STEP_PTY : STEP_PIPE;
  if (opened) {
    memcpy(request->fds, channels.child, sizeof request->fds);
    request->terminal = terminal;
    process->pid = spawn(request, &error, &step);
    opened = process->pid > 0;
  }
  close_channels(&channels, !opened);
  if (!opened) {
    const char *what = step == STEP_EXEC  ? request->argv[0]
                       : step == STEP_CWD ? request->cwd
                                          : "";
    reply_error(stream, error, step, what);
    free(process->meta);
    free(process);
    return;
  }
  watch_channels(process, &channels);
  process->started_ms = real_ms();
  process->sequence = ++last_sequence;
  *last_process = process;
  last_process = &process->next;
  running++;
  started(stream, process, false);
}

void process_start(uint32_t stream, struct cursor *cursor) {
  const uint8_t *id = get_raw(cursor, PROCESS_ID_SIZE);
  struct process *known = find(id);
  if (known) {
    started(stream, known, true);
    return;
  }
  if (running >= MAX_RUNNING) {
    reply_error(stream, EAGAIN, STEP_FORK, "too many running processes");
    return;
  }
  size_t arena_size = (size_t)(cursor->end - cursor->at) + 1;
  struct process *process = calloc(1, sizeof *process);
  char *arena = malloc(arena_size), *at = arena, **lists = NULL;
  if (!process || !arena) {
    reply_error(stream, ENOMEM, STEP_FORK, "out of memory");
    goto failed;
  }
  process->flags = get8(cursor);
  uint16_t columns = get16(cursor), rows = get16(cursor);
  uint32_t ring_bytes = get32(cursor);
  process->linger_ms = get16(cursor);
  if (id) memcpy(process->id, id, PROCESS_ID_SIZE);
  ring_init(&process->ring, ring_bytes);

  struct limit limits[16];
  struct spawn request = {.cwd = take_string(cursor, &at), .limits = limits};
  request.limit_count = get8(cursor);
  if (request.limit_count > 16) cursor->bad = true;
  for (unsigned i = 0; i < request.limit_count && !cursor->bad; i++) {
    limits[i].resource = get8(cursor);
    limits[i].value.rlim_cur = get64(cursor);
    limits[i].value.rlim_max = get64(cursor);
  }
  uint32_t argument_count = get32(cursor), variable_count = get32(cursor);
  // Each has a length of four bytes: this bounds what is allocated.
  size_t most = arena_size / 4 + 1;
  if (cursor->bad || !argument_count || argument_count > most || variable_count > most) {
    reply_error(stream, EPROTO, STEP_NONE, "the start is malformed");
    goto failed;
  }
  lists = calloc(argument_count + variable_count + 3, sizeof *lists);
  if (!lists) {
    reply_error(stream, ENOMEM, STEP_FORK, "out of memory");
    goto failed;
  }
  char mark[sizeof PROCESS_VARIABLE + 2 * PROCESS_ID_SIZE];
  marker(mark, process->id);
  request.argv = lists;
  take_list(cursor, lists, argument_count, &at);
  request.env = lists + argument_count + 1;
  take_list(cursor, request.env, variable_count, &at);
  request.env[variable_count] = mark;
  request.path = variable(request.env, "PATH=", 5);
  if (!request.path) request.path = "/usr/local/bin:/usr/bin:/bin";
  const uint8_t *meta = get_bytes(cursor, &process->meta_length);
  if (cursor->bad || process->meta_length > MAX_META) {
    reply_error(stream, EPROTO, STEP_NONE, "the start is malformed");
    goto failed;
  }
  process->meta = malloc(process->meta_length + 1);
  if (!process->meta) {
    reply_error(stream, ENOMEM, STEP_FORK, "out of memory");
    goto failed;
  }
  memcpy(process->meta, meta, process->meta_length);
  launch(stream, process, &request, columns, rows);
  free(arena);
  free(lists);
  return;
failed:
  free(process);
  free(arena);
  free(lists);
}

// ---- the rest ----

void process_list(uint32_t stream, struct cursor *cursor) {
  uint32_t after = get32(cursor);
  struct builder builder = {0};
  put8(&builder, 0);
  for (struct process *at = processes; at; at = at->next) {
    if (at->sequence <= after) continue;
    if (builder.length > LIST_PAGE) {
      builder.data[0] = 1;
      break;
    }
    put32(&builder, at->sequence);
    put_raw(&builder, at->id, PROCESS_ID_SIZE);
    put32(&builder, (uint32_t)at->pid);
    uint8_t open = at->input.source.fd >= 0 && !at->input.ended ? START_STDIN : 0;
    put8(&builder, (uint8_t)((at->flags & ~START_STDIN) | open));
    put8(&builder, at->finished != 0);
    put64(&builder, at->started_ms);
    put64(&builder, at->input.received);
    put64(&builder, at->ring.start);
    put64(&builder, at->ring.end);
    put_exit(&builder, at);
    put_bytes(&builder, at->meta, at->meta_length);
  }
  reply_built(stream, false, &builder);
}

void process_resize(uint32_t stream, struct cursor *cursor) {
  struct process *process = named(stream, cursor);
  if (!process) return;
  struct winsize size = {.ws_col = get16(cursor)};
  size.ws_row = get16(cursor);
  if (!(process->flags & START_PTY)) {
    reply_error(stream, ENOTTY, STEP_NONE, "the process has no terminal");
  } else if (process->output[0].source.fd < 0 ||
             ioctl(process->output[0].source.fd, TIOCSWINSZ, &size) < 0) {
    reply_error(stream, EPIPE, STEP_NONE, "the terminal is closed");
  } else {
    reply(stream, false, NULL, 0);
  }
}

void process_signal(uint32_t stream, struct cursor *cursor) {
  struct process *process = named(stream, cursor);
  if (!process) return;
  uint8_t number = get8(cursor), all = get8(cursor);
  if (cursor->bad || number > 64) {
    reply_error(stream, EINVAL, STEP_NONE, "no such signal");
  } else if (all) {
    kill_all(stream, process->id, process->pid, number);
  } else if (process->exited) {
    reply_error(stream, EPIPE, STEP_NONE, "the process has ended");
  } else if (kill(-process->pid, number) < 0) {
    reply_error(stream, errno, STEP_NONE, "the signal was refused");
  } else {
    struct builder builder = {0};
    put32(&builder, 1);
    reply_built(stream, false, &builder);
  }
}

void process_forget(uint32_t stream, struct cursor *cursor) {
  struct process *process = find(get_raw(cursor, PROCESS_ID_SIZE));
  if (process && process->finished)
    release(process);
  else if (process) {
    process->forget = true;
    work(process);  // output that waits for a reader waits no longer
  }
  reply_lingering(stream, &(struct builder){0});
}

void process_init(void) {
  null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ring_reclaim = release_oldest;
}
