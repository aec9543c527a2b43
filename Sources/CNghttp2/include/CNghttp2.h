// The only access to nghttp2, OpenSSL and the kernel's event queue. Everything that Swift can call directly (SSL_read,
// nghttp2_submit_ping, ...) is called through this header; a ch2_ function exists only if Swift cannot (macros, variadic
// functions, unions, names that differ between versions), and its comment says why.
#ifndef CNGHTTP2_H
#define CNGHTTP2_H

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
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

// nghttp2 1.60 renamed its size type and every function that uses it; both are a pointer-sized signed integer, so Swift sees
// one type (Int) and one name for each function, on every version.
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

/// A free-list allocator for an nghttp2 session: a stream consists of four small blocks, and with a hundred concurrent streams
/// malloc's per-thread cache (seven blocks per size in glibc) misses nearly all of them. Blocks up to 1 KiB are kept, at most
/// `CH2_POOL_KEPT` of each size; larger ones use malloc. Like nghttp2 itself, not thread-safe.
typedef struct ch2_pool ch2_pool;
ch2_pool *ch2_pool_new(void);
/// Called after nghttp2_session_del.
void ch2_pool_delete(ch2_pool *pool);
/// nghttp2_session_client_new3 and nghttp2_session_server_new3 with the pool as nghttp2_mem, whose function pointers Swift
/// could only set with trampolines.
int ch2_session_client_new(nghttp2_session **session, const nghttp2_session_callbacks *callbacks,
                           const nghttp2_option *option, ch2_pool *pool);

/// nghttp2_option_set_max_continuations if this nghttp2 has it: a fix of 2024 that distributions backported, so version numbers
/// do not tell. Its own limit, 8 by default, would apply before ours.
void ch2_option_set_max_continuations(nghttp2_option *option, size_t limit);

/// nghttp2_option_set_stream_reset_rate_limit if this nghttp2 has it: it was added in 2023 together with the limit (by default
/// 1,000 at once and 33 per second), and distributions backported both.
void ch2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate);

/// nghttp2_submit_request(2). Swift cannot name both data provider types; NULL `read` means no body.
int32_t ch2_submit_request(nghttp2_session *session, const nghttp2_nv *nva, size_t nvlen,
                           ch2_data_source_read_callback read, void *source, void *stream_user_data);

/// nghttp2_submit_response(2), as above. For servers.
int ch2_submit_response(nghttp2_session *session, int32_t stream_id, const nghttp2_nv *nva, size_t nvlen,
                        ch2_data_source_read_callback read, void *source);

/// nghttp2_data_source is a union, whose pointer member Swift can only reach through a C function.
static inline void *ch2_data_source_pointer(const nghttp2_data_source *source) { return source->ptr; }

// nghttp2_frame is a union: Swift imports its members as computed copies of the whole union, which is slow in a callback that
// runs for every frame. These read only the requested member.
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
/// The PRIORITY_UPDATE frame's payload, or NULL if this build of nghttp2 did not decode it.
static inline const nghttp2_ext_priority_update *ch2_frame_priority_update(const nghttp2_frame *frame) {
  return (const nghttp2_ext_priority_update *)frame->ext.payload;
}

// MARK: - Names

/// Converts an internationalised host name to its ASCII form (UTS 46) with libidn2, loaded by dlopen. `name` is UTF-8. Returns
/// false if there is none, with the reason in `*why`: NULL if libidn2 is not installed.
bool ch2_idn_to_ascii(const char *name, char *ascii, size_t size, const char **why);

/// Whether a domain is in the public suffix list of libpsl, loaded by dlopen. `domain` is in lower case and in ASCII form.
/// False if libpsl is not installed.
bool ch2_is_public_suffix(const char *domain);

// MARK: - OpenSSL: macros that Swift cannot see, and ALPN

/// A client context: TLS `min` to `max` (0: no limit), partial writes, read-ahead into a buffer of `read_buffer` bytes, no
/// renegotiation, no compression; any trusted certificate may end a chain. NULL on failure (see ERR_get_error).
SSL_CTX *ch2_client_context(int min, int max, size_t read_buffer);

/// A server context as above, which chooses from `alpn` (wire format; copied into the context) in its own order.
SSL_CTX *ch2_server_context(int min, int max, size_t read_buffer, const uint8_t *alpn, unsigned alpn_length);

/// SSL_CTX_free, and frees the ALPN list of ch2_server_context. Called when no SSL of the context is left.
void ch2_context_free(SSL_CTX *ctx);

/// SNI and the name to verify: a host name is sent and matched, an IP address is only matched (RFC 6066 section 3).
bool ch2_ssl_set_peer(SSL *ssl, const char *host, bool is_ip_address, bool verify);

/// Whether the server of a client connection requested a certificate (OpenSSL's callback for this has no other place to record
/// it).
bool ch2_ssl_was_asked_for_certificate(const SSL *ssl);
/// The peer's TLS alert (RFC 8446 section 6) in an error; 0 if it is not one. The offset is a macro.
int ch2_ssl_alert_number(unsigned long error);

/// Passes the sessions of client connections to `keep`, which may duplicate them and returns 0; the context stores none
/// (SSL_CTX_set_session_cache_mode is a macro).
void ch2_tell_sessions(SSL_CTX *ctx, int (*keep)(SSL *ssl, SSL_SESSION *session));

/// ERR_get_error's queue must be empty before a call for SSL_get_error to be reliable.
static inline void ch2_ssl_clear_errors(void) { ERR_clear_error(); }

/// SSL_get_peer_certificate is a macro in OpenSSL 3. The caller owns the result.
static inline X509 *ch2_ssl_peer_certificate(const SSL *ssl) { return SSL_get1_peer_certificate(ssl); }

/// A BIO on a socket that sends with MSG_NOSIGNAL: OpenSSL's own uses write(2), which raises SIGPIPE in programs that use this
/// library. The BIO does not own the descriptor.
BIO *ch2_socket_bio(int fd);

/// A BIO on something else than a socket. `read` and `write` move up to `count` bytes and return how many, or one of the codes.
enum { CH2_CARRIER_END = 0, CH2_CARRIER_WOULD_BLOCK = -1, CH2_CARRIER_FAILED = -2 };
typedef ssize_t (*ch2_carrier_read)(void *user, char *bytes, size_t count);
typedef ssize_t (*ch2_carrier_write)(void *user, const char *bytes, size_t count);
BIO *ch2_carrier_bio(void *user, ch2_carrier_read read, ch2_carrier_write write);

/// XN_FLAG_ONELINE is a compound macro. Prints one line, with UTF-8 unchanged and control characters escaped.
static inline int ch2_print_name(BIO *out, const X509_NAME *name) {
  return X509_NAME_print_ex(out, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
}

/// Has OpenSSL do what the first context would otherwise wait for.
void ch2_warm_up_tls(void);

/// Loads the texts of OpenSSL's errors when the first one is asked for by ch2_error_reason, not as OpenSSL starts. It holds for
/// the whole process, whose other users of OpenSSL get numbers until then. Before anything else uses OpenSSL.
void ch2_defer_error_strings(void);

/// The text of an error without the names of its library; NULL if there is none.
const char *ch2_error_reason(unsigned long error);

/// True if the peer closed without close_notify, which OpenSSL 3 reports as a separate SSL error.
bool ch2_ssl_is_unexpected_eof(unsigned long error);

// Certificates from memory: STACK_OF(...) and what works on it are macros.

/// The certificates and revocation lists in PEM or DER bytes.
typedef struct ch2_certificates ch2_certificates;
/// Malformed bytes yield nothing, with the reason in OpenSSL's queue; NULL if there is no memory.
ch2_certificates *ch2_certificates_new(const uint8_t *bytes, size_t length, bool is_pem);
void ch2_certificates_free(ch2_certificates *all);
/// Trusts the certificates, returning how many; 0 if there are none, or one cannot be used.
int ch2_trust(SSL_CTX *ctx, const ch2_certificates *all);
/// Adds the revocation lists, returning how many as above. Every certificate of a chain then needs one of its issuer.
int ch2_add_revocation_lists(SSL_CTX *ctx, const ch2_certificates *all);
/// Presents the first certificate, with the others as its chain.
bool ch2_use_certificates(SSL_CTX *ctx, const ch2_certificates *all);
/// Uses the first private key, which has to belong to the certificate. `passphrase` may be NULL; `*needs_passphrase` says whether
/// the key is encrypted. (OpenSSL asks for a passphrase by a callback that may not call back into Swift for long.)
bool ch2_use_key(SSL_CTX *ctx, const uint8_t *bytes, size_t length, bool is_pem, const char *passphrase,
                 size_t passphrase_length, bool *needs_passphrase);

/// The verdict on an OCSP staple (RFC 6066 section 8).
typedef enum {
  /// There is none, or it says nothing.
  CH2_STAPLE_NONE,
  CH2_STAPLE_GOOD,
  CH2_STAPLE_REVOKED,
  /// It may not be relied on.
  CH2_STAPLE_INVALID,
} ch2_staple;

/// Has client connections ask for a staple. `judge` is called in each handshake in which a certificate was verified; 0 from it
/// ends the handshake. Both are macros.
void ch2_ask_for_staple(SSL_CTX *ctx, int (*judge)(SSL *ssl, void *arg));
/// Called by `judge`. `*is_promised`: the certificate says that there is always a staple (RFC 7633). `*why` completes "the
/// staple" if it is invalid, and is the reason, possibly empty, if it is revoked.
ch2_staple ch2_check_staple(SSL *ssl, bool *is_promised, const char **why);

/// Calls `found` with each DNS name and IP address (4 or 16 bytes) of a certificate.
void ch2_alternative_names(const X509 *certificate, void *context,
                           void (*found)(const uint8_t *name, size_t length, bool is_address, void *context));

/// Creates a temporary P-256 key and a certificate for the comma-separated `names` (DNS names and IP addresses), signed by a
/// temporary CA, and installs both in `ctx`. Writes the CA's PEM to `*ca_pem` (free with ch2_free) and the server certificate's
/// SHA-256 to `fingerprint` (32 bytes). Returns false on failure.
bool ch2_self_signed(SSL_CTX *ctx, const char *names, int days, char **ca_pem, size_t *ca_length, uint8_t *fingerprint);
void ch2_free(void *pointer);

// MARK: - Threads and system calls

/// Tell ThreadSanitizer that everything one thread did to an object before the first call happens before the second returns on
/// another thread. Swift's runtime orders the two sides of a continuation by a compare-and-swap that ThreadSanitizer does not
/// see. These are functions, since the clang module that Swift imports does not know whether Swift is sanitized; they are empty
/// otherwise.
void ch2_hand_over(const void *object);
void ch2_take_over(const void *object);

/// The event loop of the current thread, or NULL. Swift has no thread-local variables that cost one instruction.
extern _Thread_local void *ch2_current_loop_storage;
static inline void *ch2_current_loop(void) { return ch2_current_loop_storage; }
static inline void ch2_set_current_loop(void *loop) { ch2_current_loop_storage = loop; }

#if defined(__linux__)
/// `import Glibc` does not offer eventfd (its header is missing from the module map).
static inline int ch2_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
/// epoll_event is packed and contains a union, which Swift can only write through a temporary.
static inline int ch2_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  return epoll_ctl(epoll, operation, fd, &event);
}
/// epoll_pwait2(2), with a timeout in nanoseconds, if the kernel has it (5.11), otherwise epoll_wait(2), rounded up to a
/// millisecond so that a timer is due when its wait ends. Negative: no timeout.
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
/// getrusage, whose structures are also out of Swift's reach and whose units differ between systems. Writes the CPU seconds of
/// the process and returns its peak resident size in bytes.
ptrdiff_t ch2_process_usage(double *user, double *system);

/// Whether a descriptor is open for writing (fcntl is variadic).
bool ch2_may_write(int descriptor);

/// pthread_cond_timedwait for a number of seconds, by the monotonic clock if the system supports it; returns false on timeout.
/// `condition` is a pthread_cond_t and `mutex` a pthread_mutex_t that the caller holds.
bool ch2_cond_wait(void *condition, void *mutex, int seconds);

/// Lets all threads allocate from one heap. Glibc otherwise makes one for each thread at its first allocation. For programs
/// in which one thread does most of the work.
void ch2_share_heap(void);

/// pthread_setname_np is a GNU extension that Glibc's module omits, and has a different signature on Darwin.
void ch2_name_this_thread(const char *name);
/// prctl's PR_SET_TIMERSLACK, which Swift cannot call because prctl is variadic. Does nothing on other systems.
void ch2_set_timer_slack(uint64_t nanoseconds);

/// The longest text of an address, with zone, port and terminating NUL.
#define CH2_ADDRESS_TEXT 96

/// Writes the address of a socket as text, `127.0.0.1:80`, `[::1]:80` or `[fe80::1%eth0]:80`, to `text` (CH2_ADDRESS_TEXT
/// bytes). In Swift sockaddr's casts are clumsy and its unions unreachable.
bool ch2_socket_name(int fd, bool peer, char text[CH2_ADDRESS_TEXT]);
bool ch2_address_text(const struct sockaddr *address, char text[CH2_ADDRESS_TEXT]);

/// Sets the options common to all our TCP sockets, created or accepted: TCP_NODELAY and, if the system could not set them at
/// creation, non-blocking, close-on-exec and no SIGPIPE. Returns `fd`, even if negative.
int ch2_tcp_options(int fd);
/// socket(2), non-blocking and close-on-exec on every system, with TCP_NODELAY.
int ch2_tcp_socket(int family);
/// Binds the source address of a later connect, with any port unless it `has_port`. Returns 0, or errno.
int ch2_bind_source(int fd, const struct sockaddr *address, socklen_t length, bool has_port);
/// Lets a socket use this network interface alone. Returns 0, or errno.
int ch2_bind_interface(int fd, int family, const char *name);
/// Sets the type of service (IPv4) or traffic class (IPv6) of a socket's packets. Returns 0, or errno.
int ch2_set_traffic_class(int fd, int family, int value);
/// Sets TCP keep-alive: a probe after `idle` seconds without a segment from the peer, then one every `interval` seconds,
/// `count` in total. The connection is also ended once sent data stays unacknowledged for `user_timeout` milliseconds (Linux:
/// TCP_USER_TIMEOUT; Darwin, in seconds: TCP_RXT_CONNDROPTIME). The options' names differ between systems. Returns false if the
/// system rejected one.
bool ch2_keep_alive(int fd, int idle, int interval, int count, int user_timeout);
/// The pending error of a socket (SO_ERROR).
int ch2_socket_error(int fd);
/// send(2) without SIGPIPE.
ssize_t ch2_send(int fd, const void *bytes, size_t count);
/// The same, once, and also for a blocking socket (MSG_DONTWAIT), since it may belong to others.
ssize_t ch2_send_now(int fd, const void *bytes, size_t count);

/// Bytes written to a TCP socket that the other end has not acknowledged (SIOCOUTQ, SO_NWRITE); -1 if the system does not tell.
int ch2_unsent_bytes(int fd);

/// Creates a listening socket on a literal IPv4 or IPv6 address, with the options of ch2_tcp_socket; -1 with errno. sockaddr's
/// casts are clumsy in Swift.
int ch2_listen(const char *address, uint16_t port, int backlog);
/// accept4(2), which Darwin lacks: the connection is non-blocking and close-on-exec, with TCP_NODELAY.
int ch2_accept(int listener);
/// The port of a bound socket, or -1.
int ch2_socket_port(int fd);
/// Makes the close of a socket abrupt: with `reset` it sends a TCP RST (SO_LINGER's struct differs between systems), otherwise
/// both directions end immediately, so that TLS cannot send close_notify.
void ch2_break_connection(int fd, bool reset);

/// openat2(2) with RESOLVE_BENEATH: the kernel atomically rejects (EXDEV) paths that leave `folder` through dots or symbolic
/// links. ENOSYS if there is no such call.
int ch2_open_beneath(int folder, const char *path, int flags);
/// Identifies the state of a file: device, inode, size, and the time of its last change in seconds and nanoseconds (`timespec`
/// is out of reach, and its field has another name on Darwin). All 0 if there is no such file.
void ch2_file_stamp(const char *path, uint64_t stamp[5]);
/// open is variadic.
int ch2_open(const char *path, int flags, int mode);
/// Renames a file if the new name does not exist, otherwise EEXIST (renameat2(2), renamex_np(2)). ENOSYS, EPERM or EINVAL if
/// the system or the file system has no such call.
int ch2_rename_new(const char *from, const char *to);
/// Sets an extended attribute (fsetxattr, which the C library's module lacks on Linux and has two more parameters on Darwin).
int ch2_set_attribute(int fd, const char *name, const void *value, size_t length);
/// fcntl is variadic.
int ch2_set_nonblocking(int fd);
/// A duplicate (F_DUPFD_CLOEXEC); fcntl is variadic.
int ch2_duplicate(int fd);
/// Opens a file if this does not wait for a disk (openat2(2) with RESOLVE_CACHED). EAGAIN if it would, or if the system cannot
/// tell.
int ch2_open_cached(const char *path, int flags);
/// Reads what is available without waiting for a disk (preadv2(2) with RWF_NOWAIT). EAGAIN if nothing is, and EOPNOTSUPP if the
/// system cannot tell.
ssize_t ch2_read_cached(int fd, void *buffer, size_t count, int64_t offset);

#endif
