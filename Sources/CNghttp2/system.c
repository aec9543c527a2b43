#include "CNghttp2.h"

#include <fcntl.h>

_Thread_local void *ch2_current_loop_storage;

int ch2_open(const char *path, int flags, int mode) { return open(path, flags | O_CLOEXEC, mode); }

int ch2_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL, 0);
  return flags < 0 ? flags : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}
