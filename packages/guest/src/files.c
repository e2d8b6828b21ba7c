#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop.h"
#include "paths.h"
#include "session.h"

enum { MAX_ENTRIES = 4000, LIST_BYTES = MAX_REPLY - (64 << 10) };

void files_init(const char *root) {
  paths_init(root);
  if (paths_supported()) session_capability(CAPABILITY_FILES);
}

void reply_errno(uint32_t stream) { reply_error(stream, errno, STEP_NONE, ""); }

void reply_done(uint32_t stream, bool done) {
  if (done)
    reply(stream, false, NULL, 0);
  else
    reply_errno(stream);
}

char *get_path(uint32_t stream, struct cursor *cursor) {
  char *path = get_string(cursor);
  if (!path) reply_error(stream, EINVAL, STEP_NONE, "a path without zero bytes was expected");
  return path;
}

void put_stat(struct builder *builder, const struct stat *stat) {
  uint8_t type = S_ISREG(stat->st_mode) ? 1 : S_ISDIR(stat->st_mode) ? 2 : S_ISLNK(stat->st_mode) ? 3 : 4;
  put8(builder, type);
  put32(builder, stat->st_mode & 07777);
  put64(builder, (uint64_t)stat->st_size);
  put64(builder, (uint64_t)stat->st_mtim.tv_sec);
  put32(builder, (uint32_t)stat->st_mtim.tv_nsec);
  put64(builder, stat->st_ino);
  put32(builder, stat->st_uid);
  put32(builder, stat->st_gid);
  put32(builder, (uint32_t)stat->st_nlink);
}

struct version get_version(struct cursor *cursor) {
  struct version version = {.seconds = (int64_t)get64(cursor)};
  version.nanoseconds = get32(cursor);
  version.size = get64(cursor);
  version.inode = get64(cursor);
  return version;
}

bool is_version(const struct stat *stat, const struct version *version) {
  return stat->st_mtim.tv_sec == version->seconds &&
         stat->st_mtim.tv_nsec == (long)version->nanoseconds &&
         (uint64_t)stat->st_size == version->size && stat->st_ino == version->inode;
}

void file_stat(uint32_t stream, struct cursor *cursor) {
  uint8_t follow = get8(cursor);
  char *path = get_path(stream, cursor);
  if (!path) return;
  int fd = path_open(path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
  struct stat stat;
  struct builder builder = {0};
  if (fd < 0 || fstat(fd, &stat) < 0) {
    reply_errno(stream);
  } else {
    put_stat(&builder, &stat);
    reply_built(stream, false, &builder);
  }
  if (fd >= 0) close(fd);
  free(path);
}

// ---- listing ----

struct directory_entry {
  uint64_t inode;
  int64_t next;
  uint16_t size;
  uint8_t type;
  char name[];
};

static bool put_entry(struct builder *builder, int folder, const char *name) {
  struct stat stat;
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
  if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) return false;  // gone meanwhile
  put_bytes(builder, name, strlen(name));
  put_stat(builder, &stat);
  return true;
}

static void list(uint32_t stream, int folder, int64_t position, uint32_t limit) {
  struct builder builder = {0};
  static _Alignas(8) char buffer[16 << 10];
  uint32_t count = 0;
  put8(&builder, 0);
  put64(&builder, 0);
  if (position && lseek(folder, position, SEEK_SET) < 0) position = -1;
  for (long length = position < 0 ? -1 : 1; length;) {
    if (length > 0) length = syscall(SYS_getdents64, folder, buffer, sizeof buffer);
    if (length < 0) {
      free(builder.data);
      reply_errno(stream);
      return;
    }
    for (long at = 0; at < length;) {
      const struct directory_entry *entry = (struct directory_entry *)(buffer + at);
      at += entry->size;
      position = entry->next;
      if (!put_entry(&builder, folder, entry->name)) continue;
      if (++count < limit && builder.length < LIST_BYTES) continue;
      builder.data[0] = 1;
      store64(builder.data + 1, (uint64_t)position);
      reply_built(stream, false, &builder);
      return;
    }
  }
  reply_built(stream, false, &builder);
}

void file_list(uint32_t stream, struct cursor *cursor) {
  int64_t position = (int64_t)get64(cursor);
  uint32_t limit = get32(cursor);
  char *path = get_path(stream, cursor);
  if (!path) return;
  if (!limit || limit > MAX_ENTRIES) limit = MAX_ENTRIES;
  int folder = path_open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
  if (folder < 0)
    reply_errno(stream);
  else
    list(stream, folder, position, limit);
  if (folder >= 0) close(folder);
  free(path);
}

// ---- reading ----

struct reader {
  struct stream stream;
  int fd;
  uint64_t offset, left;
};

static bool read_pump(struct stream *stream) {
  static uint8_t buffer[MAX_PIECE];
  struct reader *reader = (struct reader *)stream;
  uint64_t length = stream_allowance(stream);
  if (length > reader->left) length = reader->left;
  if (length > sizeof buffer) length = sizeof buffer;
  if (!length && reader->left) return false;
  ssize_t count = length ? pread(reader->fd, buffer, length, (off_t)reader->offset) : 0;
  if (count > 0) {
    send_out(stream, 0, NULL, 0, buffer, (size_t)count);
    stream->sent += (uint64_t)count;
    reader->offset += (uint64_t)count;
    reader->left -= (uint64_t)count;
    if (reader->left) return stream_allowance(stream) > 0;
  }
  if (count < 0) {
    reply_errno(stream->id);
  } else {
    uint8_t total[8];
    store64(total, stream->sent);
    reply(stream->id, false, total, sizeof total);
  }
  stream_close(stream);
  stream->ops->drop(stream);
  return false;
}

static void read_drop(struct stream *stream) {
  close(((struct reader *)stream)->fd);
  loop_free(stream);
}

static void start_reader(uint32_t id, int fd, uint64_t offset, uint64_t length, uint32_t window,
                         const struct stat *stat) {
  static const struct stream_ops ops = {.pump = read_pump, .drop = read_drop};
  struct reader *reader = malloc(sizeof *reader);
  if (!reader || !stream_open(&reader->stream, id, &ops, window, 0)) {
    if (!reader) reply_error(id, ENOMEM, STEP_NONE, "out of memory");
    free(reader);
    close(fd);
    return;
  }
  reader->fd = fd;
  reader->offset = offset;
  reader->left = length;
  struct builder builder = {0};
  put_stat(&builder, stat);
  reply_built(id, true, &builder);
  stream_ready(&reader->stream);
}

void file_read(uint32_t id, struct cursor *cursor) {
  uint64_t offset = get64(cursor), length = get64(cursor);
  uint32_t window = get32(cursor);
  uint8_t insists = get8(cursor);
  struct version version = get_version(cursor);
  char *path = get_path(id, cursor);
  if (!path) return;
  struct stat stat;
  // Not blocking: a FIFO would wait for its writer.
  int fd = path_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0), error = errno;
  free(path);
  if (fd < 0)
    reply_error(id, error, STEP_NONE, "");
  else if (fstat(fd, &stat) < 0)
    reply_errno(id);
  else if (S_ISDIR(stat.st_mode))
    reply_error(id, EISDIR, STEP_NONE, "");
  else if (!S_ISREG(stat.st_mode))
    reply_error(id, EINVAL, STEP_NONE, "not a regular file");
  else if (insists && !is_version(&stat, &version))
    reply_error(id, E_PRECONDITION, STEP_NONE, "the file has changed");
  else if (offset > INT64_MAX)
    reply_error(id, EINVAL, STEP_NONE, "the offset is too large");
  else {
    start_reader(id, fd, offset, length, window, &stat);
    return;
  }
  if (fd >= 0) close(fd);
}

// ---- changing ----

void file_mkdir(uint32_t stream, struct cursor *cursor) {
  mode_t mode = get32(cursor) & 07777;
  uint8_t parents = get8(cursor);
  char *path = get_path(stream, cursor);
  struct place place;
  if (!path) return;
  if (parents) {
    reply_done(stream, path_make_folders(path, mode));
  } else if (!path_place(path, false, &place)) {
    reply_errno(stream);
  } else {
    reply_done(stream, mkdirat(place.folder, place.name, mode) == 0);
    place_close(&place);
  }
  free(path);
}

static bool move(const struct place *from, const struct place *to, bool overwrite) {
  if (overwrite) return renameat(from->folder, from->name, to->folder, to->name) == 0;
  if (renameat2(from->folder, from->name, to->folder, to->name, RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL) return false;
  // A file system without it: look first.
  if (faccessat(to->folder, to->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return false;
  }
  return renameat(from->folder, from->name, to->folder, to->name) == 0;
}

void file_rename(uint32_t stream, struct cursor *cursor) {
  uint8_t overwrite = get8(cursor);
  char *from_path = get_path(stream, cursor);
  char *to_path = from_path ? get_path(stream, cursor) : NULL;
  if (to_path) {
    struct place from = {.folder = -1}, to = {.folder = -1};
    bool moved = path_place(from_path, false, &from) && path_place(to_path, false, &to) &&
                 move(&from, &to, overwrite);
    reply_done(stream, moved);
    place_close(&from);
    place_close(&to);
  }
  free(from_path);
  free(to_path);
}

void file_chmod(uint32_t stream, struct cursor *cursor) {
  mode_t mode = get32(cursor) & 07777;
  char *path = get_path(stream, cursor);
  if (!path) return;
  int fd = path_open(path, O_PATH, 0);
  if (fd < 0) {
    reply_errno(stream);
  } else {
    reply_done(stream, chmod_open(fd, mode));
    close(fd);
  }
  free(path);
}

void file_symlink(uint32_t stream, struct cursor *cursor) {
  char *target = get_path(stream, cursor);
  char *path = target ? get_path(stream, cursor) : NULL;
  if (path) {
    struct place place = {.folder = -1};
    reply_done(stream, path_place(path, false, &place) &&
                           symlinkat(target, place.folder, place.name) == 0);
    place_close(&place);
  }
  free(target);
  free(path);
}

void file_readlink(uint32_t stream, struct cursor *cursor) {
  char *path = get_path(stream, cursor), target[4096];
  if (!path) return;
  struct place place = {.folder = -1};
  ssize_t length = path_place(path, false, &place)
                       ? readlinkat(place.folder, place.name, target, sizeof target)
                       : -1;
  if (length < 0)
    reply_errno(stream);
  else
    reply(stream, false, target, (size_t)length);
  place_close(&place);
  free(path);
}

void file_statvfs(uint32_t stream, struct cursor *cursor) {
  char *path = get_path(stream, cursor);
  if (!path) return;
  struct statvfs stat;
  int fd = path_open(path, O_PATH, 0);
  if (fd < 0 || fstatvfs(fd, &stat) < 0) {
    reply_errno(stream);
  } else {
    struct builder builder = {0};
    put64(&builder, (uint64_t)stat.f_blocks * stat.f_frsize);
    put64(&builder, (uint64_t)stat.f_bfree * stat.f_frsize);
    put64(&builder, (uint64_t)stat.f_bavail * stat.f_frsize);
    put64(&builder, stat.f_files);
    put64(&builder, stat.f_ffree);
    reply_built(stream, false, &builder);
  }
  if (fd >= 0) close(fd);
  free(path);
}
