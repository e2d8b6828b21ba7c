#define _GNU_SOURCE
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STACK_SIZE = 64 << 10, PATIENCE_TICKS = 100, TICK_MS = 20 };

// The child shares our memory until its exec, while we wait: as vfork, but with an end to the wait. (A vfork would
// let any program of the space hold us up for good: it has only to SIGSTOP the child at the right moment.)
static struct {
  const struct spawn *spawn;
  int error;
  enum start_step step;
  char name[4096];
} shared;
static volatile pid_t alive;  // cleared by the kernel when the child lets go of our memory
static uint8_t *stack;

static int give_up(enum start_step step) {
  shared.error = errno;
  shared.step = step;
  _exit(127);
}

static void exec_by_path(const struct spawn *spawn) {
  const char *name = spawn->argv[0];
  size_t name_length = strlen(name);
  if (strchr(name, '/')) {
    execve(name, spawn->argv, spawn->env);
    return;
  }
  int error = ENOENT;
  for (const char *at = spawn->path; name_length;) {
    const char *end = strchrnul(at, ':');
    size_t length = (size_t)(end - at);
    if (length + name_length + 2 < sizeof shared.name) {
      memcpy(shared.name, at, length);
      if (length) shared.name[length++] = '/';
      memcpy(shared.name + length, name, name_length + 1);
      execve(shared.name, spawn->argv, spawn->env);
      // The first thing that is there but can't be run is the better story to tell.
      if (errno != ENOENT && errno != ENOTDIR && error == ENOENT) error = errno;
    }
    if (!*end) break;
    at = end + 1;
  }
  errno = error;
}

static int child(void *unused) {
  (void)unused;
  const struct spawn *spawn = shared.spawn;
  setsid();
  if (spawn->terminal && ioctl(spawn->fds[0], TIOCSCTTY, 0) < 0) give_up(STEP_PTY);
  for (int i = 0; i < 3; i++)
    if (dup2(spawn->fds[i], i) < 0) give_up(STEP_PIPE);
  for (unsigned i = 0; i < spawn->limit_count; i++)
    if (setrlimit((__rlimit_resource_t)spawn->limits[i].resource, &spawn->limits[i].value) < 0)
      give_up(STEP_LIMITS);
  if (chdir(spawn->cwd) < 0) give_up(STEP_CWD);
  umask(022);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  exec_by_path(spawn);
  return give_up(STEP_EXEC);
}

// True once the child has let go of our memory.
static bool await(pid_t pid, int ticks) {
  const struct timespec tick = {0, TICK_MS * 1000000L};
  for (pid_t now; (now = alive) != 0;) {
    if (syscall(SYS_futex, &alive, FUTEX_WAIT, now, &tick, NULL, 0) == 0 || errno != ETIMEDOUT)
      continue;
    if (ticks-- == 0) return false;
    kill(pid, SIGCONT);
  }
  return true;
}

pid_t spawn(const struct spawn *spawn, int *error, enum start_step *step) {
  *step = STEP_FORK;
  if (!stack) {
    stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
                 -1, 0);
    if (stack == MAP_FAILED) stack = NULL;
  }
  if (!stack) {
    *error = ENOMEM;
    return -1;
  }
  shared.spawn = spawn;
  shared.error = 0;
  alive = 1;
  pid_t pid = clone(child, stack + STACK_SIZE, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL,
                    NULL, &alive);
  if (pid < 0) {
    *error = errno;
    return -1;
  }
  if (!await(pid, PATIENCE_TICKS)) {
    kill(pid, SIGKILL);
    // Killed, it can't touch our memory as a program any more; a stack that it might still be on is given up.
    if (!await(pid, PATIENCE_TICKS)) stack = NULL;
    *error = ETIMEDOUT;
    return -1;
  }
  if (shared.error) {
    *error = shared.error;
    *step = shared.step;
    waitpid(pid, NULL, 0);
    return -1;
  }
  // The engine's limit shall hit the programs, not us: they are better victims when memory runs out.
  char path[40];
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (write(fd, "500", 3) < 0) errno = 0;
    close(fd);
  }
  return pid;
}
