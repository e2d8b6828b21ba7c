#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static int epoll_fd = -1;
static struct job *jobs;
// What run_jobs looks at next; job_stop moves it on when that very job is taken out.
static struct job *next_job;

// Freed at the end of a turn. The memory itself links the list.
struct garbage {
  struct garbage *next;
};
static struct garbage *garbage;

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool loop_init(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  return epoll_fd >= 0;
}

bool loop_watch(struct source *source, uint32_t events) {
  struct epoll_event event = {.events = events | EPOLLET, .data.ptr = source};
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

int loop_detach(struct source *source) {
  int fd = source->fd;
  // A descriptor that a child still shares stays in the epoll set after close: take it out by name.
  if (fd >= 0) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
  source->fd = -1;
  source->ready = NULL;
  return fd;
}

void loop_close(struct source *source) {
  int fd = loop_detach(source);
  if (fd >= 0) close(fd);
}

void loop_free(void *memory) {
  if (!memory) return;
  struct garbage *item = memory;
  item->next = garbage;
  garbage = item;
}

void job_start(struct job *job, void (*step)(struct job *job), int64_t due) {
  job->step = step;
  job->due = due;
  if (job->listed) return;
  job->listed = true;
  job->next = jobs;
  jobs = job;
}

void job_stop(struct job *job) {
  if (!job->listed) return;
  for (struct job **at = &jobs; *at; at = &(*at)->next) {
    if (*at != job) continue;
    *at = job->next;
    if (next_job == job) next_job = job->next;
    break;
  }
  job->listed = false;
}

static int next_timeout(void) {
  if (!jobs) return -1;
  int64_t due = INT64_MAX;
  for (struct job *job = jobs; job; job = job->next)
    if (job->due < due) due = job->due;
  if (due == INT64_MAX) return -1;
  int64_t left = due - now_ms();
  return left <= 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

static void run_jobs(void) {
  int64_t now = now_ms();
  for (struct job *job = jobs; job; job = next_job) {  // new jobs go to the front: next turn
    next_job = job->next;
    if (job->due <= now) job->step(job);
  }
  next_job = NULL;
}

void loop_turn(void) {
  struct epoll_event events[64];
  int count = epoll_wait(epoll_fd, events, 64, next_timeout());
  for (int i = 0; i < count; i++) {
    struct source *source = events[i].data.ptr;
    if (source->ready) source->ready(source, events[i].events);
  }
  if (jobs) run_jobs();
  while (garbage) {
    struct garbage *item = garbage;
    garbage = item->next;
    free(item);
  }
}
