// Exchanges a folder and a file of the workspace with symlinks that lead out of it, as fast as it can, and puts back
// what requests take away meanwhile. Its working directory is the folder with both.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *FOLDERS[] = {"/tmp/outside", "../../tmp/outside", "/", "../../etc"};
static const char *FILES[] = {"/tmp/outside/f", "../../tmp/outside/f", "/etc/passwd", "/tmp/outside/NEW"};

static void file(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644);
  if (fd < 0) return;
  if (write(fd, "INSIDE\n", 7) < 0) perror(path);
  close(fd);
}

static void folder(const char *path) {
  mkdir(path, 0755);
  chmod(path, 0755);
}

// Only where the folder is not exchanged just now.
static void fill(void) {
  static const char *folders[] = {"spot", "spot/sub", "spot/tmp", "spot/tmp/outside", "spot/tmp/outside/sub", "spot/etc"};
  static const char *files[] = {"spot/f", "spot/passwd", "spot/sub/f", "spot/tmp/outside/f", "spot/tmp/outside/sub/f",
                                "spot/etc/passwd", "leaf"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) folder(folders[i]);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) file(files[i]);
}

static void exchange(const char *name, const char *target) {
  char link[16];
  snprintf(link, sizeof link, "%s.link", name);
  unlink(link);
  if (symlink(target, link) < 0 || renameat2(AT_FDCWD, name, AT_FDCWD, link, RENAME_EXCHANGE) < 0) return;
  if (rand() % 2) usleep(rand() % 1500);
  // What a request has put in the link's place meanwhile goes.
  if (renameat2(AT_FDCWD, name, AT_FDCWD, link, RENAME_EXCHANGE) < 0) rename(link, name);
  unlink(link);
  if (rand() % 2) usleep(rand() % 1500);
}

int main(void) {
  for (unsigned n = 0;; n++) {
    struct stat seen;
    if (lstat("leaf", &seen) == 0 && !S_ISREG(seen.st_mode)) unlink("leaf");
    fill();
    exchange("spot", FOLDERS[n % 4]);
    exchange("leaf", FILES[n % 4]);
    exchange("git", "/tmp/elsewhere");
    int fd = open("/tmp/outside/TICK", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) close(fd);
  }
}
