#define _GNU_SOURCE
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "session.h"

enum { MAX_CONNECTIONS = 256 };

struct connection {
  struct stream stream;
  struct source source;
  uint16_t port;
  bool second_try;  // ::1, after 127.0.0.1 refused
  bool connected, readable, writable;
  bool read_ended, write_ended, write_done;
  uint8_t *buffer;  // from the daemon, not yet taken by the socket
  size_t start, end;
  uint64_t received, consumed, credited;
};

static unsigned connections;

static struct connection *of_source(struct source *source) {
  return (struct connection *)((char *)source - offsetof(struct connection, source));
}

static void drop(struct stream *stream) {
  struct connection *connection = (struct connection *)stream;
  // Cut off before its end, the other side shall see a reset and no orderly end.
  if (!(connection->read_ended && connection->write_done)) {
    const struct linger reset = {1, 0};
    setsockopt(connection->source.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  loop_close(&connection->source);
  free(connection->buffer);
  connections--;
  loop_free(connection);
}

static void fail(struct connection *connection, int error) {
  reply_error(connection->stream.id, error, STEP_NONE, "");
  stream_close(&connection->stream);
  drop(&connection->stream);
}

// True where both directions have ended, the connection is gone then.
static bool ended(struct connection *connection) {
  if (!connection->read_ended || !connection->write_done) return false;
  reply(connection->stream.id, false, NULL, 0);
  stream_close(&connection->stream);
  drop(&connection->stream);
  return true;
}

// The other side takes no more, but may have something left to say: what comes for it is thrown away.
static void write_refused(struct connection *connection) {
  connection->consumed = connection->received;
  connection->start = connection->end = 0;
  connection->write_done = true;
}

// False where it failed or ended.
static bool write_out(struct connection *connection) {
  while (connection->connected && connection->writable && connection->start < connection->end) {
    ssize_t count = send(connection->source.fd, connection->buffer + connection->start,
                         connection->end - connection->start, MSG_NOSIGNAL);
    if (count >= 0) {
      connection->start += (size_t)count;
      connection->consumed += (uint64_t)count;
    } else if (errno == EAGAIN) {
      connection->writable = false;
    } else if (errno == EPIPE) {
      write_refused(connection);
    } else if (errno != EINTR) {
      fail(connection, errno);
      return false;
    }
  }
  if (connection->consumed - connection->credited >= TCP_WINDOW / 4) {
    connection->credited = connection->consumed;
    send_credit(&connection->stream, connection->consumed);
  }
  if (connection->start < connection->end) return true;
  free(connection->buffer);
  connection->buffer = NULL;
  connection->start = connection->end = 0;
  if (!connection->write_ended || !connection->connected) return true;
  if (!connection->write_done) shutdown(connection->source.fd, SHUT_WR);
  connection->write_done = true;
  return !ended(connection);
}

static void data(struct stream *stream, const uint8_t *bytes, size_t length) {
  struct connection *connection = (struct connection *)stream;
  if (connection->write_ended || connection->received + length > connection->consumed + TCP_WINDOW) {
    fail(connection, ENOBUFS);
    return;
  }
  connection->received += length;
  if (connection->write_done) {
    write_refused(connection);
    length = 0;
  } else if (!connection->buffer) {
    while (length && connection->connected && connection->writable) {
      ssize_t count = send(connection->source.fd, bytes, length, MSG_NOSIGNAL);
      if (count >= 0) {
        bytes += count;
        length -= (size_t)count;
        connection->consumed += (uint64_t)count;
      } else if (errno == EAGAIN) {
        connection->writable = false;
      } else if (errno == EPIPE) {
        write_refused(connection);
        length = 0;
      } else if (errno != EINTR) {
        fail(connection, errno);
        return;
      }
    }
    connection->buffer = length ? malloc(TCP_WINDOW) : NULL;
    if (length && !connection->buffer) {
      fail(connection, ENOMEM);
      return;
    }
  } else if (connection->start) {
    memmove(connection->buffer, connection->buffer + connection->start,
            connection->end - connection->start);
    connection->end -= connection->start;
    connection->start = 0;
  }
  if (length) memcpy(connection->buffer + connection->end, bytes, length);
  connection->end += length;
  write_out(connection);
}

static void end(struct stream *stream) {
  struct connection *connection = (struct connection *)stream;
  connection->write_ended = true;
  write_out(connection);
}

static bool pump(struct stream *stream) {
  static uint8_t buffer[MAX_PIECE];
  struct connection *connection = (struct connection *)stream;
  uint64_t allowed = stream_allowance(stream);
  if (!connection->connected || !connection->readable || connection->read_ended || !allowed)
    return false;
  ssize_t count = recv(connection->source.fd, buffer,
                       allowed < sizeof buffer ? (size_t)allowed : sizeof buffer, 0);
  if (count > 0) {
    send_out(stream, 0, NULL, 0, buffer, (size_t)count);
    stream->sent += (uint64_t)count;
    return true;
  }
  if (count == 0) {
    connection->read_ended = true;
    send_end(stream);
    ended(connection);
  } else if (errno == EAGAIN) {
    connection->readable = false;
  } else if (errno == EINTR) {
    return true;
  } else {
    fail(connection, errno);
  }
  return false;
}

static void ready(struct source *source, uint32_t events);

static bool begin(struct connection *connection) {
  struct sockaddr_in v4 = {.sin_family = AF_INET,
                           .sin_port = htons(connection->port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                            .sin6_port = htons(connection->port),
                            .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  bool six = connection->second_try;
  int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int result = six ? connect(fd, (struct sockaddr *)&v6, sizeof v6)
                   : connect(fd, (struct sockaddr *)&v4, sizeof v4);
  connection->source = (struct source){fd, ready};
  if (result < 0 && errno != EINPROGRESS) return false;
  return loop_watch(&connection->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void attempt(struct connection *connection, int error) {
  if (error == ECONNREFUSED && !connection->second_try) {
    connection->second_try = true;
    loop_close(&connection->source);
    if (begin(connection)) return;
    // A space without IPv6 has refused all the same.
    error = ECONNREFUSED;
  }
  fail(connection, error);
}

static void ready(struct source *source, uint32_t events) {
  struct connection *connection = of_source(source);
  if (!connection->connected) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
      attempt(connection, error);
      return;
    }
    if (!(events & EPOLLOUT)) return;
    connection->connected = true;
    reply(connection->stream.id, true, NULL, 0);
  }
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    connection->readable = true;
    stream_ready(&connection->stream);
  }
  if (events & EPOLLOUT) {
    connection->writable = true;
    write_out(connection);
  }
}

void tcp_connect(uint32_t id, struct cursor *cursor) {
  static const struct stream_ops ops = {.data = data, .end = end, .pump = pump, .drop = drop};
  uint16_t port = get16(cursor);
  uint32_t window = get32(cursor);
  struct connection *connection =
      !cursor->bad && connections < MAX_CONNECTIONS ? calloc(1, sizeof *connection) : NULL;
  if (!connection) {
    reply_error(id, cursor->bad ? EPROTO : ENFILE, STEP_NONE, "too many connections");
    return;
  }
  if (!stream_open(&connection->stream, id, &ops, window, 0)) {
    free(connection);
    return;
  }
  connections++;
  connection->port = port;
  connection->source.fd = -1;
  if (!begin(connection)) attempt(connection, errno);
}
