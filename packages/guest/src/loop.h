// The event loop: descriptors, jobs that take turns, and deadlines. Without any of them due it sleeps for good.
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

// A descriptor watched edge-triggered: ready() notes what is possible, work goes on until EAGAIN.
struct source {
  int fd;
  void (*ready)(struct source *source, uint32_t events);
};

bool loop_init(void);
bool loop_watch(struct source *source, uint32_t events);
// Closes the descriptor; events of it that are already fetched are skipped.
void loop_close(struct source *source);
// Stops watching without closing; gives the descriptor back.
int loop_detach(struct source *source);
// Frees memory once no fetched event can point into it.
void loop_free(void *memory);

// Work in slices: step() is called once a turn from due on, until job_stop.
struct job {
  struct job *next;
  void (*step)(struct job *job);
  int64_t due;  // ms of now_ms(); 0 at once, INT64_MAX never
  bool listed;
};

void job_start(struct job *job, void (*step)(struct job *job), int64_t due);
void job_stop(struct job *job);

int64_t now_ms(void);
// One wait and everything that it brought.
void loop_turn(void);

#endif
