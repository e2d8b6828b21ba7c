// Files below the root: facts, folders, reading; writing is in upload.c, trees in tree.c.
#ifndef FILES_H
#define FILES_H

#include <stdint.h>
#include <sys/stat.h>

#include "frames.h"

void files_init(const char *root);

void file_stat(uint32_t stream, struct cursor *cursor);
void file_list(uint32_t stream, struct cursor *cursor);
void file_read(uint32_t stream, struct cursor *cursor);
void file_write(uint32_t stream, struct cursor *cursor);
void file_mkdir(uint32_t stream, struct cursor *cursor);
void file_rename(uint32_t stream, struct cursor *cursor);
void file_chmod(uint32_t stream, struct cursor *cursor);
void file_symlink(uint32_t stream, struct cursor *cursor);
void file_readlink(uint32_t stream, struct cursor *cursor);
void file_statvfs(uint32_t stream, struct cursor *cursor);

void put_stat(struct builder *builder, const struct stat *stat);
// The version of a file's content that a request insists on.
struct version {
  int64_t seconds;
  uint32_t nanoseconds;
  uint64_t size, inode;
};
struct version get_version(struct cursor *cursor);
bool is_version(const struct stat *stat, const struct version *version);

// Answers with errno as it is.
void reply_errno(uint32_t stream);
// The answer to an operation that gives nothing back.
void reply_done(uint32_t stream, bool done);
// A path of the request; answers itself and gives NULL where it is malformed. To be freed.
char *get_path(uint32_t stream, struct cursor *cursor);

#endif
