// Changes below a folder, by inotify. Its one instance lives only while something is watched: a host has few.
#ifndef WATCH_H
#define WATCH_H

#include <stdint.h>

#include "frames.h"

void watch_start(uint32_t stream, struct cursor *cursor);

#endif
