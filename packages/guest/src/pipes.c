#define _GNU_SOURCE
#include "pipes.h"

#include <fcntl.h>
#include <unistd.h>

enum { SMALL = 16 << 10, LARGE = 1 << 20 };

struct pipes pipes = {-1, -1};
static bool grown;

bool pipes_make(void) {
  int in[2], out[2];
  pipes_close();
  if (pipe2(in, O_CLOEXEC | O_NONBLOCK) < 0) return false;
  if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0) {
    close(in[0]);
    close(in[1]);
    return false;
  }
  close(in[1]);
  close(out[0]);
  pipes = (struct pipes){in[0], out[1]};
  grown = true;
  pipes_rest();
  return true;
}

void pipes_close(void) {
  if (pipes.input < 0) return;
  close(pipes.input);
  close(pipes.output);
  pipes = (struct pipes){-1, -1};
}

bool pipe_grow(int fd) {
  if (fcntl(fd, F_GETPIPE_SZ) >= LARGE || fcntl(fd, F_SETPIPE_SZ, LARGE) < 0) return false;
  grown = true;
  return true;
}

void pipes_rest(void) {
  if (!grown || pipes.input < 0) return;
  // One that still holds more stays as it is for now.
  bool input = fcntl(pipes.input, F_SETPIPE_SZ, SMALL) >= 0;
  bool output = fcntl(pipes.output, F_SETPIPE_SZ, SMALL) >= 0;
  grown = !input || !output;
}
