#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "managed.h"
#include "spawn.h"

enum { MAX_META = 16 << 10 };

static int null_fd = -1;

void start_init(void) { null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); }

// A string of the request in the arena at *at; the arena has room since a NUL is shorter than the length it replaces.
static char *take_string(struct cursor *cursor, char **at) {
  uint32_t length;
  const uint8_t *data = get_bytes(cursor, &length);
  if (!data || memchr(data, 0, length)) {
    cursor->bad = true;
    return *at;
  }
  char *string = *at;
  memcpy(string, data, length);
  string[length] = 0;
  *at += length + 1;
  return string;
}

static void take_list(struct cursor *cursor, char **list, uint32_t count, char **at) {
  for (uint32_t i = 0; i < count; i++) list[i] = take_string(cursor, at);
  list[count] = NULL;
}

struct channels {
  int child[3];   // what the program gets
  int output[2];  // what we read
  int input;
};

static void close_channels(const struct channels *channels, bool ours) {
  for (int i = 0; i < 3; i++)
    if (channels->child[i] >= 0 && channels->child[i] != null_fd &&
        (i == 0 || channels->child[i] != channels->child[0]))
      close(channels->child[i]);
  if (!ours) return;
  for (int i = 0; i < 2; i++)
    if (channels->output[i] >= 0) close(channels->output[i]);
  if (channels->input >= 0) close(channels->input);
}

static bool open_terminal(struct channels *channels, uint16_t columns, uint16_t rows) {
  int unlock = 0, master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (master < 0) return false;
  channels->output[0] = master;
  struct winsize size = {.ws_col = columns, .ws_row = rows};
  if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0) return false;
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return false;
  for (int i = 0; i < 3; i++) channels->child[i] = slave;
  channels->input = fcntl(master, F_DUPFD_CLOEXEC, 3);
  return channels->input >= 0;
}

static bool open_pipes(struct channels *channels, bool with_input) {
  int ends[2];
  for (int i = 0; i < 2; i++) {
    if (pipe2(ends, O_CLOEXEC) < 0) return false;
    channels->output[i] = ends[0];
    channels->child[i + 1] = ends[1];
    fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);
  }
  channels->child[0] = null_fd;
  if (!with_input) return true;
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  channels->child[0] = ends[0];
  channels->input = ends[1];
  fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
  return true;
}

static const char *variable(char *const *env, const char *name, size_t length) {
  for (; *env; env++)
    if (strncmp(*env, name, length) == 0) return *env + length;
  return NULL;
}

static void marker(char *at, const uint8_t *id) {
  memcpy(at, PROCESS_VARIABLE, sizeof PROCESS_VARIABLE - 1);
  at += sizeof PROCESS_VARIABLE - 1;
  for (int i = 0; i < PROCESS_ID_SIZE; i++) {
    *at++ = "0123456789abcdef"[id[i] >> 4];
    *at++ = "0123456789abcdef"[id[i] & 15];
  }
  *at = 0;
}

static void watch_channels(struct process *process, const struct channels *channels) {
  for (int i = 0; i < 2; i++) {
    struct output *output = &process->output[i];
    *output = (struct output){.source = {channels->output[i], output_ready}, .process = process};
    if (output->source.fd >= 0) loop_watch(&output->source, EPOLLIN);
  }
  process->input = (struct input){
      .source = {channels->input, input_ready}, .process = process, .writable = true};
  if (channels->input >= 0)
    loop_watch(&process->input.source, EPOLLOUT);
  else
    process->input.broken = true;
}

static uint64_t real_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void started(uint32_t stream, const struct process *process, bool already) {
  struct builder builder = {0};
  put32(&builder, (uint32_t)process->pid);
  put8(&builder, already);
  reply_lingering(stream, &builder);
}

static void launch(uint32_t stream, struct process *process, struct spawn *request,
                   uint16_t columns, uint16_t rows) {
  struct channels channels = {{-1, -1, -1}, {-1, -1}, -1};
  bool terminal = process->flags & START_PTY;
  bool opened = terminal ? open_terminal(&channels, columns, rows)
                         : open_pipes(&channels, process->flags & START_STDIN);
  int error = errno;
  enum start_step step = terminal ? STEP_PTY : STEP_PIPE;
  if (opened) {
    memcpy(request->fds, channels.child, sizeof request->fds);
    request->terminal = terminal;
    process->pid = spawn(request, &error, &step);
    opened = process->pid > 0;
  }
  close_channels(&channels, !opened);
  if (!opened) {
    const char *what = step == STEP_EXEC  ? request->argv[0]
                       : step == STEP_CWD ? request->cwd
                                          : "";
    reply_error(stream, error, step, what);
    free(process->meta);
    free(process);
    return;
  }
  watch_channels(process, &channels);
  process->started_ms = real_ms();
  process_add(process);
  started(stream, process, false);
}

void process_start(uint32_t stream, struct cursor *cursor) {
  const uint8_t *id = get_raw(cursor, PROCESS_ID_SIZE);
  struct process *known = process_find(id);
  if (known) {
    started(stream, known, true);
    return;
  }
  if (!process_room()) {
    reply_error(stream, EAGAIN, STEP_FORK, "too many running processes");
    return;
  }
  size_t arena_size = (size_t)(cursor->end - cursor->at) + 1;
  struct process *process = calloc(1, sizeof *process);
  char *arena = malloc(arena_size), *at = arena, **lists = NULL;
  if (!process || !arena) {
    reply_error(stream, ENOMEM, STEP_FORK, "out of memory");
    goto failed;
  }
  process->flags = get8(cursor);
  uint16_t columns = get16(cursor), rows = get16(cursor);
  uint32_t ring_bytes = get32(cursor);
  process->linger_ms = get16(cursor);
  if (id) memcpy(process->id, id, PROCESS_ID_SIZE);
  ring_init(&process->ring, ring_bytes);

  struct limit limits[16];
  struct spawn request = {.cwd = take_string(cursor, &at), .limits = limits};
  request.limit_count = get8(cursor);
  if (request.limit_count > 16) cursor->bad = true;
  for (unsigned i = 0; i < request.limit_count && !cursor->bad; i++) {
    limits[i].resource = get8(cursor);
    limits[i].value.rlim_cur = get64(cursor);
    limits[i].value.rlim_max = get64(cursor);
  }
  uint32_t argument_count = get32(cursor), variable_count = get32(cursor);
  // Each has a length of four bytes: this bounds what is allocated.
  size_t most = arena_size / 4 + 1;
  if (cursor->bad || !argument_count || argument_count > most || variable_count > most) {
    reply_error(stream, EPROTO, STEP_NONE, "the start is malformed");
    goto failed;
  }
  lists = calloc(argument_count + variable_count + 3, sizeof *lists);
  if (!lists) {
    reply_error(stream, ENOMEM, STEP_FORK, "out of memory");
    goto failed;
  }
  char mark[sizeof PROCESS_VARIABLE + 2 * PROCESS_ID_SIZE];
  marker(mark, process->id);
  request.argv = lists;
  take_list(cursor, lists, argument_count, &at);
  request.env = lists + argument_count + 1;
  take_list(cursor, request.env, variable_count, &at);
  request.env[variable_count] = mark;
  request.path = variable(request.env, "PATH=", 5);
  if (!request.path) request.path = "/usr/local/bin:/usr/bin:/bin";
  const uint8_t *meta = get_bytes(cursor, &process->meta_length);
  if (cursor->bad || process->meta_length > MAX_META) {
    reply_error(stream, EPROTO, STEP_NONE, "the start is malformed");
    goto failed;
  }
  process->meta = malloc(process->meta_length + 1);
  if (!process->meta) {
    reply_error(stream, ENOMEM, STEP_FORK, "out of memory");
    goto failed;
  }
  memcpy(process->meta, meta, process->meta_length);
  launch(stream, process, &request, columns, rows);
  free(arena);
  free(lists);
  return;
failed:
  free(process);
  free(arena);
  free(lists);
}
