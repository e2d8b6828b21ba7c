#ifndef OPERATIONS_H
#define OPERATIONS_H

#include <stdint.h>

#include "frames.h"

// One whole request: the first byte of its payload names the operation.
void operation_run(uint32_t stream, struct cursor *cursor);

#endif
