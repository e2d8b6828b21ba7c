// Copying and removing, of single files and of whole trees; in slices, so that nothing else waits.
#ifndef TREE_H
#define TREE_H

#include <stdint.h>

#include "frames.h"

void tree_copy(uint32_t stream, struct cursor *cursor);
void tree_remove(uint32_t stream, struct cursor *cursor);

#endif
