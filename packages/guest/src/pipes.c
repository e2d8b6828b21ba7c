#define _GNU_SOURCE
#include "pipes.h"

#include <fcntl.h>
#include <unistd.h>

enum { SMALL = 2 * PIPE_MUCH, LARGE = 1 << 20 };

struct pipes pipes = {-1, -1};
// Whether more room was asked for: once is enough, the answer would be the same.
static bool input_grown, output_grown;

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
  input_grown = output_grown = true;
  pipes_rest();
  return true;
}

void pipes_close(void) {
  if (pipes.input < 0) return;
  close(pipes.input);
  close(pipes.output);
  pipes = (struct pipes){-1, -1};
  input_grown = output_grown = false;
}

bool pipe_grow(int fd) {
  bool *grown = fd == pipes.input ? &input_grown : &output_grown;
  if (*grown) return false;
  *grown = true;
  return fcntl(fd, F_SETPIPE_SZ, LARGE) >= 0;
}

void pipes_rest(void) {
  // One that still holds more than fits stays as it is for now.
  if (input_grown) input_grown = fcntl(pipes.input, F_SETPIPE_SZ, SMALL) < 0;
  if (output_grown) output_grown = fcntl(pipes.output, F_SETPIPE_SZ, SMALL) < 0;
}
