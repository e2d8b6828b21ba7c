// Starting a program: everything between clone and exec.
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "session.h"

struct limit {
  int resource;
  struct rlimit value;
};

struct spawn {
  char **argv, **env;
  const char *path;  // PATH of env, for a name without a slash
  const char *cwd;
  int fds[3];
  bool terminal;  // fds[0] becomes the controlling terminal
  const struct limit *limits;
  unsigned limit_count;
};

// The child's pid, leader of a session of its own; or -1 with the error and the step that failed.
pid_t spawn(const struct spawn *spawn, int *error, enum start_step *step);

#endif
