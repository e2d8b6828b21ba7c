#define _GNU_SOURCE
#include "ring.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// A run of bytes of one kind, up to an offset.
struct segment {
  uint64_t end : 63;
  uint64_t error : 1;
};

enum { SEGMENTS_MINIMUM = 16, SEGMENTS_MAXIMUM = 16384 };

static uint64_t total;

bool (*ring_reclaim)(void);

static uint64_t read_number(const char *path) {
  char text[32];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  if (count <= 0) return 0;
  text[count] = 0;
  return strtoull(text, NULL, 10);
}

// Whether all rings together may have this much: 8 MiB always, else an eighth of the space's memory, 64 MiB at most.
static bool affordable(uint64_t wanted) {
  const uint64_t least = 8 << 20, most = 64 << 20;
  if (wanted <= least) return true;
  // Read anew each time: the limit of a running space can change.
  uint64_t limit = read_number("/sys/fs/cgroup/memory.max");
  if (!limit) limit = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  uint64_t share = limit ? limit / 8 : most;
  return wanted <= (share < most ? share : most);
}

void ring_init(struct ring *ring, uint32_t maximum) {
  uint32_t size = RING_MINIMUM;
  while (size < maximum && size < RING_MAXIMUM) size *= 2;
  *ring = (struct ring){.maximum = size};
}

void ring_free(struct ring *ring) {
  if (ring->data) munmap(ring->data, ring->capacity);
  total -= ring->capacity;
  free(ring->segments);
  *ring = (struct ring){.maximum = ring->maximum, .start = ring->end, .end = ring->end};
}

static size_t position(const struct ring *ring, uint64_t offset) {
  return (size_t)(offset - ring->base) & (ring->capacity - 1);
}

static bool resize(struct ring *ring, uint32_t capacity) {
  uint8_t *data =
      mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return false;
  for (uint64_t at = ring->start; at < ring->end;) {
    size_t from = position(ring, at), length = ring->capacity - from;
    if (length > ring->end - at) length = (size_t)(ring->end - at);
    memcpy(data + (at - ring->start), ring->data + from, length);
    at += length;
  }
  if (ring->data) munmap(ring->data, ring->capacity);
  total = total - ring->capacity + capacity;
  ring->data = data;
  ring->capacity = capacity;
  ring->base = ring->start;
  return true;
}

static bool grow(struct ring *ring) {
  uint32_t capacity = ring->capacity ? ring->capacity * 4 : RING_MINIMUM;
  if (capacity > ring->maximum) capacity = ring->maximum;
  if (capacity <= ring->capacity) return false;
  // The first piece is always granted, so that every process gets somewhere.
  while (ring->capacity && !affordable(total + capacity - ring->capacity))
    if (!ring_reclaim || !ring_reclaim()) return false;
  return resize(ring, capacity);
}

void ring_shrink(struct ring *ring) {
  uint32_t capacity = 4096;
  while (capacity < ring->end - ring->start) capacity *= 2;
  if (ring->end == ring->start)
    ring_free(ring);
  else if (capacity < ring->capacity)
    resize(ring, capacity);
}

static struct segment *segment(const struct ring *ring, uint32_t index) {
  return &ring->segments[(ring->segment_first + index) % ring->segment_capacity];
}

static void drop_first(struct ring *ring) {
  ring->segment_first = (ring->segment_first + 1) % ring->segment_capacity;
  ring->segment_count--;
}

// Makes room for one more segment.
static bool segment_room(struct ring *ring, uint64_t floor) {
  if (ring->segment_count < ring->segment_capacity) return true;
  if (ring->segment_capacity < SEGMENTS_MAXIMUM) {
    uint32_t capacity = ring->segment_capacity ? ring->segment_capacity * 4 : SEGMENTS_MINIMUM;
    struct segment *grown = calloc(capacity, sizeof *grown);
    if (grown) {
      for (uint32_t i = 0; i < ring->segment_count; i++) grown[i] = *segment(ring, i);
      free(ring->segments);
      ring->segments = grown;
      ring->segment_capacity = capacity;
      ring->segment_first = 0;
      return true;
    }
    if (!ring->segment_capacity) return false;
  }
  uint64_t end = segment(ring, 0)->end;
  if (end > floor) return false;
  ring->start = end;
  drop_first(ring);
  return true;
}

uint8_t *ring_room(struct ring *ring, uint64_t floor, bool keep, bool error, size_t *room) {
  if (floor < ring->start) floor = ring->start;
  uint64_t kept = ring->end - (keep ? ring->start : floor);
  if (kept >= ring->capacity) grow(ring);
  uint64_t free_bytes = ring->capacity - (ring->end - floor);
  if (!ring->capacity || !free_bytes) return NULL;
  bool same = ring->segment_count && segment(ring, ring->segment_count - 1)->error == error;
  if (!same && !segment_room(ring, floor)) return NULL;
  size_t at = position(ring, ring->end);
  *room = ring->capacity - at < free_bytes ? ring->capacity - at : (size_t)free_bytes;
  return ring->data + at;
}

void ring_added(struct ring *ring, size_t count, bool error) {
  ring->end += count;
  if (ring->segment_count && segment(ring, ring->segment_count - 1)->error == error) {
    segment(ring, ring->segment_count - 1)->end = ring->end;
  } else {
    *segment(ring, ring->segment_count) = (struct segment){.end = ring->end, .error = error};
    ring->segment_count++;
  }
  if (ring->end - ring->start > ring->capacity) ring->start = ring->end - ring->capacity;
  while (segment(ring, 0)->end <= ring->start) drop_first(ring);
}

const uint8_t *ring_at(const struct ring *ring, uint64_t offset, size_t *length, bool *error) {
  uint32_t low = 0, high = ring->segment_count - 1;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (segment(ring, middle)->end > offset)
      high = middle;
    else
      low = middle + 1;
  }
  const struct segment *found = segment(ring, low);
  size_t at = position(ring, offset), left = ring->capacity - at;
  *error = found->error;
  *length = found->end - offset < left ? (size_t)(found->end - offset) : left;
  return ring->data + at;
}
