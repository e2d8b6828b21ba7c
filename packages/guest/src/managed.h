// What the parts of a managed process share: process.c has the table of them, start.c starts them, output.c reads what they
// print and passes it on, input.c feeds them.
#ifndef MANAGED_H
#define MANAGED_H

#include "loop.h"
#include "process.h"
#include "ring.h"
#include "session.h"

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

// NULL where there is none.
struct process *process_find(const uint8_t *id);
// The process that a request names first; answers where there is none.
struct process *process_named(uint32_t stream, struct cursor *cursor);
// Whether one more may run.
bool process_room(void);
// Takes one in that runs.
void process_add(struct process *process);
// It has ended and all its output is read.
void process_finish(struct process *process);

void start_init(void);

void output_ready(struct source *source, uint32_t events);
// Reads what there is, passes it on, and notices the end.
void output_work(struct process *process);
// What the process's children still write is read and thrown away: a full or closed pipe would stop or kill them.
void output_drain(struct output *output);
void put_exit(struct builder *builder, const struct process *process);

void input_ready(struct source *source, uint32_t events);
// broken: the process can't be fed any more; otherwise its input is at its end.
void input_close(struct input *input, bool broken);

#endif
