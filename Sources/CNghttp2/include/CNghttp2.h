// The only way to nghttp2, OpenSSL and the kernel's event queue. Whatever Swift can call as it stands (SSL_read,
// nghttp2_submit_ping, ...) is called directly through this header; a ch2_ function exists only where Swift cannot
// (macros, variadic functions, unions, names that differ between versions) and says so.
#ifndef CNGHTTP2_H
#define CNGHTTP2_H

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/eventfd.h>
#elif defined(__APPLE__)
#include <sys/event.h>
#endif

// MARK: - nghttp2

// nghttp2 1.60 renamed its size type and every function that carries it; both are a pointer-sized signed integer,
// so Swift sees one type (Int) and one name for each function, on every version.
#if NGHTTP2_VERSION_NUM >= 0x013c00
typedef nghttp2_ssize ch2_ssize;
typedef nghttp2_data_source_read_callback2 ch2_data_source_read_callback;
#else
typedef ssize_t ch2_ssize;
typedef nghttp2_data_source_read_callback ch2_data_source_read_callback;
#endif

/// nghttp2_session_mem_recv or, from 1.60 on, nghttp2_session_mem_recv2.
static inline ch2_ssize ch2_session_mem_recv(nghttp2_session *session, const uint8_t *in, size_t length) {
#if NGHTTP2_VERSION_NUM >= 0x013c00
  return nghttp2_session_mem_recv2(session, in, length);
#else
  return nghttp2_session_mem_recv(session, in, length);
#endif
}

/// nghttp2_session_mem_send or, from 1.60 on, nghttp2_session_mem_send2.
static inline ch2_ssize ch2_session_mem_send(nghttp2_session *session, const uint8_t **data) {
#if NGHTTP2_VERSION_NUM >= 0x013c00
  return nghttp2_session_mem_send2(session, data);
#else
  return nghttp2_session_mem_send(session, data);
#endif
}

/// A free-list allocator for one nghttp2 session: a stream is made of four small blocks, and with a hundred streams in
/// step malloc's per-thread cache (seven blocks a size in glibc) misses nearly all of them. Blocks up to 1 KiB are kept,
/// at most `CH2_POOL_KEPT` of a size; larger ones go to malloc. One thread at a time, as nghttp2 itself.
typedef struct ch2_pool ch2_pool;
ch2_pool *ch2_pool_new(void);
/// After nghttp2_session_del.
void ch2_pool_delete(ch2_pool *pool);
/// nghttp2_session_client_new3 and nghttp2_session_server_new3 with the pool as nghttp2_mem, whose function pointers
/// Swift could only fill in with trampolines.
int ch2_session_client_new(nghttp2_session **session, const nghttp2_session_callbacks *callbacks,
                           const nghttp2_option *option, ch2_pool *pool);

/// nghttp2_option_set_max_continuations where this nghttp2 has it: a fix of 2024 that distributions brought to older
/// versions too, so that no version number tells. Its own limit, 8 by default, would come before ours.
void ch2_option_set_max_continuations(nghttp2_option *option, size_t limit);

/// nghttp2_option_set_stream_reset_rate_limit where this nghttp2 has it: it came with the limit, 1,000 at once and 33 a
/// second by default, in 2023, and distributions brought both to older versions too.
void ch2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate);

/// nghttp2_submit_request(2). Swift cannot name both data provider types; NULL `read` means no body.
int32_t ch2_submit_request(nghttp2_session *session, const nghttp2_nv *nva, size_t nvlen,
                           ch2_data_source_read_callback read, void *source, void *stream_user_data);

/// nghttp2_submit_response(2), as above. For the server side.
int ch2_submit_response(nghttp2_session *session, int32_t stream_id, const nghttp2_nv *nva, size_t nvlen,
                        ch2_data_source_read_callback read, void *source);

/// nghttp2_data_source is a union, whose pointer member Swift reaches only by way of a C function.
static inline void *ch2_data_source_pointer(const nghttp2_data_source *source) { return source->ptr; }

// nghttp2_frame is a union: Swift imports its members as computed copies of the whole union, which is slow in a
// callback that runs for every frame. These read the one member that is asked for.
static inline const nghttp2_frame_hd *ch2_frame_hd(const nghttp2_frame *frame) { return &frame->hd; }
static inline nghttp2_headers_category ch2_frame_headers_category(const nghttp2_frame *frame) {
  return frame->headers.cat;
}
static inline size_t ch2_frame_data_padlen(const nghttp2_frame *frame) { return frame->data.padlen; }
static inline uint32_t ch2_frame_rst_error_code(const nghttp2_frame *frame) { return frame->rst_stream.error_code; }
static inline const nghttp2_goaway *ch2_frame_goaway(const nghttp2_frame *frame) { return &frame->goaway; }
static inline const uint8_t *ch2_frame_ping_opaque(const nghttp2_frame *frame) { return frame->ping.opaque_data; }
static inline const nghttp2_settings *ch2_frame_settings(const nghttp2_frame *frame) { return &frame->settings; }
static inline int32_t ch2_frame_window_increment(const nghttp2_frame *frame) {
  return frame->window_update.window_size_increment;
}
/// The PRIORITY_UPDATE frame's payload, or NULL where this build of nghttp2 did not decode one.
static inline const nghttp2_ext_priority_update *ch2_frame_priority_update(const nghttp2_frame *frame) {
  return (const nghttp2_ext_priority_update *)frame->ext.payload;
}

// MARK: - Names

/// The ASCII form of an internationalised host name (UTS 46), by libidn2, which is loaded for that (dlopen). `name` is
/// UTF-8. False where it has none, with the reason in `*why`: NULL where libidn2 is not installed.
bool ch2_idn_to_ascii(const char *name, char *ascii, size_t size, const char **why);

// MARK: - OpenSSL: macros that Swift cannot see, and ALPN

/// A client context: TLS `min` to `max` (0: no limit), partial writes, read-ahead into a buffer of `read_buffer`
/// bytes, no renegotiation, no compression; any certificate that it trusts may end a chain. NULL on failure (see
/// ERR_get_error).
SSL_CTX *ch2_client_context(int min, int max, size_t read_buffer);

/// A server context as above, that chooses from `alpn` (wire format; kept by the context's owner) by its own order.
SSL_CTX *ch2_server_context(int min, int max, size_t read_buffer, const uint8_t *alpn, unsigned alpn_length);

/// SSL_CTX_free, and the ALPN list that ch2_server_context keeps. To be called when no SSL of the context is left.
void ch2_context_free(SSL_CTX *ctx);

/// SNI and the name to verify: a host name is sent and matched, an IP address is only matched (RFC 6066 section 3).
bool ch2_ssl_set_peer(SSL *ssl, const char *host, bool is_ip_address, bool verify);

/// Whether the server of a client's connection has asked for a certificate (the callback that OpenSSL offers for it has no
/// other place to note that).
bool ch2_ssl_was_asked_for_certificate(const SSL *ssl);
/// The peer's TLS alert (RFC 8446 section 6) that an error stands for; 0 where it is none. The offset is a macro.
int ch2_ssl_alert_number(unsigned long error);

/// Has the sessions of a client's connections told to `keep`, which may duplicate them and returns 0; the context keeps
/// none (SSL_CTX_set_session_cache_mode is a macro).
void ch2_tell_sessions(SSL_CTX *ctx, int (*keep)(SSL *ssl, SSL_SESSION *session));

/// ERR_get_error's queue has to be emptied before a call whose SSL_get_error is to be believed.
static inline void ch2_ssl_clear_errors(void) { ERR_clear_error(); }

/// SSL_get_peer_certificate is a macro in OpenSSL 3. The caller owns the result.
static inline X509 *ch2_ssl_peer_certificate(const SSL *ssl) { return SSL_get1_peer_certificate(ssl); }

/// A BIO on a socket that sends with MSG_NOSIGNAL: OpenSSL's own uses write(2), which raises SIGPIPE in whoever uses
/// this library. The BIO does not own the descriptor.
BIO *ch2_socket_bio(int fd);

/// XN_FLAG_ONELINE is a compound macro. One line, UTF-8 left as it is, control characters escaped.
static inline int ch2_print_name(BIO *out, const X509_NAME *name) {
  return X509_NAME_print_ex(out, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
}

/// True where the peer ended without close_notify, which OpenSSL 3 reports as an SSL error of its own.
bool ch2_ssl_is_unexpected_eof(unsigned long error);

/// Makes a throw-away P-256 key and a certificate for the comma-separated `names` (DNS names and IP addresses), signed
/// by a throw-away CA, and installs both in `ctx`. Writes the CA's PEM to `*ca_pem` (free with ch2_free) and the
/// server certificate's SHA-256 to `fingerprint` (32 bytes). False on failure.
bool ch2_self_signed(SSL_CTX *ctx, const char *names, int days, char **ca_pem, size_t *ca_length, uint8_t *fingerprint);
void ch2_free(void *pointer);

// MARK: - Threads and system calls

/// Tell ThreadSanitizer that what one thread did to an object before the first call is done before the second returns on
/// another. Swift's runtime orders a continuation's two sides by a compare-and-swap that ThreadSanitizer does not see.
/// Functions, since the clang module that Swift imports does not know whether Swift is sanitized; empty otherwise.
void ch2_hand_over(const void *object);
void ch2_take_over(const void *object);

/// The event loop whose thread this is, or NULL. Swift has no thread-local variables that cost one instruction.
extern _Thread_local void *ch2_current_loop_storage;
static inline void *ch2_current_loop(void) { return ch2_current_loop_storage; }
static inline void ch2_set_current_loop(void *loop) { ch2_current_loop_storage = loop; }

#if defined(__linux__)
/// `import Glibc` does not offer eventfd (its header is missing from the module map).
static inline int ch2_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
/// epoll_event is packed and holds a union, which Swift writes only by way of a temporary.
static inline int ch2_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  return epoll_ctl(epoll, operation, fd, &event);
}
/// epoll_pwait2(2), whose timeout is in nanoseconds, where the kernel has it (5.11), else epoll_wait(2), rounded up to a
/// millisecond, so that a timer is due when its wait ends. Negative: no timeout.
int ch2_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds);
static inline uint64_t ch2_epoll_data(const struct epoll_event *event) { return event->data.u64; }
static inline uint32_t ch2_epoll_events(const struct epoll_event *event) { return event->events; }
#endif

/// CLOCK_MONOTONIC in nanoseconds: `timespec` reaches Swift through an overlay that MemberImportVisibility hides.
static inline uint64_t ch2_monotonic_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/// CLOCK_THREAD_CPUTIME_ID in nanoseconds, and CLOCK_REALTIME in seconds, for the same reason.
uint64_t ch2_thread_nanoseconds(void);
double ch2_wall_seconds(void);
/// getrusage, whose structures are out of reach as well and whose sizes have other units on each system: CPU seconds of
/// the process; returns its largest resident size in bytes.
ptrdiff_t ch2_process_usage(double *user, double *system);

/// Whether a descriptor is open for writing (fcntl is variadic).
bool ch2_may_write(int descriptor);

/// pthread_cond_timedwait for a number of seconds by the monotonic clock, where the system can; false where they passed.
/// `condition` is a pthread_cond_t and `mutex` a pthread_mutex_t that the caller holds.
bool ch2_cond_wait(void *condition, void *mutex, int seconds);

/// pthread_setname_np is a GNU extension that Glibc's module leaves out, and has another signature on Darwin.
void ch2_name_this_thread(const char *name);
/// prctl's PR_SET_TIMERSLACK, which is variadic, and so out of Swift's reach. Nothing on other systems.
void ch2_set_timer_slack(uint64_t nanoseconds);

/// The longest text of an address, with its zone and its port, and the NUL at its end.
#define CH2_ADDRESS_TEXT 96

/// Addresses of a socket as text, `127.0.0.1:80`, `[::1]:80` or `[fe80::1%eth0]:80`, into `text` (CH2_ADDRESS_TEXT bytes).
/// sockaddr's casts are clumsy and its unions unreachable in Swift.
bool ch2_socket_name(int fd, bool peer, char text[CH2_ADDRESS_TEXT]);
bool ch2_address_text(const struct sockaddr *address, char text[CH2_ADDRESS_TEXT]);

/// What every TCP socket of ours has, made or accepted: TCP_NODELAY, and where the system could not be told when it was
/// made, non-blocking, close-on-exec and no SIGPIPE. Returns `fd`, also a negative one.
int ch2_tcp_options(int fd);
/// socket(2), non-blocking and close-on-exec on every system, with TCP_NODELAY.
int ch2_tcp_socket(int family);
/// Has the socket connect from an address, from whatever port; 0, or errno.
int ch2_bind_source(int fd, const struct sockaddr *address, socklen_t length);
/// TCP keep-alive: a probe after `idle` seconds without a segment from the peer, another each `interval` seconds, `count` of
/// them; and the end of the connection once what was sent stays unacknowledged for `user_timeout` milliseconds (Linux:
/// TCP_USER_TIMEOUT; Darwin, in seconds: TCP_RXT_CONNDROPTIME). The options have other names on each system.
/// False where the system refused one of them.
bool ch2_keep_alive(int fd, int idle, int interval, int count, int user_timeout);
/// The pending error of a socket (SO_ERROR).
int ch2_socket_error(int fd);
/// send(2) without SIGPIPE.
ssize_t ch2_send(int fd, const void *bytes, size_t count);
/// The same, once, and also for a socket that is not non-blocking (MSG_DONTWAIT): it may be somebody else's.
ssize_t ch2_send_now(int fd, const void *bytes, size_t count);

/// Bytes that were written to a TCP socket and that the other end has not acknowledged (SIOCOUTQ, SO_NWRITE); -1 where the
/// system does not tell.
int ch2_unsent_bytes(int fd);

/// A listening socket on a literal IPv4 or IPv6 address, made as ch2_tcp_socket does; -1 with errno. sockaddr's casts are
/// clumsy in Swift.
int ch2_listen(const char *address, uint16_t port, int backlog);
/// accept4(2) (which Darwin lacks): the connection is non-blocking, close-on-exec, with TCP_NODELAY.
int ch2_accept(int listener);
/// The port of a bound socket, or -1.
int ch2_socket_port(int fd);
/// Makes the close of a socket abrupt: `reset` sends a TCP RST (SO_LINGER's struct differs between systems), otherwise
/// both directions end here and now, so that TLS cannot say close_notify.
void ch2_break_connection(int fd, bool reset);

/// openat2(2) with RESOLVE_BENEATH: the kernel refuses (EXDEV) what leads out of `folder` by dots or symbolic links, in
/// one step that nobody can get between. ENOSYS where there is no such call.
int ch2_open_beneath(int folder, const char *path, int flags);
/// What tells one state of a file from another: device, inode, size, and the time of its last change in seconds and
/// nanoseconds (`timespec` is out of reach, and its field has another name on Darwin). All 0 where there is no such file.
void ch2_file_stamp(const char *path, uint64_t stamp[5]);
/// open is variadic.
int ch2_open(const char *path, int flags, int mode);
/// Renames where nothing has the new name yet, else EEXIST (renameat2(2), renamex_np(2)). ENOSYS, EPERM or EINVAL where the
/// system or the file system has no such call.
int ch2_rename_new(const char *from, const char *to);
/// fcntl is variadic.
int ch2_set_nonblocking(int fd);
/// A duplicate (F_DUPFD_CLOEXEC); fcntl is variadic.
int ch2_duplicate(int fd);
/// Opens a file that can be opened without waiting for a disk (openat2(2) with RESOLVE_CACHED). EAGAIN where it cannot, or
/// where the system does not say.
int ch2_open_cached(const char *path, int flags);
/// Reads what can be had without waiting for a disk (preadv2(2) with RWF_NOWAIT). EAGAIN where there is nothing, and
/// EOPNOTSUPP where the system does not say.
ssize_t ch2_read_cached(int fd, void *buffer, size_t count, int64_t offset);

#endif
