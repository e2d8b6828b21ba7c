// Feeds the agent's parser and every operation with what a libFuzzer input spells. Most inputs are frames with the
// right tag, so that they get past the parser; some are raw bytes. Starting, signalling, connecting and shutting down
// are stand-ins here, so that nothing reaches the machine.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "frames.h"
#include "loop.h"
#include "process.h"
#include "session.h"
#include "shutdown.h"
#include "spawn.h"

// The program: says something on both outputs and ends.
pid_t spawn(const struct spawn *spawn, int *error, enum start_step *step) {
  size_t length = strlen(spawn->argv[0]);
  if (length % 5 == 4) {
    *error = ENOENT;
    *step = STEP_EXEC;
    return -1;
  }
  pid_t pid = fork();
  if (pid) return pid;
  for (int i = 0; i < 40; i++)
    if (write(spawn->fds[1 + i % 2], "some output of a program\n", (size_t)i % 26) < 0) break;
  _exit((int)length);
}

int fuzz_kill(pid_t pid, int signal) {
  (void)pid;
  return signal > 64 ? -1 : 0;
}

int fuzz_connect(int fd, const void *address, unsigned size) {
  (void)fd;
  (void)address;
  (void)size;
  errno = ECONNREFUSED;
  return -1;
}

void shutdown_begin(uint32_t grace_ms) { (void)grace_ms; }

static const uint8_t nonce[NONCE_SIZE] = "fuzzfuzzfuzzfuzz";

static bool raw_fed = true;  // half a frame may be left

static void hello(void) {
  uint8_t frame[HEADER_SIZE + HELLO_SIZE + TRAILER_SIZE] = {0};
  frame_header(frame, FRAME_HELLO, 0, HELLO_SIZE, 0);
  memcpy(frame + HEADER_SIZE, "CLAWDGST\1", 9);
  memcpy(frame + HEADER_SIZE + 12, nonce, NONCE_SIZE);
  memcpy(frame + HEADER_SIZE + HELLO_SIZE, "\xC1\xA7\xD5\x9B", TRAILER_SIZE);
  static const uint8_t pad[MAX_PAYLOAD + HEADER_SIZE + TRAILER_SIZE];
  if (raw_fed) session_feed(true, pad, sizeof pad);
  raw_fed = false;
  session_feed(true, frame, sizeof frame);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  static char root[4096];
  const char *folder = getenv("GUEST_FUZZ_FOLDER");
  snprintf(root, sizeof root, "%s/root-XXXXXX", folder ? folder : "/tmp");
  if (!mkdtemp(root)) abort();
  // Its output goes nowhere, its input never comes; libFuzzer reports on stderr.
  int null = open("/dev/null", O_RDWR);
  dup2(null, 0);
  dup2(null, 1);
  signal(SIGPIPE, SIG_IGN);
  if (!loop_init()) abort();
  files_init(root);
  process_init();
  session_init();
  return 0;
}

static void turn(void) {
  session_turn();
  // A job that is due at once keeps this from waiting.
  static struct job now;
  job_start(&now, job_stop, 0);
  loop_turn();
  process_reap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  hello();
  while (size > 4) {
    uint8_t kind = data[0], flags = data[1], stream = data[2] & 7;
    size_t length = data[3];
    data += 4;
    size -= 4;
    if (length > size) length = size;
    if (kind >= 0xF8) {
      raw_fed = true;
      session_feed(false, data, length);
    } else if (kind >= 0xF0) {
      turn();
    } else {
      static const uint8_t types[] = {FRAME_REQUEST, FRAME_REQUEST, FRAME_REQUEST, FRAME_DATA,
                                      FRAME_END,     FRAME_CREDIT,  FRAME_CANCEL,  FRAME_SWITCH};
      uint8_t frame[HEADER_SIZE + 255 + TRAILER_SIZE];
      frame_header(frame, types[kind % sizeof types], flags & FLAG_MORE, length, stream);
      memcpy(frame + HEADER_SIZE, data, length);
      memcpy(frame + HEADER_SIZE + length, nonce, TRAILER_SIZE);
      session_feed(false, frame, HEADER_SIZE + length + TRAILER_SIZE);
    }
    data += length;
    size -= length;
  }
  for (int i = 0; i < 4; i++) turn();
  return 0;
}
