// Writing a file: into a nameless or temporary one that takes the name when it is complete.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "loop.h"
#include "paths.h"
#include "session.h"

enum write_flags {
  WRITE_APPEND = 1,
  WRITE_EXCLUSIVE = 2,
  WRITE_INSIST = 4,
  WRITE_PARENTS = 8,
  WRITE_MODE = 16,
};

struct upload {
  struct stream stream;
  int fd;
  struct place place;              // folder < 0 when appending
  char temporary[TEMPORARY_SIZE];  // empty: the file has no name yet
  uint8_t flags;
  mode_t mode;
  struct version version;
  uint64_t received, credited;
};

static void drop(struct stream *stream) {
  struct upload *upload = (struct upload *)stream;
  if (upload->temporary[0]) unlinkat(upload->place.folder, upload->temporary, 0);
  if (upload->fd >= 0) close(upload->fd);
  place_close(&upload->place);
  loop_free(upload);
}

static void end_with(struct upload *upload, bool done) {
  struct stat stat;
  struct builder builder = {0};
  if (done && fstat(upload->fd, &stat) == 0) {
    put_stat(&builder, &stat);
    reply_built(upload->stream.id, false, &builder);
  } else {
    reply_errno(upload->stream.id);
  }
  stream_close(&upload->stream);
  drop(&upload->stream);
}

static void data(struct stream *stream, const uint8_t *bytes, size_t length) {
  struct upload *upload = (struct upload *)stream;
  upload->received += length;
  while (length) {
    ssize_t count = write(upload->fd, bytes, length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      end_with(upload, false);
      return;
    }
    bytes += count;
    length -= (size_t)count;
  }
  if (upload->received - upload->credited < WRITE_WINDOW / 8) return;
  upload->credited = upload->received;
  send_credit(stream, upload->received);
}

// What is there under the name now: may this upload take its place?
static bool permitted(const struct upload *upload, struct stat *stat, bool *exists) {
  *exists = fstatat(upload->place.folder, upload->place.name, stat, AT_SYMLINK_NOFOLLOW) == 0;
  if (!*exists && errno != ENOENT) return false;
  if (upload->flags & WRITE_INSIST && (!*exists || !is_version(stat, &upload->version)))
    errno = E_PRECONDITION;
  else if (!*exists)
    return true;
  else if (upload->flags & WRITE_EXCLUSIVE)
    errno = EEXIST;
  else if (S_ISDIR(stat->st_mode))
    errno = EISDIR;
  else if (!S_ISREG(stat->st_mode))
    errno = EINVAL;
  else
    return faccessat(upload->place.folder, upload->place.name, W_OK, 0) == 0;
  return false;
}

static void descriptor_path(char path[40], int fd) { snprintf(path, 40, "/proc/self/fd/%d", fd); }

static bool give_name(struct upload *upload) {
  struct stat stat;
  bool exists;
  if (!permitted(upload, &stat, &exists)) return false;
  if (!(upload->flags & WRITE_MODE) && exists) upload->mode = stat.st_mode & 07777;
  if (fchmod(upload->fd, upload->mode) < 0) return false;
  const struct place *place = &upload->place;
  if (!upload->temporary[0]) {
    char path[40];
    descriptor_path(path, upload->fd);
    if (!exists) {
      if (linkat(AT_FDCWD, path, place->folder, place->name, AT_SYMLINK_FOLLOW) == 0) return true;
      if (errno != EEXIST || upload->flags & (WRITE_EXCLUSIVE | WRITE_INSIST)) return false;
    }
    temporary_name(upload->temporary);
    if (linkat(AT_FDCWD, path, place->folder, upload->temporary, AT_SYMLINK_FOLLOW) < 0) {
      upload->temporary[0] = 0;
      return false;
    }
  }
  unsigned flags = upload->flags & WRITE_EXCLUSIVE ? RENAME_NOREPLACE : 0;
  if (renameat2(place->folder, upload->temporary, place->folder, place->name, flags) < 0) return false;
  upload->temporary[0] = 0;
  return true;
}

static void end(struct stream *stream) {
  struct upload *upload = (struct upload *)stream;
  end_with(upload, upload->flags & WRITE_APPEND || give_name(upload));
}

static bool open_append(struct upload *upload, const char *path) {
  int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;
  if (upload->flags & WRITE_EXCLUSIVE) flags |= O_EXCL;
  upload->fd = path_open(path, flags, upload->mode);
  struct place place;
  if (upload->fd < 0 && errno == ENOENT && upload->flags & WRITE_PARENTS &&
      path_place(path, true, &place)) {
    place_close(&place);
    upload->fd = path_open(path, flags, upload->mode);
  }
  struct stat stat;
  if (upload->fd < 0 || fstat(upload->fd, &stat) < 0) return false;
  if (!S_ISREG(stat.st_mode))
    errno = EINVAL;
  else if (upload->flags & WRITE_INSIST && !is_version(&stat, &upload->version))
    errno = E_PRECONDITION;
  else
    return true;
  return false;
}

static bool open_replacement(struct upload *upload, const char *path) {
  struct stat stat;
  bool exists;
  if (!path_target(path, upload->flags & WRITE_PARENTS, &upload->place) ||
      !permitted(upload, &stat, &exists))
    return false;
  // A file without a name leaves nothing behind, whatever happens. To get its name it needs /proc.
  upload->fd = openat(upload->place.folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (upload->fd >= 0) {
    char by_descriptor[40], unused;
    descriptor_path(by_descriptor, upload->fd);
    if (readlink(by_descriptor, &unused, 1) == 1) return true;
    close(upload->fd);
  }
  temporary_name(upload->temporary);
  upload->fd = openat(upload->place.folder, upload->temporary,
                      O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (upload->fd < 0) upload->temporary[0] = 0;
  return upload->fd >= 0;
}

void file_write(uint32_t id, struct cursor *cursor) {
  static const struct stream_ops ops = {.data = data, .end = end, .drop = drop};
  uint8_t flags = get8(cursor);
  mode_t mode = get32(cursor) & 07777;
  struct version version = get_version(cursor);
  char *path = get_path(id, cursor);
  if (!path) return;
  struct upload *upload = calloc(1, sizeof *upload);
  if (!upload || !stream_open(&upload->stream, id, &ops, 0, 0)) {
    if (!upload) reply_error(id, ENOMEM, STEP_NONE, "out of memory");
    free(upload);
    free(path);
    return;
  }
  upload->fd = upload->place.folder = -1;
  upload->flags = flags;
  upload->mode = flags & WRITE_MODE ? mode : 0644;
  upload->version = version;
  bool opened = flags & WRITE_APPEND ? open_append(upload, path) : open_replacement(upload, path);
  int error = errno;
  free(path);
  errno = error;
  if (!opened) end_with(upload, false);
}
