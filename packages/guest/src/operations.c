#include "operations.h"

#include <errno.h>

#include "files.h"
#include "proc.h"
#include "process.h"
#include "session.h"
#include "shutdown.h"
#include "tcp.h"
#include "tree.h"
#include "watch.h"

typedef void operation(uint32_t stream, struct cursor *cursor);

static void ping(uint32_t stream, struct cursor *cursor) {
  (void)cursor;
  reply(stream, false, NULL, 0);
}

static void end_all(uint32_t stream, struct cursor *cursor) {
  uint32_t grace_ms = get32(cursor);
  reply(stream, false, NULL, 0);
  shutdown_begin(grace_ms);
}

static operation *const operations[] = {
    [OP_PING] = ping,
    [OP_START] = process_start,
    [OP_LIST] = process_list,
    [OP_OUTPUT] = process_output,
    [OP_STDIN] = process_stdin,
    [OP_RESIZE] = process_resize,
    [OP_SIGNAL] = process_signal,
    [OP_FORGET] = process_forget,
    [OP_TABLE] = proc_table,
    [OP_PORTS] = proc_ports,
    [OP_SHUTDOWN] = end_all,
    [OP_CONNECT] = tcp_connect,
    [OP_PIPES] = session_pipes,
    [OP_STAT] = file_stat,
    [OP_LIST_DIR] = file_list,
    [OP_READ] = file_read,
    [OP_WRITE] = file_write,
    [OP_MKDIR] = file_mkdir,
    [OP_RENAME] = file_rename,
    [OP_COPY] = tree_copy,
    [OP_REMOVE] = tree_remove,
    [OP_CHMOD] = file_chmod,
    [OP_SYMLINK] = file_symlink,
    [OP_READLINK] = file_readlink,
    [OP_STATVFS] = file_statvfs,
    [OP_WATCH] = watch_start,
};

void operation_run(uint32_t stream, struct cursor *cursor) {
  uint8_t number = get8(cursor);
  operation *run = number < sizeof operations / sizeof *operations ? operations[number] : NULL;
  if (run)
    run(stream, cursor);
  else
    reply_error(stream, ENOSYS, STEP_NONE, "unknown operation");
}
