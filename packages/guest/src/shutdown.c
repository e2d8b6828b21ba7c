#define _GNU_SOURCE
#include "shutdown.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "loop.h"
#include "process.h"
#include "session.h"

enum { LAST_WAIT_MS = 300 };

static struct source signals = {.fd = -1};
static struct job end_job;
static bool ending, killed;

static void signal_leader(pid_t pid, const uint8_t *id, bool terminal) {
  (void)id;
  if (!killed) {
    // Interactive shells ignore SIGTERM; the loss of their terminal they heed.
    if (terminal) kill(-pid, SIGHUP);
    kill(-pid, SIGTERM);
    kill(-pid, SIGCONT);
  } else {
    kill(-pid, SIGKILL);
  }
}

static void signal_all(void) {
  process_each(signal_leader);
  // As PID 1 "all" is the space. Anywhere else (in tests) it would be the machine.
  if (getpid() != 1) return;
  kill(-1, killed ? SIGKILL : SIGTERM);
  if (!killed) kill(-1, SIGCONT);
}

static void leave(void) {
  session_turn();  // the last words
  _exit(0);
}

static void step(struct job *job) {
  if (killed) leave();
  killed = true;
  signal_all();
  job_start(job, step, now_ms() + LAST_WAIT_MS);
}

void shutdown_begin(uint32_t grace_ms) {
  if (ending) return;
  ending = true;
  signal_all();
  job_start(&end_job, step, now_ms() + grace_ms);
  if (!process_reap()) leave();
}

static void signals_ready(struct source *source, uint32_t events) {
  (void)events;
  struct signalfd_siginfo info;
  while (read(source->fd, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGCHLD) {
      bool children = process_reap();
      if (ending && !children) leave();
      continue;
    }
    // A sender outside the space has no pid in it, and SI_USER can't be forged: programs of the space can't end it.
    if (getpid() != 1 || (info.ssi_code == SI_USER && info.ssi_pid == 0))
      shutdown_begin(session_stop_grace_ms());
  }
}

void shutdown_init(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  // Only these are blocked: for PID 1 the kernel throws the others away, blocked ones would pile up.
  sigprocmask(SIG_SETMASK, &set, NULL);
  signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  signals.ready = signals_ready;
  loop_watch(&signals, EPOLLIN);
}
