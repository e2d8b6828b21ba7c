#define _GNU_SOURCE
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "session.h"

#define TEMPORARY_PREFIX ".clawd-tmp-"
enum { MAX_LINKS = 40, MAX_RETRIES = 128 };

static const char *root_path;
static char real_root[PATH_MAX];
static int root = -1;
static bool supported = true;

// The root is opened when it is first needed: it may be mounted after us.
static bool open_root(void) {
  if (root >= 0) return true;
  root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return false;
  if (!realpath(root_path, real_root)) real_root[0] = 0;
  return true;
}

void paths_init(const char *path) {
  root_path = path;
  open_root();
}

static const char *relative(const char *path) {
  while (*path == '/') path++;
  return *path ? path : ".";
}

static int open_beneath(const char *path, int flags, mode_t mode) {
  struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                         .mode = flags & O_CREAT ? mode : 0,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  if (!supported) {
    errno = ENOSYS;
    return -1;
  }
  if (!open_root()) return -1;
  for (int i = 0;; i++) {
    long fd = syscall(SYS_openat2, root, relative(path), &how, sizeof how);
    // EAGAIN: something was renamed meanwhile and the kernel could not be sure.
    if (fd >= 0 || errno != EAGAIN || i == MAX_RETRIES) return (int)fd;
  }
}

bool paths_supported(void) {
  int fd = open_beneath("/", O_PATH, 0);
  if (fd >= 0) close(fd);
  // A seccomp profile that is older than the call says EPERM.
  supported = fd >= 0 || (errno != ENOSYS && errno != EPERM);
  return supported;
}

// Drops the last component; false where there is none.
static bool step_up(char *path) {
  char *slash = strrchr(path, '/');
  if (!*path) return false;
  *(slash ? slash : path) = 0;
  return true;
}

// The part of an absolute path that lies below the root, or NULL.
static const char *below_root(const char *path) {
  size_t length = strlen(real_root);
  if (!length || strncmp(path, real_root, length) != 0) return NULL;
  path += length;
  return length == 1 || *path == '/' || !*path ? path : NULL;
}

// *length stays 0 for what is no symlink; *exists tells whether anything is there.
static bool read_link(const char *path, char target[PATH_MAX], size_t *length, bool *exists) {
  int fd = open_beneath(path, O_PATH | O_NOFOLLOW, 0);
  *exists = fd >= 0;
  if (fd < 0) return errno == ENOENT;
  ssize_t count = readlinkat(fd, "", target, PATH_MAX - 1);
  close(fd);
  if (count > 0) {
    target[count] = 0;
    *length = (size_t)count;
  }
  return true;
}

// The same file by a path without symlinks. The kernel refuses absolute symlinks below a root; those that name
// something inside it are resolved here. What this finds is opened by open_beneath all the same.
static bool resolve_links(const char *path, bool follow_last, char done[PATH_MAX]) {
  static char rest[2 * PATH_MAX], target[PATH_MAX];
  size_t length = strlen(path);
  if (length >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return false;
  }
  memcpy(rest, path, length + 1);
  done[0] = 0;
  bool exists = true;
  for (int links = 0;;) {
    char *at = rest + strspn(rest, "/");
    if (!*at) return true;
    char *end = strchrnul(at, '/');
    size_t name = (size_t)(end - at), before = strlen(done), linked = 0;
    if (name == 2 && at[0] == '.' && at[1] == '.') {
      if (!exists || !step_up(done)) {
        errno = exists ? E_OUTSIDE : ENOENT;
        return false;
      }
    } else if (name != 1 || *at != '.') {
      if (before + name + 2 > PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
      }
      char *tail = done + before;
      if (before) *tail++ = '/';
      memcpy(tail, at, name);
      tail[name] = 0;
      if (exists && !read_link(done, target, &linked, &exists)) return false;
      if (!*end && !follow_last) linked = 0;
    }
    if (!linked) {
      memmove(rest, end, strlen(end) + 1);
      continue;
    }
    const char *from = target;
    done[before] = 0;
    if (*target == '/') {
      from = below_root(target);
      done[0] = 0;
    }
    size_t from_length = from ? strlen(from) : 0, end_length = strlen(end);
    if (!from || ++links > MAX_LINKS || from_length + end_length + 1 > sizeof rest) {
      errno = !from ? E_OUTSIDE : links > MAX_LINKS ? ELOOP : ENAMETOOLONG;
      return false;
    }
    memmove(rest + from_length, end, end_length + 1);
    memcpy(rest, from, from_length);
  }
}

int path_open(const char *path, int flags, mode_t mode) {
  int fd = open_beneath(path, flags, mode);
  if (fd >= 0 || errno != EXDEV) return fd;
  char done[PATH_MAX];
  if (!resolve_links(path, !(flags & O_NOFOLLOW), done)) return -1;
  fd = open_beneath(done, flags, mode);
  if (fd < 0 && errno == EXDEV) errno = E_OUTSIDE;
  return fd;
}

bool path_make_folders(const char *path, mode_t mode) {
  char part[PATH_MAX];
  size_t length = strlen(path);
  if (length >= sizeof part) {
    errno = ENAMETOOLONG;
    return false;
  }
  // Each prefix in turn: opened where it is there, made where it is not.
  for (size_t end = strspn(path, "/"); end < length;) {
    end += strcspn(path + end, "/");
    memcpy(part, path, end);
    part[end] = 0;
    end += strspn(path + end, "/");
    int fd = path_open(part, O_PATH | O_DIRECTORY, 0);
    if (fd >= 0) {
      close(fd);
      continue;
    }
    struct place place;
    if (errno != ENOENT || !path_place(part, false, &place)) return false;
    bool made = mkdirat(place.folder, place.name, end >= length ? mode : 0755) == 0;
    int error = errno;
    place_close(&place);
    errno = error;
    if (!made && errno != EEXIST) return false;
  }
  int fd = path_open(path, O_PATH | O_DIRECTORY, 0);
  if (fd < 0) return false;
  close(fd);
  return true;
}

bool path_place(const char *path, bool parents, struct place *place) {
  char folder[PATH_MAX];
  path = relative(path);
  size_t end = strlen(path);
  while (end && path[end - 1] == '/') end--;
  size_t start = end;
  while (start && path[start - 1] != '/') start--;
  size_t name = end - start;
  if (name == 0 || (name == 1 && path[start] == '.') ||
      (name == 2 && path[start] == '.' && path[start + 1] == '.')) {
    errno = EINVAL;
    return false;
  }
  if (name >= sizeof place->name || start >= sizeof folder) {
    errno = ENAMETOOLONG;
    return false;
  }
  memcpy(folder, path, start);
  folder[start] = 0;
  memcpy(place->name, path + start, name);
  place->name[name] = 0;
  place->folder = path_open(folder, O_PATH | O_DIRECTORY, 0);
  if (place->folder < 0 && errno == ENOENT && parents && path_make_folders(folder, 0755))
    place->folder = path_open(folder, O_PATH | O_DIRECTORY, 0);
  return place->folder >= 0;
}

bool path_target(const char *path, bool parents, struct place *place) {
  if (!path_place(path, parents, place)) return false;
  char link;
  if (readlinkat(place->folder, place->name, &link, 1) < 0) return true;
  place_close(place);
  char done[PATH_MAX];
  return resolve_links(path, true, done) && path_place(done, parents, place);
}

void place_close(struct place *place) {
  if (place->folder >= 0) close(place->folder);
  place->folder = -1;
}

bool chmod_open(int fd, mode_t mode) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return chmod(path, mode) == 0;
}

void temporary_name(char name[TEMPORARY_SIZE]) {
  static uint64_t last;
  if (!last && getrandom(&last, sizeof last, 0) < 0) last = 1;
  last = last * 6364136223846793005U + 1442695040888963407U;
  memcpy(name, TEMPORARY_PREFIX, sizeof TEMPORARY_PREFIX - 1);
  char *at = name + sizeof TEMPORARY_PREFIX - 1;
  for (int i = 0; i < 16; i++) *at++ = "0123456789abcdef"[last >> 4 * i & 15];
  *at = 0;
}

bool is_temporary(const char *name) {
  return strncmp(name, TEMPORARY_PREFIX, sizeof TEMPORARY_PREFIX - 1) == 0;
}
