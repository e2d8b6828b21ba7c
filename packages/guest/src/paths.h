// Paths below the root, resolved so that no symlink and no race leads out of it. Paths are bytes.
#ifndef PATHS_H
#define PATHS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

// Sets errno to E_OUTSIDE (session.h) for what leads out, to ENOSYS where the kernel can't guarantee it.
// A relative or absolute path means the same: "/a" is ROOT/a.

void paths_init(const char *root);
bool paths_supported(void);
// As open(2) with O_CLOEXEC; mode matters with O_CREAT only.
int path_open(const char *path, int flags, mode_t mode);

// A folder (an O_PATH descriptor) and a name in it: what is renamed, removed or made.
struct place {
  int folder;
  char name[256];
};

// With parents, missing folders are made. The name itself need not exist; it is not followed.
bool path_place(const char *path, bool parents, struct place *place);
// Like it, but a symlink at the end is followed to what it names.
bool path_target(const char *path, bool parents, struct place *place);
void place_close(struct place *place);
// mkdir -p; fine where the folder exists.
bool path_make_folders(const char *path, mode_t mode);
// Changes the very file that is open, O_PATH included: a name could have become a symlink meanwhile.
bool chmod_open(int fd, mode_t mode);
// ".clawd-tmp-…", never the same twice.
enum { TEMPORARY_SIZE = 40 };
void temporary_name(char name[TEMPORARY_SIZE]);
bool is_temporary(const char *name);

#endif
