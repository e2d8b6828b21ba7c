#define _GNU_SOURCE
#include "frames.h"

#include <stdlib.h>
#include <string.h>

#define HELLO_MAGIC "CLAWDGST"
static const uint8_t hello_trailer[TRAILER_SIZE] = {0xC1, 0xA7, 0xD5, 0x9B};
// How every HELLO of every version begins: what is hunted for after the bytes lost their order.
static const uint8_t hello_start[HEADER_SIZE + 8] = {FRAME_HELLO, 0,   HELLO_SIZE, 0,   0,   0,
                                                     0,           0,   'C',        'L', 'A', 'W',
                                                     'D',         'G', 'S',        'T'};

static uint16_t load16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

static uint32_t load32(const uint8_t *at) {
  return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

void store32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

void store64(uint8_t *at, uint64_t value) {
  for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> 8 * i);
}

uint8_t *parser_room(struct parser *parser, size_t *room) {
  if (parser->start > 0) {
    memmove(parser->buffer, parser->buffer + parser->start, parser->end - parser->start);
    parser->end -= parser->start;
    parser->start = 0;
  }
  *room = sizeof parser->buffer - parser->end;
  return parser->buffer + parser->end;
}

void parser_added(struct parser *parser, size_t count) { parser->end += count; }

static enum parsed hunt(struct parser *parser, struct frame *frame) {
  uint8_t *from = parser->buffer + parser->start;
  size_t length = parser->end - parser->start;
  uint8_t *found = memmem(from, length, hello_start, sizeof hello_start);
  if (!found) {
    // What may be the beginning of one stays.
    size_t keep = length < sizeof hello_start - 1 ? length : sizeof hello_start - 1;
    parser->start = parser->end - keep;
    return PARSED_NONE;
  }
  parser->start = (size_t)(found - parser->buffer);
  const size_t total = HEADER_SIZE + HELLO_SIZE + TRAILER_SIZE;
  if (parser->end - parser->start < total) return PARSED_NONE;
  if (memcmp(found + HEADER_SIZE + HELLO_SIZE, hello_trailer, TRAILER_SIZE) != 0) {
    parser->start += sizeof hello_start;
    return hunt(parser, frame);
  }
  parser->start += total;
  *frame = (struct frame){FRAME_HELLO, 0, HELLO_SIZE, 0, found + HEADER_SIZE};
  return PARSED_HELLO;
}

enum parsed parser_next(struct parser *parser, struct frame *frame) {
  if (!parser->synced) return hunt(parser, frame);
  // Zeros between frames pad: a new daemon sends them so that they complete a predecessor's half frame.
  while (parser->start < parser->end && parser->buffer[parser->start] == 0) parser->start++;
  size_t length = parser->end - parser->start;
  if (length < HEADER_SIZE) return PARSED_NONE;
  const uint8_t *at = parser->buffer + parser->start;
  *frame = (struct frame){at[0], at[1], load16(at + 2), load32(at + 4), at + HEADER_SIZE};
  if (frame->type == FRAME_HELLO && length < sizeof hello_start) return PARSED_NONE;
  if (frame->type == FRAME_HELLO && memcmp(at, hello_start, sizeof hello_start) == 0) {
    parser->synced = false;
    return hunt(parser, frame);
  }
  if (frame->type == FRAME_HELLO || frame->type > FRAME_SWITCH || frame->length > MAX_PAYLOAD) {
    parser->synced = false;
    return PARSED_LOST;
  }
  size_t total = HEADER_SIZE + (size_t)frame->length + TRAILER_SIZE;
  if (length < total) return PARSED_NONE;
  parser->start += total;
  if (memcmp(frame->payload + frame->length, parser->tag, TRAILER_SIZE) != 0) {
    parser->synced = false;
    return PARSED_LOST;
  }
  return PARSED_FRAME;
}

void parser_accept(struct parser *parser, const uint8_t nonce[NONCE_SIZE]) {
  for (int i = 0; i < TRAILER_SIZE; i++) parser->tag[i] = nonce[i] ? nonce[i] : 0xA5;
  parser->synced = true;
}

void frame_header(uint8_t header[HEADER_SIZE], uint8_t type, uint8_t flags, size_t length,
                  uint32_t stream) {
  header[0] = type;
  header[1] = flags;
  header[2] = (uint8_t)length;
  header[3] = (uint8_t)(length >> 8);
  store32(header + 4, stream);
}

const uint8_t *get_raw(struct cursor *cursor, size_t length) {
  if (cursor->bad || (size_t)(cursor->end - cursor->at) < length) {
    cursor->bad = true;
    return NULL;
  }
  const uint8_t *at = cursor->at;
  cursor->at += length;
  return at;
}

uint8_t get8(struct cursor *cursor) {
  const uint8_t *at = get_raw(cursor, 1);
  return at ? *at : 0;
}

uint16_t get16(struct cursor *cursor) {
  const uint8_t *at = get_raw(cursor, 2);
  return at ? load16(at) : 0;
}

uint32_t get32(struct cursor *cursor) {
  const uint8_t *at = get_raw(cursor, 4);
  return at ? load32(at) : 0;
}

uint64_t get64(struct cursor *cursor) {
  uint64_t low = get32(cursor);
  return low | (uint64_t)get32(cursor) << 32;
}

const uint8_t *get_bytes(struct cursor *cursor, uint32_t *length) {
  *length = get32(cursor);
  const uint8_t *at = get_raw(cursor, *length);
  if (!at) *length = 0;
  return at;
}

char *get_string(struct cursor *cursor) {
  uint32_t length;
  const uint8_t *at = get_bytes(cursor, &length);
  if (!at || memchr(at, 0, length)) {
    cursor->bad = true;
    return NULL;
  }
  char *copy = malloc((size_t)length + 1);
  if (!copy) {
    cursor->bad = true;
    return NULL;
  }
  memcpy(copy, at, length);
  copy[length] = 0;
  return copy;
}

static uint8_t *extend(struct builder *builder, size_t length) {
  if (builder->failed) return NULL;
  if (builder->capacity - builder->length < length) {
    size_t capacity = builder->capacity ? builder->capacity : 256;
    while (capacity - builder->length < length && capacity < MAX_REPLY) capacity *= 2;
    uint8_t *data = capacity - builder->length < length ? NULL : realloc(builder->data, capacity);
    if (!data) {
      builder->failed = true;
      return NULL;
    }
    builder->data = data;
    builder->capacity = capacity;
  }
  uint8_t *at = builder->data + builder->length;
  builder->length += length;
  return at;
}

void put_raw(struct builder *builder, const void *data, size_t length) {
  uint8_t *at = extend(builder, length);
  if (at && length) memcpy(at, data, length);
}

void put8(struct builder *builder, uint8_t value) { put_raw(builder, &value, 1); }

void put16(struct builder *builder, uint16_t value) {
  put_raw(builder, (uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8)}, 2);
}

void put32(struct builder *builder, uint32_t value) {
  uint8_t *at = extend(builder, 4);
  if (at) store32(at, value);
}

void put64(struct builder *builder, uint64_t value) {
  uint8_t *at = extend(builder, 8);
  if (at) store64(at, value);
}

void put_bytes(struct builder *builder, const void *data, size_t length) {
  put32(builder, (uint32_t)length);
  put_raw(builder, data, length);
}
