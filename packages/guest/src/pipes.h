// Pipes of our own: a daemon on the same machine opens them by the numbers that they have here, through /proc, and then
// its bytes pass through no engine. That takes root outside of the space: we are not dumpable.
#ifndef PIPES_H
#define PIPES_H

#include <stdbool.h>

// A read of this much came out of a pipe that was full, or nearly.
enum { PIPE_MUCH = 4 << 10 };

// Ours are the ends to read from and to write into; -1 where there are none.
struct pipes {
  int input, output;
};
extern struct pipes pipes;

// Makes them, in place of earlier ones. The other ends are the daemon's to open.
bool pipes_make(void);
void pipes_close(void);
// Gives one more room, for as long as much goes through. False where it has that already, or gets none.
bool pipe_grow(int fd);
// Takes the additional room back: a user may have so much in pipes, and all spaces share it.
void pipes_rest(void);

#endif
