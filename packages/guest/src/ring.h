// A process's output: the latest bytes of stdout and stderr in the order they were read, by one byte offset.
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
  uint8_t *data;
  uint32_t capacity, maximum;  // powers of two; capacity 0 until the first byte
  uint64_t base;               // the offset at data[0]
  uint64_t start, end;         // what is kept
  struct segment *segments;    // circular
  uint32_t segment_capacity, segment_first, segment_count;
};

enum { RING_MINIMUM = 16 << 10, RING_MAXIMUM = 16 << 20 };

void ring_init(struct ring *ring, uint32_t maximum);
void ring_free(struct ring *ring);
// Gives back what the kept bytes don't need.
void ring_shrink(struct ring *ring);
// Where the next bytes may be written, at most *room. Bytes below `floor` may give way; those from it on may not.
// With keep, it grows before old bytes are overwritten. NULL: full.
uint8_t *ring_room(struct ring *ring, uint64_t floor, bool keep, bool error, size_t *room);
void ring_added(struct ring *ring, size_t count, bool error);
// The longest contiguous piece of one kind at an offset in [start, end).
const uint8_t *ring_at(const struct ring *ring, uint64_t offset, size_t *length, bool *error);

// Asked when the rings together reach their budget: forgets something old; false where there is nothing.
extern bool (*ring_reclaim)(void);

#endif
