// What /proc tells: processes, who started them, ports that are listened on.
#ifndef PROC_H
#define PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frames.h"
#include "process.h"

struct proc_stat {
  pid_t pid, parent, session;
  char state;
  char name[64];
  uint64_t user_ticks, system_ticks, started_ticks;
  uint32_t threads;
  uint64_t rss_pages;
};

// Calls each pid of the space until that returns false.
void proc_each(bool (*call)(pid_t pid, void *context), void *context);
bool proc_stat(pid_t pid, struct proc_stat *stat);
// The managed process that pid's environment names.
bool proc_marker(pid_t pid, uint8_t id[PROCESS_ID_SIZE]);

void proc_table(uint32_t stream, struct cursor *cursor);
void proc_ports(uint32_t stream, struct cursor *cursor);

#endif
