#define _GNU_SOURCE
#include "killing.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "proc.h"
#include "session.h"

enum {
  MAX_SEEN = 32768,
  STOP_ROUNDS = 64,
  KILL_ROUNDS = 400,
  KILL_PAUSE_MS = 5,
};

struct seen {
  pid_t pid, parent;
  char state;
  bool member;
};

struct killing {
  struct stream stream;
  struct job job;
  uint8_t id[PROCESS_ID_SIZE];
  pid_t leader;
  int signal;
  bool stopped;
  int rounds;
  uint32_t found;
};

struct scan {
  const struct killing *killing;
  struct seen *list;
  size_t count, capacity;
};

static bool note(pid_t pid, void *context) {
  struct scan *scan = context;
  struct proc_stat stat;
  if (pid == getpid() || !proc_stat(pid, &stat)) return true;
  if (scan->count == scan->capacity) {
    size_t capacity = scan->capacity ? scan->capacity * 2 : 64;
    struct seen *grown =
        capacity > MAX_SEEN ? NULL : realloc(scan->list, capacity * sizeof *grown);
    if (!grown) return false;
    scan->list = grown;
    scan->capacity = capacity;
  }
  const struct killing *killing = scan->killing;
  uint8_t id[PROCESS_ID_SIZE];
  bool marked = proc_marker(pid, id);
  bool ours = marked && memcmp(id, killing->id, PROCESS_ID_SIZE) == 0;
  // A session's number can have been given anew: another process's mark speaks against it.
  bool member = ours || pid == killing->leader || (!marked && stat.session == killing->leader);
  if (pid == killing->leader && marked && !ours) member = false;
  scan->list[scan->count++] = (struct seen){pid, stat.parent, stat.state, member};
  return true;
}

static int by_pid(const void *left, const void *right) {
  return ((const struct seen *)left)->pid - ((const struct seen *)right)->pid;
}

static bool is_member(const struct scan *scan, pid_t pid) {
  const struct seen key = {.pid = pid}, *found;
  found = bsearch(&key, scan->list, scan->count, sizeof key, by_pid);
  return found && found->member;
}

static void adopt_children(struct scan *scan) {
  if (!scan->count) return;
  qsort(scan->list, scan->count, sizeof *scan->list, by_pid);
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < scan->count; i++) {
      struct seen *seen = &scan->list[i];
      if (seen->member || !is_member(scan, seen->parent)) continue;
      seen->member = changed = true;
    }
  }
}

static void done(struct killing *killing, uint32_t left) {
  uint8_t answer[8];
  store32(answer, killing->found);
  store32(answer + 4, left);
  reply(killing->stream.id, false, answer, sizeof answer);
  stream_close(&killing->stream);
  killing->stream.ops->drop(&killing->stream);
}

// SIGKILL comes in two parts. First all are stopped, so that nobody forks away from under the scan; where
// a round finds nobody new, all are killed and looked for until they are gone.
static void step(struct job *job) {
  struct killing *killing = (struct killing *)((char *)job - offsetof(struct killing, job));
  struct scan scan = {.killing = killing};
  proc_each(note, &scan);
  adopt_children(&scan);
  uint32_t alive = 0, fresh = 0;
  int signal = killing->signal != SIGKILL ? killing->signal
               : killing->stopped        ? SIGKILL
                                         : SIGSTOP;
  for (size_t i = 0; i < scan.count; i++) {
    const struct seen *seen = &scan.list[i];
    if (!seen->member || seen->state == 'Z' || seen->state == 'X') continue;
    alive++;
    if (signal == SIGSTOP && (seen->state == 'T' || seen->state == 't')) continue;
    fresh++;
    kill(seen->pid, signal);
  }
  free(scan.list);
  if (alive > killing->found) killing->found = alive;
  killing->rounds++;
  if (killing->signal != SIGKILL || !alive) {
    done(killing, 0);
  } else if (!killing->stopped) {
    // One that sleeps uninterruptibly is not stopped at once: don't wait for it for ever.
    if (fresh && killing->rounds < STOP_ROUNDS) return;
    killing->stopped = true;
    killing->rounds = 0;
  } else if (killing->rounds > KILL_ROUNDS) {
    done(killing, alive);
  } else {
    job_start(job, step, now_ms() + (killing->rounds > 4 ? KILL_PAUSE_MS : 1));
  }
}

static void drop(struct stream *stream) {
  struct killing *killing = (struct killing *)stream;
  job_stop(&killing->job);
  loop_free(killing);
}

void kill_all(uint32_t stream, const uint8_t *id, pid_t leader, int signal) {
  static const struct stream_ops ops = {.drop = drop};
  struct killing *killing = calloc(1, sizeof *killing);
  if (!killing) {
    reply_error(stream, ENOMEM, STEP_NONE, "out of memory");
    return;
  }
  if (!stream_open(&killing->stream, stream, &ops, 0, 0)) {
    free(killing);
    return;
  }
  memcpy(killing->id, id, PROCESS_ID_SIZE);
  killing->leader = leader;
  killing->signal = signal;
  job_start(&killing->job, step, 0);
}
