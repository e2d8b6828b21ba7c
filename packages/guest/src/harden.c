#define _GNU_SOURCE
#include "harden.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The same user may change the resource limits and the scheduling of PID 1; a CPU limit would get it killed.
// The system calls that do so get EPERM where they name it.
#define DENY_FOR_INIT(call, argument)                                                        \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 4),                                         \
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[argument])),     \
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),                                          \
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),                                  \
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define COMPAT AUDIT_ARCH_I386
// prlimit64, sched_setaffinity, sched_setscheduler, sched_setparam, sched_setattr, setpriority, ioprio_set
static const uint32_t compat[] = {340, 241, 156, 154, 351, 97, 289};
#define X32_BIT 0x40000000U
#else
#define NATIVE AUDIT_ARCH_AARCH64
#define COMPAT AUDIT_ARCH_ARM
static const uint32_t compat[] = {369, 241, 156, 154, 380, 97, 314};
#define X32_BIT 0U
#endif

void harden(void) {
  // The space's user can neither trace the agent nor open what it holds.
  prctl(PR_SET_DUMPABLE, 0);
  if (getpid() != 1 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return;
  enum { PRLIMIT, AFFINITY, SCHEDULER, PARAM, ATTR, PRIORITY, IOPRIO };
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, COMPAT, 0, 37),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      DENY_FOR_INIT(compat[PRLIMIT], 0),
      DENY_FOR_INIT(compat[AFFINITY], 0),
      DENY_FOR_INIT(compat[SCHEDULER], 0),
      DENY_FOR_INIT(compat[PARAM], 0),
      DENY_FOR_INIT(compat[ATTR], 0),
      DENY_FOR_INIT(compat[PRIORITY], 1),
      DENY_FOR_INIT(compat[IOPRIO], 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      // x32 calls of the same number do the same.
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~X32_BIT),
      DENY_FOR_INIT(SYS_prlimit64, 0),
      DENY_FOR_INIT(SYS_sched_setaffinity, 0),
      DENY_FOR_INIT(SYS_sched_setscheduler, 0),
      DENY_FOR_INIT(SYS_sched_setparam, 0),
      DENY_FOR_INIT(SYS_sched_setattr, 0),
      DENY_FOR_INIT(SYS_setpriority, 1),
      DENY_FOR_INIT(SYS_ioprio_set, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  // Without the filter the space could end itself by a detour: no reason not to start.
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
