// The wire format: frames, their parser, and the little-endian values in their payloads. docs/GUEST.md is its page.
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  PROTOCOL_MAJOR = 1,
  PROTOCOL_MINOR = 1,
  MAX_PAYLOAD = 32768,
  HEADER_SIZE = 8,
  MAX_PIECE = MAX_PAYLOAD - HEADER_SIZE,  // a frame of this fits the 32 KiB in which engines copy
  TRAILER_SIZE = 4,
  HELLO_SIZE = 48,
  HELLO_ACK_SIZE = 64,
  NONCE_SIZE = 16,
  MAX_REQUEST = 2 << 20,  // a request spread over several frames
  MAX_REPLY = 1 << 20,    // likewise a reply
};

enum frame_type {
  // daemon to guest
  FRAME_HELLO = 0x01,
  FRAME_REQUEST = 0x02,
  FRAME_DATA = 0x03,
  FRAME_END = 0x04,
  FRAME_CREDIT = 0x05,
  FRAME_CANCEL = 0x06,
  FRAME_SWITCH = 0x07,
  // guest to daemon
  FRAME_HELLO_ACK = 0x81,
  FRAME_REPLY = 0x82,
  FRAME_OUT = 0x83,
  FRAME_OUT_END = 0x84,
  FRAME_OUT_CREDIT = 0x85,
  FRAME_ERROR = 0x86,
  FRAME_DESYNC = 0x87,
  FRAME_SWITCHED = 0x88,
};

enum frame_flags {
  FLAG_MORE = 1,  // REQUEST, REPLY: continued in the next frame
  FLAG_OPEN = 2,  // REPLY: the stream goes on
  // OUT of a process
  OUT_STDOUT = 1,
  OUT_STDERR = 2,
  OUT_DROPPED = 3,
};

// What a guest can do, as its HELLO_ACK tells.
enum capability { CAPABILITY_FILES = 1, CAPABILITY_PIPES = 2 };

enum operation {
  OP_PING = 1,
  OP_START = 2,
  OP_LIST = 3,
  OP_OUTPUT = 4,
  OP_STDIN = 5,
  OP_RESIZE = 6,
  OP_SIGNAL = 7,
  OP_FORGET = 8,
  OP_TABLE = 9,
  OP_PORTS = 10,
  OP_SHUTDOWN = 11,
  OP_CONNECT = 12,
  OP_PIPES = 13,
  OP_STAT = 16,
  OP_LIST_DIR = 17,
  OP_READ = 18,
  OP_WRITE = 19,
  OP_MKDIR = 20,
  OP_RENAME = 21,
  OP_COPY = 22,
  OP_REMOVE = 23,
  OP_CHMOD = 24,
  OP_SYMLINK = 25,
  OP_READLINK = 26,
  OP_STATVFS = 27,
  OP_WATCH = 28,
};

// What may be sent before the first credit, from daemon to guest.
enum { STDIN_WINDOW = 64 << 10, WRITE_WINDOW = 1 << 20, TCP_WINDOW = 128 << 10 };

struct frame {
  uint8_t type, flags;
  uint16_t length;
  uint32_t stream;
  const uint8_t *payload;
};

// A complete frame never lies further apart than this buffer is long.
struct parser {
  uint8_t buffer[64 << 10];
  size_t start, end;
  bool synced;
  uint8_t tag[TRAILER_SIZE];
};

enum parsed { PARSED_NONE, PARSED_FRAME, PARSED_HELLO, PARSED_LOST };

// Where to read new bytes to; compacts. There is always room unless parser_next was not called until PARSED_NONE.
uint8_t *parser_room(struct parser *parser, size_t *room);
void parser_added(struct parser *parser, size_t count);
// The payload stays valid until the next parser_room. PARSED_LOST is told once; a HELLO is then hunted for.
enum parsed parser_next(struct parser *parser, struct frame *frame);
// From now on frames end with the tag of this nonce.
void parser_accept(struct parser *parser, const uint8_t nonce[NONCE_SIZE]);

void frame_header(uint8_t header[HEADER_SIZE], uint8_t type, uint8_t flags, size_t length,
                  uint32_t stream);

// Reads values off a payload. Reading past the end sets bad and gives zeros.
struct cursor {
  const uint8_t *at, *end;
  bool bad;
};

uint8_t get8(struct cursor *cursor);
uint16_t get16(struct cursor *cursor);
uint32_t get32(struct cursor *cursor);
uint64_t get64(struct cursor *cursor);
const uint8_t *get_raw(struct cursor *cursor, size_t length);
// u32 length and bytes, not terminated.
const uint8_t *get_bytes(struct cursor *cursor, uint32_t *length);
// The same as a string in fresh memory; bad where it holds a NUL byte.
char *get_string(struct cursor *cursor);

// Builds a payload in memory that grows up to MAX_REPLY; past it, or without memory, failed is set.
struct builder {
  uint8_t *data;
  size_t length, capacity;
  bool failed;
};

void put8(struct builder *builder, uint8_t value);
void put16(struct builder *builder, uint16_t value);
void put32(struct builder *builder, uint32_t value);
void put64(struct builder *builder, uint64_t value);
void put_raw(struct builder *builder, const void *data, size_t length);
void put_bytes(struct builder *builder, const void *data, size_t length);
void store32(uint8_t *at, uint32_t value);
void store64(uint8_t *at, uint64_t value);

#endif
