// Signals to everything that a managed process started, without ever forking.
#ifndef KILLING_H
#define KILLING_H

#include <stdint.h>
#include <sys/types.h>

// Answers with how many were found, and for SIGKILL, once they are gone, how many were not to be killed.
// A member is who has the leader's session, the id in its environment, or a member as its parent.
void kill_all(uint32_t stream, const uint8_t *id, pid_t leader, int signal);

#endif
