#define _GNU_SOURCE
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "files.h"
#include "loop.h"
#include "paths.h"
#include "session.h"

enum {
  MAX_WATCHES = 16,
  MAX_FOLDERS = 16384,
  BUCKETS = 1024,
  MAX_PENDING = 64 << 10,
  // Events are gathered for this long: repeats fall together, the two halves of a rename meet.
  GATHER_MS = 10,
  SCAN_SLICE = 32,
  MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB |
         IN_DELETE_SELF | IN_EXCL_UNLINK | IN_ONLYDIR,
};

enum event_type { CREATED = 1, MODIFIED = 2, REMOVED = 3, RENAMED = 4, LOST = 5 };

struct watch {
  struct stream stream;
  uint16_t bit;
  bool answered;  // the first scan is complete
  bool lost;
  char *path;  // of the folder, relative to the root
  char *only;  // a watched file's name in it
  struct builder pending;
  size_t pending_start, last_event;
};

// One watched folder, for any number of watches.
struct folder {
  struct folder *next;       // in its bucket
  struct folder *scan_next;  // among those to look through
  int descriptor;
  uint16_t watches, recursive;
  bool scanning, announce;
  char *path;
};

static struct source events = {.fd = -1};
static struct watch *watches[MAX_WATCHES];
static struct folder *table[BUCKETS];
static unsigned folder_count;
static struct folder *scan_first;
static struct job scan_job, gather_job;

// The first half of a rename, until its second comes or not.
static struct {
  uint32_t cookie;
  uint16_t watches;
  bool directory, temporary;
  char *path;
} moved;

static void end_watch(struct watch *watch, int error);

// ---- telling ----

static void tell(struct watch *watch, enum event_type type, bool directory, const char *from,
                 const char *path) {
  struct builder *pending = &watch->pending;
  if (pending->length - watch->pending_start > MAX_PENDING || pending->failed) {
    watch->lost = true;
    return;
  }
  size_t start = pending->length, last = watch->last_event;
  put32(pending, 0);
  put8(pending, (uint8_t)type);
  put8(pending, directory);
  put_bytes(pending, from, strlen(from));
  put_bytes(pending, path, strlen(path));
  if (pending->failed) return;
  size_t length = pending->length - start;
  store32(pending->data + start, (uint32_t)(length - 4));
  // A repeat of the last one that is still here says nothing new.
  if (start > watch->pending_start && start - last == length &&
      memcmp(pending->data + last, pending->data + start, length) == 0)
    pending->length = start;
  else
    watch->last_event = start;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void tell_all(uint16_t to, enum event_type type, bool directory, const char *from,
                     const char *path) {
  for (int i = 0; i < MAX_WATCHES; i++) {
    struct watch *watch = watches[i];
    if (!watch || !(to & watch->bit)) continue;
    if (watch->only && strcmp(watch->only, base_name(path)) != 0 &&
        strcmp(watch->only, base_name(from)) != 0)
      continue;
    tell(watch, type, directory, from, path);
  }
}

static bool pump(struct stream *stream) {
  struct watch *watch = (struct watch *)stream;
  struct builder *pending = &watch->pending;
  if (!watch->answered || (!pending->length && !watch->lost)) return false;
  const uint8_t *at = pending->data ? pending->data + watch->pending_start : NULL;
  size_t left = pending->length - watch->pending_start, length = 0;
  while (length < left) {
    struct cursor cursor = {at + length, at + left, false};
    size_t size = 4 + (size_t)get32(&cursor);
    if (length + size > MAX_PAYLOAD || length + size > stream_allowance(stream)) break;
    length += size;
  }
  if (length) {
    send_out(stream, 0, NULL, 0, at, length);
    stream->sent += length;
    watch->pending_start += length;
  }
  if (watch->pending_start < pending->length) return length && stream_allowance(stream);
  free(pending->data);
  *pending = (struct builder){0};
  watch->pending_start = watch->last_event = 0;
  if (!watch->lost) return false;
  watch->lost = false;
  tell(watch, LOST, false, "", "");
  return true;
}

static void flush_moved(void) {
  if (!moved.path) return;
  if (!moved.temporary) tell_all(moved.watches, REMOVED, moved.directory, "", moved.path);
  free(moved.path);
  moved.path = NULL;
}

static void gather_step(struct job *job) {
  job_stop(job);
  flush_moved();
  for (int i = 0; i < MAX_WATCHES; i++)
    if (watches[i] && (watches[i]->pending.length || watches[i]->lost))
      stream_ready(&watches[i]->stream);
}

// ---- folders ----

static struct folder **find(int descriptor) {
  struct folder **at = &table[(unsigned)descriptor % BUCKETS];
  while (*at && (*at)->descriptor != descriptor) at = &(*at)->next;
  return at;
}

static void forget_folder(struct folder *folder) {
  struct folder **at = find(folder->descriptor);
  if (*at == folder) *at = folder->next;
  for (at = &scan_first; *at; at = &(*at)->scan_next) {
    if (*at != folder) continue;
    *at = folder->scan_next;
    break;
  }
  folder_count--;
  free(folder->path);
  free(folder);
}

static void scan_step(struct job *job);

static void scan_later(struct folder *folder, bool announce) {
  folder->announce |= announce;
  if (folder->scanning) return;
  folder->scanning = true;
  folder->scan_next = scan_first;
  scan_first = folder;
  job_start(&scan_job, scan_step, 0);
}

// Watches a folder for more watches. False with errno; a folder that has gone is no failure of theirs.
static bool add_folder(const char *path, uint16_t to, uint16_t recursive, bool announce) {
  char by_descriptor[40];
  int fd = path_open(path, O_PATH | O_DIRECTORY, 0);
  if (fd < 0) return false;
  snprintf(by_descriptor, sizeof by_descriptor, "/proc/self/fd/%d", fd);
  int descriptor = inotify_add_watch(events.fd, by_descriptor, MASK);
  int error = errno;
  close(fd);
  errno = error;
  if (descriptor < 0) return false;
  struct folder *folder = *find(descriptor);
  if (!folder) {
    folder = folder_count < MAX_FOLDERS ? calloc(1, sizeof *folder) : NULL;
    char *copy = folder ? strdup(path) : NULL;
    if (!copy) {
      free(folder);
      inotify_rm_watch(events.fd, descriptor);
      errno = ENOSPC;
      return false;
    }
    folder_count++;
    folder->path = copy;
    folder->descriptor = descriptor;
    folder->next = table[(unsigned)descriptor % BUCKETS];
    table[(unsigned)descriptor % BUCKETS] = folder;
  }
  bool known = (folder->recursive & recursive) == recursive && (folder->watches & to) == to;
  folder->watches |= to;
  folder->recursive |= recursive;
  if (recursive && (!known || announce)) scan_later(folder, announce);
  return true;
}

static bool join(char joined[PATH_MAX], const char *folder, const char *name) {
  int length = snprintf(joined, PATH_MAX, *folder ? "%s/%s" : "%s%s", folder, name);
  return length < PATH_MAX;
}

// A subfolder for the recursive watches of its parent. Those that can't have it have lost something.
static void add_subfolder(const struct folder *parent, const char *path, bool announce) {
  uint16_t recursive = parent->recursive;
  if (add_folder(path, recursive, recursive, announce)) return;
  if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == E_OUTSIDE) return;
  for (int i = 0; i < MAX_WATCHES; i++) {
    if (!watches[i] || !(recursive & watches[i]->bit)) continue;
    if (watches[i]->answered)
      watches[i]->lost = true;
    else
      end_watch(watches[i], ENOSPC);
  }
}

static void scan(struct folder *folder) {
  char path[PATH_MAX];
  bool announce = folder->announce;
  folder->announce = false;
  int fd = path_open(folder->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
  DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
  if (!directory) {
    if (fd >= 0) close(fd);
    return;
  }
  const int descriptor = folder->descriptor;
  for (struct dirent *entry; (entry = readdir(directory));) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_temporary(name)) continue;
    if (!join(path, folder->path, name)) continue;
    struct stat stat;
    bool is_folder = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN && fstatat(fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0)
      is_folder = S_ISDIR(stat.st_mode);
    // It may have been made before the watch on its folder was: tell of it, perhaps twice.
    if (announce) tell_all(folder->recursive, CREATED, is_folder, "", path);
    if (is_folder) add_subfolder(folder, path, announce);
    // A watch that ended for lack of room may have taken the folder with it.
    if (events.fd < 0 || *find(descriptor) != folder) break;
  }
  closedir(directory);
}

static void answer_scanned(void) {
  for (int i = 0; i < MAX_WATCHES; i++) {
    if (!watches[i] || watches[i]->answered) continue;
    watches[i]->answered = true;
    reply(watches[i]->stream.id, true, NULL, 0);
    stream_ready(&watches[i]->stream);
  }
}

static void scan_step(struct job *job) {
  for (int i = 0; i < SCAN_SLICE && scan_first; i++) {
    struct folder *folder = scan_first;
    scan_first = folder->scan_next;
    folder->scanning = false;
    scan(folder);
  }
  if (!scan_first) {
    job_stop(job);
    answer_scanned();
  }
  if (events.fd >= 0) job_start(&gather_job, gather_step, now_ms() + GATHER_MS);
}

static bool is_below(const char *path, const char *folder) {
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static void each_below(const char *path, void (*call)(struct folder *folder, const char *from,
                                                      const char *to),
                       const char *to) {
  for (int i = 0; i < BUCKETS; i++) {
    struct folder *next;
    for (struct folder *folder = table[i]; folder; folder = next) {
      next = folder->next;
      if (is_below(folder->path, path)) call(folder, path, to);
    }
  }
}

static void move_folder(struct folder *folder, const char *from, const char *to) {
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "%s%s", to, folder->path + strlen(from));
  char *copy = length < PATH_MAX ? strdup(path) : NULL;
  if (!copy) return;
  free(folder->path);
  folder->path = copy;
}

static void unwatch_folder(struct folder *folder, const char *from, const char *to) {
  (void)from;
  (void)to;
  inotify_rm_watch(events.fd, folder->descriptor);
  forget_folder(folder);
}

// ---- events ----

static void moved_to(const struct folder *folder, const char *path, bool directory,
                     uint32_t cookie) {
  if (!moved.path || moved.cookie != cookie) {
    flush_moved();
    tell_all(folder->watches, CREATED, directory, "", path);
    if (directory && folder->recursive) add_subfolder(folder, path, true);
    return;
  }
  uint16_t both = moved.watches & folder->watches;
  if (moved.temporary) {
    tell_all(folder->watches, MODIFIED, directory, "", path);
  } else {
    tell_all(both, RENAMED, directory, moved.path, path);
    tell_all(moved.watches & (uint16_t)~both, REMOVED, directory, "", moved.path);
    tell_all(folder->watches & (uint16_t)~both, CREATED, directory, "", path);
  }
  if (directory) {
    each_below(moved.path, move_folder, path);
    if (folder->recursive) add_subfolder(folder, path, false);
  }
  free(moved.path);
  moved.path = NULL;
}

static void lost_all(void) {
  for (int i = 0; i < MAX_WATCHES; i++)
    if (watches[i]) watches[i]->lost = true;
  // New folders may be among what was lost.
  for (int i = 0; i < BUCKETS; i++)
    for (struct folder *folder = table[i]; folder; folder = folder->next)
      if (folder->recursive) scan_later(folder, false);
}

static void end_rooted(const char *path) {
  for (int i = 0; i < MAX_WATCHES; i++)
    if (watches[i] && strcmp(watches[i]->path, path) == 0) end_watch(watches[i], 0);
}

static void handle(const struct inotify_event *event) {
  if (event->mask & IN_Q_OVERFLOW) {
    lost_all();
    return;
  }
  struct folder *folder = *find(event->wd);
  if (!folder) return;
  if (event->mask & IN_IGNORED) {
    forget_folder(folder);
    return;
  }
  if (event->mask & IN_DELETE_SELF) {
    end_rooted(folder->path);
    return;
  }
  char path[PATH_MAX];
  if (!event->len || !join(path, folder->path, event->name)) return;
  bool directory = event->mask & IN_ISDIR;
  if (event->mask & IN_MOVED_TO) {
    moved_to(folder, path, directory, event->cookie);
    return;
  }
  flush_moved();
  bool temporary = is_temporary(event->name);
  if (event->mask & IN_MOVED_FROM) {
    moved.cookie = event->cookie;
    moved.watches = folder->watches;
    moved.directory = directory;
    moved.temporary = temporary;
    moved.path = strdup(path);
    return;
  }
  if (temporary) return;
  if (event->mask & IN_CREATE) {
    tell_all(folder->watches, CREATED, directory, "", path);
    if (directory && folder->recursive) add_subfolder(folder, path, true);
  } else if (event->mask & IN_DELETE) {
    tell_all(folder->watches, REMOVED, directory, "", path);
  } else if (!directory) {
    tell_all(folder->watches, MODIFIED, false, "", path);
  }
}

static void events_ready(struct source *source, uint32_t ready) {
  (void)ready;
  static _Alignas(8) char buffer[16 << 10];
  while (source->fd >= 0) {
    ssize_t length = read(source->fd, buffer, sizeof buffer);
    if (length <= 0) break;
    for (char *at = buffer; at < buffer + length && source->fd >= 0;) {
      const struct inotify_event *event = (struct inotify_event *)at;
      at += sizeof *event + event->len;
      handle(event);
    }
  }
  // A folder that was moved out of sight is watched no longer: its second half would have come by now.
  if (moved.path && moved.directory) each_below(moved.path, unwatch_folder, NULL);
  if (source->fd >= 0 && !gather_job.listed)
    job_start(&gather_job, gather_step, now_ms() + GATHER_MS);
}

// ---- watches ----

static void drop(struct stream *stream) {
  struct watch *watch = (struct watch *)stream;
  bool others = false;
  for (int i = 0; i < MAX_WATCHES; i++) {
    if (watches[i] == watch) watches[i] = NULL;
    others |= watches[i] != NULL;
  }
  for (int i = 0; i < BUCKETS; i++) {
    struct folder *next;
    for (struct folder *folder = table[i]; folder; folder = next) {
      next = folder->next;
      folder->watches &= (uint16_t)~watch->bit;
      folder->recursive &= (uint16_t)~watch->bit;
      if (!folder->watches) unwatch_folder(folder, NULL, NULL);
    }
  }
  if (!others) {
    loop_close(&events);
    job_stop(&gather_job);
    job_stop(&scan_job);
    free(moved.path);
    moved.path = NULL;
  }
  free(watch->path);
  free(watch->only);
  free(watch->pending.data);
  loop_free(watch);
}

static void end_watch(struct watch *watch, int error) {
  if (error)
    reply_error(watch->stream.id, error, STEP_NONE, "too many folders to watch");
  else
    reply(watch->stream.id, false, NULL, 0);
  stream_close(&watch->stream);
  drop(&watch->stream);
}

// The path without slashes at its ends or doubled.
static char *normalize(const char *path) {
  char *copy = malloc(strlen(path) + 1), *to = copy;
  if (!copy) return NULL;
  while (*path) {
    path += strspn(path, "/");
    size_t length = strcspn(path, "/");
    if (length && !(length == 1 && *path == '.')) {
      if (to > copy) *to++ = '/';
      memcpy(to, path, length);
      to += length;
    }
    path += length;
  }
  *to = 0;
  return copy;
}

// A watched file is watched in its folder: it may be replaced.
static bool choose_folder(struct watch *watch) {
  int fd = path_open(watch->path, O_PATH, 0);
  struct stat stat;
  bool found = fd >= 0 && fstat(fd, &stat) == 0;
  if (fd >= 0) close(fd);
  if (!found || S_ISDIR(stat.st_mode)) return found;
  char *slash = strrchr(watch->path, '/');
  watch->only = strdup(slash ? slash + 1 : watch->path);
  *(slash ? slash : watch->path) = 0;
  return watch->only != NULL;
}

static bool open_events(void) {
  if (events.fd >= 0) return true;
  events.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  events.ready = events_ready;
  return events.fd >= 0 && loop_watch(&events, EPOLLIN);
}

void watch_start(uint32_t id, struct cursor *cursor) {
  static const struct stream_ops ops = {.pump = pump, .drop = drop};
  uint8_t recursive = get8(cursor);
  uint32_t window = get32(cursor);
  char *path = get_path(id, cursor);
  if (!path) return;
  int slot = 0;
  while (slot < MAX_WATCHES && watches[slot]) slot++;
  struct watch *watch = slot < MAX_WATCHES ? calloc(1, sizeof *watch) : NULL;
  char *normal = watch ? normalize(path) : NULL;
  free(path);
  if (!normal || !stream_open(&watch->stream, id, &ops, window, 0)) {
    if (!normal) reply_error(id, EMFILE, STEP_NONE, "too many watches");
    free(normal);
    free(watch);
    return;
  }
  watch->path = normal;
  watch->bit = (uint16_t)(1U << slot);
  watches[slot] = watch;
  if (!choose_folder(watch) || !open_events() ||
      !add_folder(watch->path, watch->bit, recursive && !watch->only ? watch->bit : 0, false)) {
    int error = errno;
    reply_error(id, error, STEP_NONE, "");
    stream_close(&watch->stream);
    drop(&watch->stream);
  } else if (!scan_first) {
    answer_scanned();
  }
}
