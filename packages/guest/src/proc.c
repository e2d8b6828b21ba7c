#define _GNU_SOURCE
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

enum {
  MAX_ENVIRON = 256 << 10,
  MAX_COMMAND = 1024,
  TABLE_SIZE = MAX_REPLY - (64 << 10),
  MAX_PORTS = 1024,
};

static void proc_path(char *path, size_t size, pid_t pid, const char *name) {
  snprintf(path, size, "/proc/%d/%s", pid, name);
}

static ssize_t read_file(const char *path, char *buffer, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return -1;
  size_t length = 0;
  while (length < size) {
    ssize_t count = read(fd, buffer + length, size - length);
    if (count <= 0) break;
    length += (size_t)count;
  }
  close(fd);
  return (ssize_t)length;
}

void proc_each(bool (*call)(pid_t pid, void *context), void *context) {
  DIR *directory = opendir("/proc");
  if (!directory) return;
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (!call((pid_t)strtol(entry->d_name, NULL, 10), context)) break;
  }
  closedir(directory);
}

bool proc_stat(pid_t pid, struct proc_stat *stat) {
  char path[40], text[1024];
  proc_path(path, sizeof path, pid, "stat");
  ssize_t length = read_file(path, text, sizeof text - 1);
  if (length <= 0) return false;
  text[length] = 0;
  // The name is in parentheses and may hold any character: it ends at the last one.
  char *name = strchr(text, '('), *at = strrchr(text, ')');
  if (!name || !at || at < name) return false;
  *stat = (struct proc_stat){.pid = pid};
  size_t name_length = (size_t)(at - name - 1);
  if (name_length >= sizeof stat->name) name_length = sizeof stat->name - 1;
  memcpy(stat->name, name + 1, name_length);
  at++;
  // Fields from the third (state) on.
  for (int field = 3; *at == ' '; field++) {
    at++;
    if (field == 3) {
      stat->state = *at++;
      continue;
    }
    uint64_t value = strtoull(at, &at, 10);
    if (field == 4) stat->parent = (pid_t)value;
    if (field == 6) stat->session = (pid_t)value;
    if (field == 14) stat->user_ticks = value;
    if (field == 15) stat->system_ticks = value;
    if (field == 20) stat->threads = (uint32_t)value;
    if (field == 22) stat->started_ticks = value;
    if (field == 24) {
      stat->rss_pages = value;
      return true;
    }
  }
  return false;
}

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

static bool parse_id(const char *text, uint8_t id[PROCESS_ID_SIZE]) {
  for (int i = 0; i < PROCESS_ID_SIZE; i++) {
    int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
    if (low < 0) return false;
    id[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

bool proc_marker(pid_t pid, uint8_t id[PROCESS_ID_SIZE]) {
  static const char needle[] = "\0" PROCESS_VARIABLE;
  const size_t needle_length = sizeof needle - 1, hit = needle_length + 2 * PROCESS_ID_SIZE;
  char path[40], buffer[4096];
  proc_path(path, sizeof path, pid, "environ");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  // A zero before the first variable makes it look like the others.
  size_t length = 1, total = 0;
  buffer[0] = 0;
  bool found = false;
  while (!found && total < MAX_ENVIRON) {
    ssize_t count = read(fd, buffer + length, sizeof buffer - length);
    if (count <= 0) break;
    total += (size_t)count;
    length += (size_t)count;
    char *at = memmem(buffer, length, needle, needle_length);
    if (at && (size_t)(buffer + length - at) >= hit) {
      found = parse_id(at + needle_length, id);
      break;
    }
    // What may be the beginning of a hit stays.
    size_t keep = at ? (size_t)(buffer + length - at) : length < hit ? length : hit;
    memmove(buffer, buffer + length - keep, keep);
    length = keep;
  }
  close(fd);
  return found;
}

// ---- the process table ----

struct table {
  struct builder builder;
  uint64_t boot_ms;
  long ticks, page;
};

// Which managed process a pid belongs to: by its session's leader, else by its environment.
static bool owner(pid_t pid, pid_t session, uint8_t id[PROCESS_ID_SIZE]) {
  const uint8_t *known = session > 0 ? process_id_of(session) : NULL;
  if (known) memcpy(id, known, PROCESS_ID_SIZE);
  return known || proc_marker(pid, id);
}

static bool table_entry(pid_t pid, void *context) {
  struct table *table = context;
  struct builder *builder = &table->builder;
  struct proc_stat stat;
  struct stat owner_of;
  char path[40], command[MAX_COMMAND];
  uint8_t id[PROCESS_ID_SIZE];
  if (!proc_stat(pid, &stat)) return true;
  proc_path(path, sizeof path, pid, "");
  if (lstat(path, &owner_of) < 0) return true;
  proc_path(path, sizeof path, pid, "cmdline");
  ssize_t length = read_file(path, command, sizeof command);
  bool owned = pid != getpid() && owner(pid, stat.session, id);
  put32(builder, (uint32_t)pid);
  put32(builder, (uint32_t)stat.parent);
  put32(builder, (uint32_t)stat.session);
  put32(builder, owner_of.st_uid);
  put8(builder, (uint8_t)stat.state);
  put32(builder, stat.threads);
  put64(builder, (stat.user_ticks + stat.system_ticks) * 1000 / (uint64_t)table->ticks);
  put64(builder, stat.rss_pages * (uint64_t)table->page);
  put64(builder, table->boot_ms + stat.started_ticks * 1000 / (uint64_t)table->ticks);
  put8(builder, owned);
  if (owned) put_raw(builder, id, PROCESS_ID_SIZE);
  put_bytes(builder, stat.name, strlen(stat.name));
  put_bytes(builder, command, length > 0 ? (size_t)length : 0);
  return builder->length < TABLE_SIZE;
}

void proc_table(uint32_t stream, struct cursor *cursor) {
  (void)cursor;
  struct timespec real, boot;
  clock_gettime(CLOCK_REALTIME, &real);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  struct table table = {
      .boot_ms = (uint64_t)((real.tv_sec - boot.tv_sec) * 1000 +
                            (real.tv_nsec - boot.tv_nsec) / 1000000),
      .ticks = sysconf(_SC_CLK_TCK),
      .page = sysconf(_SC_PAGESIZE)};
  proc_each(table_entry, &table);
  reply_built(stream, false, &table.builder);
}

// ---- listening ports ----

struct port {
  uint16_t number;
  uint8_t family;  // 4 or 6
  uint8_t address[16];
  uint64_t inode;
  pid_t pid;
};

struct ports {
  struct port *list;
  size_t count, unowned;
};

static void parse_address(const char *text, struct port *port) {
  // 32-bit words in host order.
  int words = port->family == 4 ? 1 : 4;
  for (int word = 0; word < words; word++) {
    char digits[9] = {0};
    memcpy(digits, text + 8 * word, 8);
    uint32_t value = (uint32_t)strtoul(digits, NULL, 16);
    memcpy(port->address + 4 * word, &value, 4);
  }
}

static void parse_ports(struct ports *ports, const char *path, uint8_t family) {
  FILE *file = fopen(path, "re");
  if (!file) return;
  char line[512], address[40];
  const size_t digits = family == 4 ? 8 : 32;
  while (ports->count < MAX_PORTS && fgets(line, sizeof line, file)) {
    unsigned number, state;
    unsigned long long inode;
    if (sscanf(line, " %*d: %39[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*d %*d %llu",
               address, &number, &state, &inode) != 4 ||
        state != 10 || strlen(address) != digits)
      continue;
    struct port *port = &ports->list[ports->count++];
    *port = (struct port){.number = (uint16_t)number, .family = family, .inode = inode};
    parse_address(address, port);
    ports->unowned++;
  }
  fclose(file);
}

static bool find_owner(pid_t pid, void *context) {
  struct ports *ports = context;
  char path[40], link[64];
  proc_path(path, sizeof path, pid, "fd");
  DIR *directory = opendir(path);
  if (!directory) return true;
  int looked = 0;
  for (struct dirent *entry; looked++ < 4096 && (entry = readdir(directory));) {
    ssize_t length = readlinkat(dirfd(directory), entry->d_name, link, sizeof link - 1);
    if (length <= 8 || memcmp(link, "socket:[", 8) != 0) continue;
    link[length] = 0;
    uint64_t inode = strtoull(link + 8, NULL, 10);
    for (size_t i = 0; i < ports->count; i++) {
      if (ports->list[i].inode != inode || ports->list[i].pid) continue;
      ports->list[i].pid = pid;
      ports->unowned--;
    }
  }
  closedir(directory);
  return ports->unowned > 0;
}

void proc_ports(uint32_t stream, struct cursor *cursor) {
  (void)cursor;
  struct builder builder = {0};
  struct ports ports = {.list = calloc(MAX_PORTS, sizeof *ports.list)};
  if (ports.list) {
    parse_ports(&ports, "/proc/net/tcp", 4);
    parse_ports(&ports, "/proc/net/tcp6", 6);
    if (ports.unowned) proc_each(find_owner, &ports);
  }
  for (size_t i = 0; i < ports.count; i++) {
    const struct port *port = &ports.list[i];
    struct proc_stat stat = {0};
    uint8_t id[PROCESS_ID_SIZE];
    bool owned = port->pid && proc_stat(port->pid, &stat) && owner(port->pid, stat.session, id);
    put16(&builder, port->number);
    put8(&builder, port->family);
    put_raw(&builder, port->address, 16);
    put32(&builder, (uint32_t)port->pid);
    put8(&builder, owned);
    if (owned) put_raw(&builder, id, PROCESS_ID_SIZE);
  }
  free(ports.list);
  reply_built(stream, false, &builder);
}
