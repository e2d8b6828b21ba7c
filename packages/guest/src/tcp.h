// Streams to ports that listen inside the space.
#ifndef TCP_H
#define TCP_H

#include <stdint.h>

#include "frames.h"

void tcp_connect(uint32_t stream, struct cursor *cursor);

#endif
