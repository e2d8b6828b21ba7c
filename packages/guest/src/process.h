// Managed processes: started by the daemon, their output kept until it is read and they are forgotten.
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frames.h"

#define PROCESS_ID_SIZE 16
// Marks everything that a managed process starts, whatever session it moves to.
#define PROCESS_VARIABLE "CLAWDSPACE_PROCESS_ID="

void process_init(void);
void process_start(uint32_t stream, struct cursor *cursor);
void process_list(uint32_t stream, struct cursor *cursor);
void process_output(uint32_t stream, struct cursor *cursor);
void process_stdin(uint32_t stream, struct cursor *cursor);
void process_resize(uint32_t stream, struct cursor *cursor);
void process_signal(uint32_t stream, struct cursor *cursor);
void process_forget(uint32_t stream, struct cursor *cursor);

// SIGCHLD: notes who has ended. True where children are left.
bool process_reap(void);
// The id of the running managed process with this pid, or NULL.
const uint8_t *process_id_of(pid_t pid);
// Calls each running one: its leader's pid, its id, whether it has a terminal.
void process_each(void (*call)(pid_t pid, const uint8_t *id, bool terminal));

#endif
