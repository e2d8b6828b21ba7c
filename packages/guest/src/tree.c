#define _GNU_SOURCE
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "loop.h"
#include "paths.h"
#include "session.h"

enum {
  COPY_RECURSIVE = 1,
  COPY_OVERWRITE = 2,
  MAX_DEPTH = 128,
  MAX_WALKS = 16,
  SLICE_ENTRIES = 128,
  SLICE_BYTES = 4 << 20,
  MAX_PASSES = 8,
};

// A folder on the way down. For a removal `to` is unused.
struct level {
  int from, to;
  char name[256];  // in the level above
  mode_t mode;    // what the copy gets when it is complete
  unsigned passes;
  bool changed;  // something was removed since the folder was last read from its beginning
  long at, length;
  _Alignas(8) char entries[4096];
};

// A file that is being copied: under a temporary name until it is complete.
struct copying {
  int in, out;  // in < 0: none
  char name[256], temporary[TEMPORARY_SIZE];
};

struct walk {
  struct stream stream;
  struct job job;
  struct place from, to;
  bool overwrite;
  struct level *levels[MAX_DEPTH];
  int depth;
  struct copying copying;
  dev_t copy_device;  // the copied folder's own new root: never copied into itself
  ino_t copy_inode;
  uint64_t count;
};

static unsigned walks;

struct directory_entry {
  uint64_t inode;
  int64_t next;
  uint16_t size;
  uint8_t type;
  char name[];
};

static void abandon_file(struct walk *walk) {
  struct copying *copying = &walk->copying;
  if (copying->in < 0) return;
  int folder = walk->depth ? walk->levels[walk->depth - 1]->to : walk->to.folder;
  unlinkat(folder, copying->temporary, 0);
  close(copying->in);
  close(copying->out);
  copying->in = -1;
}

static void leave(struct walk *walk) {
  struct level *level = walk->levels[--walk->depth];
  close(level->from);
  if (level->to >= 0) close(level->to);
  free(level);
}

static void drop(struct stream *stream) {
  struct walk *walk = (struct walk *)stream;
  job_stop(&walk->job);
  abandon_file(walk);
  while (walk->depth) leave(walk);
  place_close(&walk->from);
  place_close(&walk->to);
  walks--;
  loop_free(walk);
}

static void end_with(struct walk *walk, int error) {
  if (error) {
    reply_error(walk->stream.id, error, STEP_NONE, "");
  } else {
    uint8_t count[8];
    store64(count, walk->count);
    reply(walk->stream.id, false, count, sizeof count);
  }
  stream_close(&walk->stream);
  drop(&walk->stream);
}

static struct walk *begin(uint32_t id) {
  static const struct stream_ops ops = {.drop = drop};
  struct walk *walk = walks < MAX_WALKS ? calloc(1, sizeof *walk) : NULL;
  if (!walk) {
    reply_error(id, EBUSY, STEP_NONE, "too many trees are being copied or removed");
    return NULL;
  }
  if (!stream_open(&walk->stream, id, &ops, 0, 0)) {
    free(walk);
    return NULL;
  }
  walks++;
  walk->from.folder = walk->to.folder = walk->copying.in = -1;
  return walk;
}

// Takes over both descriptors, also where it fails.
static bool enter(struct walk *walk, int from, int to, const char *name) {
  struct level *level = walk->depth < MAX_DEPTH ? malloc(sizeof *level) : NULL;
  if (!level) {
    if (to >= 0) close(to);
    close(from);
    errno = walk->depth < MAX_DEPTH ? ENOMEM : E2BIG;
    return false;
  }
  level->from = from;
  level->to = to;
  level->passes = 0;
  level->changed = false;
  level->at = level->length = 0;
  strcpy(level->name, name);
  walk->levels[walk->depth++] = level;
  return true;
}

// The next name of the innermost folder: 1, at its end 0, or -1.
static int next_name(struct level *level, const char **name) {
  for (;;) {
    if (level->at >= level->length) {
      level->at = 0;
      level->length = syscall(SYS_getdents64, level->from, level->entries, sizeof level->entries);
      if (level->length <= 0) return (int)level->length;
    }
    const struct directory_entry *entry = (struct directory_entry *)(level->entries + level->at);
    level->at += entry->size;
    *name = entry->name;
    if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0) return 1;
  }
}

// ---- removing ----

static int open_folder(int folder, const char *name) {
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  int fd = openat(folder, name, flags);
  if (fd >= 0 || errno != EACCES) return fd;
  // A folder of ours that forbids reading is opened up: who may remove a tree may do that.
  int unreadable = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  bool changed = unreadable >= 0 && chmod_open(unreadable, 0700);
  if (unreadable >= 0) close(unreadable);
  if (!changed) errno = EACCES;
  return changed ? openat(folder, name, flags) : -1;
}

static bool remove_entry(struct walk *walk, struct level *level, const char *name) {
  int result = unlinkat(level->from, name, 0);
  if (result < 0 && errno == EACCES && fchmod(level->from, 0700) == 0)
    result = unlinkat(level->from, name, 0);
  if (result < 0 && errno == ENOENT) return true;
  if (result < 0 && errno != EISDIR && errno != EPERM) return false;
  level->changed = true;
  walk->count++;
  if (result == 0 || unlinkat(level->from, name, AT_REMOVEDIR) == 0) return true;
  walk->count--;
  if (errno == EACCES && fchmod(level->from, 0700) < 0) return false;
  if (walk->depth < MAX_DEPTH) {
    int fd = open_folder(level->from, name);
    return fd >= 0 ? enter(walk, fd, -1, name) : errno == ENOENT;
  }
  // Too deep to go on from here: continue with it from the top.
  char temporary[TEMPORARY_SIZE];
  temporary_name(temporary);
  walk->levels[0]->changed = true;
  return renameat(level->from, name, walk->levels[0]->from, temporary) == 0;
}

static void remove_step(struct job *job) {
  struct walk *walk = (struct walk *)((char *)job - offsetof(struct walk, job));
  for (int i = 0; i < SLICE_ENTRIES; i++) {
    struct level *level = walk->levels[walk->depth - 1];
    const char *name;
    int found = next_name(level, &name);
    if (found > 0 ? !remove_entry(walk, level, name) : found < 0) {
      end_with(walk, errno);
      return;
    }
    if (found > 0) continue;
    // Entries can be skipped while others are removed: a folder is done when a whole pass found nothing.
    if (level->changed) {
      level->changed = false;
      lseek(level->from, 0, SEEK_SET);
      continue;
    }
    int folder = walk->depth > 1 ? walk->levels[walk->depth - 2]->from : walk->from.folder;
    if (unlinkat(folder, level->name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
      // Somebody keeps on adding to it.
      if (errno != ENOTEMPTY || ++level->passes > MAX_PASSES) {
        end_with(walk, errno);
        return;
      }
      lseek(level->from, 0, SEEK_SET);
      continue;
    }
    walk->count++;
    leave(walk);
    if (walk->depth) {
      walk->levels[walk->depth - 1]->changed = true;
      continue;
    }
    end_with(walk, 0);
    return;
  }
}

void tree_remove(uint32_t id, struct cursor *cursor) {
  uint8_t recursive = get8(cursor);
  char *path = get_path(id, cursor);
  if (!path) return;
  struct walk *walk = begin(id);
  bool placed = walk && path_place(path, false, &walk->from);
  free(path);
  if (!walk) return;
  struct stat stat;
  if (!placed || fstatat(walk->from.folder, walk->from.name, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
    end_with(walk, errno);
    return;
  }
  int flag = S_ISDIR(stat.st_mode) ? AT_REMOVEDIR : 0;
  if (unlinkat(walk->from.folder, walk->from.name, flag) == 0) {
    walk->count = 1;
    end_with(walk, 0);
    return;
  }
  if (!flag || !recursive || (errno != ENOTEMPTY && errno != EEXIST)) {
    end_with(walk, errno);
    return;
  }
  int fd = open_folder(walk->from.folder, walk->from.name);
  if (fd < 0 || !enter(walk, fd, -1, walk->from.name))
    end_with(walk, errno);
  else
    job_start(&walk->job, remove_step, 0);
}

// ---- copying ----

static bool take_name(const struct walk *walk, int folder, const char *temporary, const char *name) {
  unsigned flags = walk->overwrite ? 0 : RENAME_NOREPLACE;
  if (renameat2(folder, temporary, folder, name, flags) == 0) return true;
  int error = errno;
  unlinkat(folder, temporary, 0);
  errno = error;
  return false;
}

static bool copy_link(struct walk *walk, int from, int to, const char *name, const char *new_name) {
  char target[PATH_MAX], temporary[TEMPORARY_SIZE];
  ssize_t length = readlinkat(from, name, target, sizeof target - 1);
  if (length < 0) return false;
  target[length] = 0;
  temporary_name(temporary);
  return symlinkat(target, to, temporary) == 0 && take_name(walk, to, temporary, new_name);
}

static bool copy_folder(struct walk *walk, int from, int to, const char *name, const char *new_name,
                        const struct stat *stat) {
  if (walk->depth && stat->st_dev == walk->copy_device && stat->st_ino == walk->copy_inode) {
    errno = EINVAL;
    return false;
  }
  bool made = mkdirat(to, new_name, (stat->st_mode & 07777) | 0700) == 0;
  if (!made && (errno != EEXIST || !walk->overwrite)) return false;
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  int in = openat(from, name, flags);
  int out = in < 0 ? -1 : openat(to, new_name, flags);
  if (out < 0) {
    int error = errno;
    if (in >= 0) close(in);
    errno = error;
    return false;
  }
  struct stat new_root;
  if (!walk->depth && fstat(out, &new_root) == 0) {
    walk->copy_device = new_root.st_dev;
    walk->copy_inode = new_root.st_ino;
    if (new_root.st_dev == stat->st_dev && new_root.st_ino == stat->st_ino) {
      close(in);
      close(out);
      errno = EINVAL;
      return false;
    }
  }
  if (!enter(walk, in, out, new_name)) return false;
  walk->levels[walk->depth - 1]->mode = stat->st_mode & 07777;
  return true;
}

static bool begin_file(struct walk *walk, int from, int to, const char *name, const char *new_name) {
  struct copying *copying = &walk->copying;
  struct stat stat;
  copying->in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (copying->in < 0) return false;
  temporary_name(copying->temporary);
  copying->out = -1;
  if (fstat(copying->in, &stat) == 0)
    copying->out = openat(to, copying->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          0600);
  if (copying->out < 0 || fchmod(copying->out, stat.st_mode & 07777) < 0) {
    int error = errno;
    if (copying->out >= 0) {
      abandon_file(walk);
    } else {
      close(copying->in);
      copying->in = -1;
    }
    errno = error;
    return false;
  }
  strcpy(copying->name, new_name);
  return true;
}

// 1 when complete, 0 when there is more, -1.
static int continue_file(struct walk *walk) {
  struct copying *copying = &walk->copying;
  static char buffer[64 << 10];
  for (size_t total = 0; total < SLICE_BYTES;) {
    ssize_t count = copy_file_range(copying->in, NULL, copying->out, NULL, SLICE_BYTES, 0);
    if (count < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
      count = read(copying->in, buffer, sizeof buffer);
      for (ssize_t written = 0; written < count;) {
        ssize_t more = write(copying->out, buffer + written, (size_t)(count - written));
        if (more < 0) return -1;
        written += more;
      }
    }
    if (count < 0) return -1;
    if (count > 0) {
      total += (size_t)count;
      continue;
    }
    int folder = walk->depth ? walk->levels[walk->depth - 1]->to : walk->to.folder;
    close(copying->in);
    close(copying->out);
    copying->in = -1;
    return take_name(walk, folder, copying->temporary, copying->name) ? 1 : -1;
  }
  return 0;
}

static bool copy_entry(struct walk *walk, int from, int to, const char *name, const char *new_name) {
  struct stat stat;
  if (fstatat(from, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) return walk->depth && errno == ENOENT;
  walk->count++;
  if (S_ISREG(stat.st_mode)) return begin_file(walk, from, to, name, new_name);
  if (S_ISLNK(stat.st_mode)) return copy_link(walk, from, to, name, new_name);
  if (S_ISDIR(stat.st_mode)) return copy_folder(walk, from, to, name, new_name, &stat);
  walk->count--;  // sockets and FIFOs mean nothing elsewhere
  return true;
}

static void copy_step(struct job *job) {
  struct walk *walk = (struct walk *)((char *)job - offsetof(struct walk, job));
  for (int i = 0; i < SLICE_ENTRIES; i++) {
    if (walk->copying.in >= 0) {
      int result = continue_file(walk);
      if (result < 0) {
        end_with(walk, errno);
        return;
      }
      // A large file fills the slice.
      if (result == 0) return;
      continue;
    }
    if (!walk->depth) {
      end_with(walk, 0);
      return;
    }
    struct level *level = walk->levels[walk->depth - 1];
    const char *name;
    int found = next_name(level, &name);
    if (found > 0 ? !copy_entry(walk, level->from, level->to, name, name) : found < 0) {
      end_with(walk, errno);
      return;
    }
    if (found > 0) continue;
    fchmod(level->to, level->mode);
    leave(walk);
  }
}

void tree_copy(uint32_t id, struct cursor *cursor) {
  uint8_t flags = get8(cursor);
  char *from = get_path(id, cursor), *to = from ? get_path(id, cursor) : NULL;
  struct walk *walk = to ? begin(id) : NULL;
  bool placed = walk && path_place(from, false, &walk->from) && path_place(to, false, &walk->to);
  free(from);
  free(to);
  if (!walk) return;
  struct stat stat;
  walk->overwrite = flags & COPY_OVERWRITE;
  if (!placed || fstatat(walk->from.folder, walk->from.name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
    end_with(walk, errno);
  else if (S_ISDIR(stat.st_mode) && !(flags & COPY_RECURSIVE))
    end_with(walk, EISDIR);
  else if (!copy_entry(walk, walk->from.folder, walk->to.folder, walk->from.name, walk->to.name))
    end_with(walk, errno);
  else
    job_start(&walk->job, copy_step, 0);
}
