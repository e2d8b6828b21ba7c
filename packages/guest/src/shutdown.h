// The orderly end of the space: SIGTERM to all, a grace, SIGKILL, exit.
#ifndef SHUTDOWN_H
#define SHUTDOWN_H

#include <stdint.h>

// Watches SIGCHLD and SIGTERM from now on.
void shutdown_init(void);
void shutdown_begin(uint32_t grace_ms);

#endif
