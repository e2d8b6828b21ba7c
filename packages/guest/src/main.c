// The guest agent: PID 1 of a space. Starts the daemon's programs, keeps their output, reads and writes files, opens
// ports, all over its stdin and stdout (docs/GUEST.md).
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "harden.h"
#include "loop.h"
#include "process.h"
#include "session.h"
#include "shutdown.h"

int main(int argc, char **argv) {
  const char *root = "/workspace";
  if (argc == 3 && strcmp(argv[1], "--root") == 0) root = argv[2];
  harden();
  syscall(SYS_close_range, 3, ~0U, 0);
  umask(0);
  signal(SIGPIPE, SIG_IGN);
  if (!loop_init()) return 1;
  shutdown_init();
  files_init(root);
  process_init();
  session_init();
  for (;;) {
    loop_turn();
    session_turn();
    // As PID 1 the space goes on; elsewhere nobody could reach the agent again.
    if (session_input_ended() && getpid() != 1) shutdown_begin(0);
  }
}
