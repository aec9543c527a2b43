#define _GNU_SOURCE
#include "CNghttp2.h"

#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#if defined(__linux__)
#include <linux/sockios.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#ifdef SYS_openat2
#include <linux/openat2.h>
#endif
#endif
#if defined(__APPLE__)
#include <sys/xattr.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <unistd.h>

_Thread_local void *ch2_current_loop_storage;

int ch2_open(const char *path, int flags, int mode) { return open(path, flags | O_CLOEXEC, mode); }

void ch2_file_stamp(const char *path, uint64_t stamp[5]) {
  struct stat status;
  memset(stamp, 0, 5 * sizeof *stamp);
  if (stat(path, &status) != 0) return;
  stamp[0] = (uint64_t)status.st_dev;
  stamp[1] = (uint64_t)status.st_ino;
  stamp[2] = (uint64_t)status.st_size;
#if defined(__APPLE__)
  stamp[3] = (uint64_t)status.st_mtimespec.tv_sec;
  stamp[4] = (uint64_t)status.st_mtimespec.tv_nsec;
#else
  stamp[3] = (uint64_t)status.st_mtim.tv_sec;
  stamp[4] = (uint64_t)status.st_mtim.tv_nsec;
#endif
}

int ch2_rename_new(const char *from, const char *to) {
#if defined(__APPLE__)
  return renamex_np(from, to, RENAME_EXCL);
#elif defined(SYS_renameat2)
  // RENAME_NOREPLACE, which older C libraries do not declare.
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1u);
#else
  (void)from, (void)to;
  errno = ENOSYS;
  return -1;
#endif
}

int ch2_set_attribute(int fd, const char *name, const void *value, size_t length) {
#if defined(__APPLE__)
  return fsetxattr(fd, name, value, length, 0, 0);
#else
  return fsetxattr(fd, name, value, length, 0);
#endif
}

int ch2_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL, 0);
  return flags < 0 ? flags : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int ch2_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

int ch2_open_cached(const char *path, int flags) {
#if defined(__linux__) && defined(SYS_openat2) && defined(RESOLVE_CACHED)
  struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_CACHED};
  int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  // A kernel that lacks the call or the flag, or a sandbox that rejects it, cannot tell.
  if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL || errno == E2BIG)) errno = EAGAIN;
  return fd;
#else
  (void)path, (void)flags;
  errno = EAGAIN;
  return -1;
#endif
}

ssize_t ch2_read_cached(int fd, void *buffer, size_t count, int64_t offset) {
#if defined(__linux__) && defined(RWF_NOWAIT)
  struct iovec piece = {.iov_base = buffer, .iov_len = count};
  ssize_t result;
  do result = preadv2(fd, &piece, 1, (off_t)offset, RWF_NOWAIT);
  while (result < 0 && errno == EINTR);
  if (result < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL)) errno = EOPNOTSUPP;
  return result;
#else
  (void)fd, (void)buffer, (void)count, (void)offset;
  errno = EOPNOTSUPP;
  return -1;
#endif
}

// MARK: - ThreadSanitizer

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CH2_THREAD_SANITIZER 1
#endif
#endif

#ifdef CH2_THREAD_SANITIZER
void __tsan_acquire(void *);
void __tsan_release(void *);
void ch2_hand_over(const void *object) { __tsan_release((void *)object); }
void ch2_take_over(const void *object) { __tsan_acquire((void *)object); }
#else
void ch2_hand_over(const void *object) { (void)object; }
void ch2_take_over(const void *object) { (void)object; }
#endif

void ch2_share_heap(void) {
#if defined(M_ARENA_MAX)
  mallopt(M_ARENA_MAX, 1);
#endif
}

void ch2_name_this_thread(const char *name) {
#if defined(__APPLE__)
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
}

void ch2_set_timer_slack(uint64_t nanoseconds) {
#if defined(__linux__)
  prctl(PR_SET_TIMERSLACK, (unsigned long)nanoseconds, 0, 0, 0);
#else
  (void)nanoseconds;
#endif
}

// MARK: - Clocks

uint64_t ch2_thread_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

double ch2_wall_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

ptrdiff_t ch2_process_usage(double *user, double *system) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  *user = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
  *system = (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
#if defined(__APPLE__)
  return usage.ru_maxrss;
#else
  return usage.ru_maxrss * 1024;
#endif
}

// MARK: - Waiting

#if defined(__linux__)
int ch2_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds) {
  if (nanoseconds <= 0) return epoll_wait(epoll, events, capacity, nanoseconds == 0 ? 0 : -1);
#ifdef SYS_epoll_pwait2
  static _Atomic bool is_missing;
  if (!atomic_load_explicit(&is_missing, memory_order_relaxed)) {
    struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    long count = syscall(SYS_epoll_pwait2, epoll, events, capacity, &timeout, NULL, 0);
    if (count >= 0 || errno == EINTR) return (int)count;
    // ENOSYS from an old kernel; but seccomp filters may return any error, usually EPERM. If the arguments are wrong,
    // epoll_wait will report that too.
    atomic_store_explicit(&is_missing, true, memory_order_relaxed);
  }
#endif
  return epoll_wait(epoll, events, capacity, (int)(nanoseconds / 1000000) + 1);
}
#endif

// MARK: - Sockets

bool ch2_address_text(const struct sockaddr *address, char text[CH2_ADDRESS_TEXT]) {
  char host[46] = "";
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    if (inet_ntop(AF_INET, &in->sin_addr, host, sizeof host) == NULL) return false;
    snprintf(text, CH2_ADDRESS_TEXT, "%s:%u", host, ntohs(in->sin_port));
    return true;
  }
  if (address->sa_family == AF_INET6) {
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
    if (inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host) == NULL) return false;
    char name[IF_NAMESIZE];
    if (in->sin6_scope_id == 0) {
      snprintf(text, CH2_ADDRESS_TEXT, "[%s]:%u", host, ntohs(in->sin6_port));
    } else if (if_indextoname(in->sin6_scope_id, name) != NULL) {
      snprintf(text, CH2_ADDRESS_TEXT, "[%s%%%s]:%u", host, name, ntohs(in->sin6_port));
    } else {
      // An interface that no longer exists is shown by its number.
      snprintf(text, CH2_ADDRESS_TEXT, "[%s%%%u]:%u", host, in->sin6_scope_id, ntohs(in->sin6_port));
    }
    return true;
  }
  return false;
}

bool ch2_socket_name(int fd, bool peer, char text[CH2_ADDRESS_TEXT]) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  struct sockaddr *address = (struct sockaddr *)&storage;
  if ((peer ? getpeername : getsockname)(fd, address, &length) != 0) return false;
  return ch2_address_text(address, text);
}

int ch2_tcp_options(int fd) {
  if (fd < 0) return fd;
  int yes = 1;
#if !defined(__linux__)
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  ch2_set_nonblocking(fd);
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
#endif
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return fd;
}

int ch2_tcp_socket(int family) {
#if defined(__linux__)
  int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
#else
  int kind = SOCK_STREAM;
#endif
  // TCP's options have no effect on a Unix domain socket.
  return ch2_tcp_options(socket(family, kind, family == AF_UNIX ? 0 : IPPROTO_TCP));
}

int ch2_bind_source(int fd, const struct sockaddr *address, socklen_t length, bool has_port) {
  int yes = 1;
  // A port whose last connection is in TIME_WAIT is good for another server.
  if (has_port) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
#if defined(__linux__) && defined(IP_BIND_ADDRESS_NO_PORT)
  // The port is chosen at connect, when the peer is known, so every source address has all ports for each peer.
  if (!has_port) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
#endif
  return bind(fd, address, length) == 0 ? 0 : errno;
}

int ch2_bind_interface(int fd, int family, const char *name) {
#if defined(SO_BINDTODEVICE)
  (void)family;
  return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) == 0 ? 0 : errno;
#elif defined(IP_BOUND_IF)
  unsigned index = if_nametoindex(name);
  if (index == 0) return ENODEV;
  int status = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_BOUND_IF, &index, sizeof index)
                                  : setsockopt(fd, IPPROTO_IP, IP_BOUND_IF, &index, sizeof index);
  return status == 0 ? 0 : errno;
#else
  (void)fd, (void)family, (void)name;
  return ENOTSUP;
#endif
}

int ch2_set_traffic_class(int fd, int family, int value) {
  int status = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value)
                                  : setsockopt(fd, IPPROTO_IP, IP_TOS, &value, sizeof value);
  return status == 0 ? 0 : errno;
}

static bool set_tcp(int fd, int option, int value) {
  return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value) == 0;
}

bool ch2_keep_alive(int fd, int idle, int interval, int count, int user_timeout) {
  int yes = 1;
  bool ok = setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes) == 0;
#if defined(TCP_KEEPIDLE)
  ok = set_tcp(fd, TCP_KEEPIDLE, idle) && ok;
#elif defined(TCP_KEEPALIVE)
  ok = set_tcp(fd, TCP_KEEPALIVE, idle) && ok;
#endif
#if defined(TCP_KEEPINTVL)
  ok = set_tcp(fd, TCP_KEEPINTVL, interval) && ok;
#endif
#if defined(TCP_KEEPCNT)
  ok = set_tcp(fd, TCP_KEEPCNT, count) && ok;
#endif
#if defined(TCP_USER_TIMEOUT)
  ok = set_tcp(fd, TCP_USER_TIMEOUT, user_timeout) && ok;
#elif defined(TCP_RXT_CONNDROPTIME)
  ok = set_tcp(fd, TCP_RXT_CONNDROPTIME, (user_timeout + 999) / 1000) && ok;
#endif
  return ok;
}

int ch2_socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

int ch2_unsent_bytes(int fd) {
  int count = 0;
#if defined(__linux__)
  return ioctl(fd, SIOCOUTQ, &count) == 0 ? count : -1;
#elif defined(SO_NWRITE)
  socklen_t length = sizeof count;
  return getsockopt(fd, SOL_SOCKET, SO_NWRITE, &count, &length) == 0 ? count : -1;
#else
  (void)fd, (void)count;
  return -1;
#endif
}

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0
#endif

ssize_t ch2_send_now(int fd, const void *bytes, size_t count) {
  return send(fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t ch2_send(int fd, const void *bytes, size_t count) {
  ssize_t sent;
  do sent = send(fd, bytes, count, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent;
}

bool ch2_cond_wait(void *condition, void *mutex, int seconds) {
  struct timespec end;
#ifdef __GLIBC__
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += seconds;
  return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &end) != ETIMEDOUT;
#else
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += seconds;
  return pthread_cond_timedwait(condition, mutex, &end) != ETIMEDOUT;
#endif
}

bool ch2_may_write(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}
