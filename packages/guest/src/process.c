#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>

#include "killing.h"
#include "managed.h"

enum {
  MAX_RUNNING = 1024,
  MAX_FINISHED = 256,
  LIST_PAGE = 512 << 10,
};

static struct process *processes, **last_process = &processes;
static unsigned running, kept;  // kept: finished and not forgotten
static uint32_t last_sequence, last_finished;

struct process *process_find(const uint8_t *id) {
  for (struct process *at = processes; id && at; at = at->next)
    if (memcmp(at->id, id, PROCESS_ID_SIZE) == 0) return at;
  return NULL;
}

struct process *process_named(uint32_t stream, struct cursor *cursor) {
  struct process *process = process_find(get_raw(cursor, PROCESS_ID_SIZE));
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

bool process_room(void) { return running < MAX_RUNNING; }

void process_add(struct process *process) {
  process->sequence = ++last_sequence;
  *last_process = process;
  last_process = &process->next;
  running++;
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

void process_finish(struct process *process) {
  process->finished = ++last_finished;
  running--;
  kept++;
  for (int i = 0; i < 2; i++) {
    struct output *output = &process->output[i];
    if (output->source.fd < 0) continue;
    if (process->flags & START_PTY)
      loop_close(&output->source);  // hangs up the terminal
    else
      output_drain(output);
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
      output_work(at);
      break;
    }
  }
  return pid == 0;
}

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
  struct process *process = process_named(stream, cursor);
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
  struct process *process = process_named(stream, cursor);
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
  struct process *process = process_find(get_raw(cursor, PROCESS_ID_SIZE));
  if (process && process->finished)
    release(process);
  else if (process) {
    process->forget = true;
    output_work(process);  // output that waits for a reader waits no longer
  }
  reply_lingering(stream, &(struct builder){0});
}

void process_init(void) {
  start_init();
  ring_reclaim = release_oldest;
}
