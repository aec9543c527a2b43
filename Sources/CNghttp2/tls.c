#include "CNghttp2.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/proverr.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// MARK: - Contexts

// OpenSSL cleans up in exit(), while other threads, such as an event loop's, may still be inside it, which occasionally
// crashes. A process that ends needs no cleanup. The first initialisation decides, so this runs before main, before anyone else
// uses OpenSSL.
__attribute__((constructor)) static void initialise_without_clean_up(void) {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

// MARK: - Error strings

// OpenSSL loads the texts of all its errors with the first error that it records, which its start-up always does: 0.25 ms of a
// process that may never show one. It can be told once not to; then its own function to load them does nothing any more, so
// each library's texts are loaded. Those functions are deprecated, but nothing replaces them.
#if OPENSSL_VERSION_MAJOR == 3 && !defined(OPENSSL_NO_DEPRECATED_3_0)
static atomic_bool lacks_strings;
static CRYPTO_ONCE strings_once = CRYPTO_ONCE_STATIC_INIT;

void ch2_defer_error_strings(void) {
  atomic_store(&lacks_strings, true);
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_SSL_STRINGS, NULL);
}

// No function that is exported loads these texts, of which a client meets the following.
static const ERR_STRING_DATA provider_strings[] = {
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_BAD_DECRYPT), "bad decrypt"},
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_CIPHER_OPERATION_FAILED), "cipher operation failed"},
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_INVALID_DIGEST), "invalid digest"},
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_INVALID_KEY), "invalid key"},
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_INVALID_KEY_LENGTH), "invalid key length"},
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_INVALID_SIGNATURE_SIZE), "invalid signature size"},
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_KEY_SIZE_TOO_SMALL), "key size too small"},
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_MISSING_KEY), "missing key"},
    {ERR_PACK(ERR_LIB_PROV, 0, PROV_R_NOT_SUPPORTED), "not supported"},
    {0, NULL},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void load_strings(void) {
  ERR_load_ERR_strings();
  ERR_load_ASN1_strings();
  ERR_load_BIO_strings();
  ERR_load_BN_strings();
  ERR_load_BUF_strings();
  ERR_load_CONF_strings();
  ERR_load_CRYPTO_strings();
#ifndef OPENSSL_NO_DH
  ERR_load_DH_strings();
#endif
#ifndef OPENSSL_NO_DSA
  ERR_load_DSA_strings();
#endif
#ifndef OPENSSL_NO_EC
  ERR_load_EC_strings();
#endif
#ifndef OPENSSL_NO_ENGINE
  ERR_load_ENGINE_strings();
#endif
  ERR_load_EVP_strings();
  ERR_load_OBJ_strings();
#ifndef OPENSSL_NO_OCSP
  ERR_load_OCSP_strings();
#endif
  ERR_load_OSSL_STORE_strings();
  ERR_load_PEM_strings();
  ERR_load_PKCS12_strings();
  ERR_load_PKCS7_strings();
  ERR_load_RAND_strings();
  ERR_load_RSA_strings();
  ERR_load_UI_strings();
  ERR_load_X509_strings();
  ERR_load_X509V3_strings();
  ERR_load_SSL_strings();
  ERR_load_strings_const(provider_strings);
}
#pragma GCC diagnostic pop

const char *ch2_error_reason(unsigned long error) {
  if (atomic_load(&lacks_strings)) CRYPTO_THREAD_run_once(&strings_once, load_strings);
  return ERR_reason_error_string(error);
}
#else
void ch2_defer_error_strings(void) {}
const char *ch2_error_reason(unsigned long error) { return ERR_reason_error_string(error); }
#endif

void ch2_warm_up_tls(void) {
  OPENSSL_init_ssl(0, NULL);
  // The first look-up of an algorithm loads the configuration and the default provider, and indexes all names.
  EVP_CIPHER_free(EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL));
  ERR_clear_error();
}

// OpenSSL's default prompts on the terminal, and waits there.
static int no_password(char *buffer, int size, int writing, void *arg) {
  (void)buffer, (void)size, (void)writing, (void)arg;
  return -1;
}

static SSL_CTX *new_context(const SSL_METHOD *method, int min, int max, size_t read_buffer) {
  SSL_CTX *ctx = SSL_CTX_new(method);
  if (ctx == NULL) return NULL;
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_ALL);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb(ctx, no_password);
  SSL_CTX_set_read_ahead(ctx, 1);
  SSL_CTX_set_default_read_buffer_len(ctx, read_buffer);
  if (SSL_CTX_set_min_proto_version(ctx, min ? min : TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(ctx, max) != 1) {
    SSL_CTX_free(ctx);
    return NULL;
  }
  return ctx;
}

// Set on a connection whose server requested a client certificate.
static int asked_index = -1;
static CRYPTO_ONCE asked_once = CRYPTO_ONCE_STATIC_INIT;
static void make_asked_index(void) { asked_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL); }

static int note_request(SSL *ssl, void *arg) {
  (void)arg;
  SSL_set_ex_data(ssl, asked_index, ssl);
  return 1;
}

SSL_CTX *ch2_client_context(int min, int max, size_t read_buffer) {
  SSL_CTX *ctx = new_context(TLS_client_method(), min, max, read_buffer);
  if (ctx == NULL) return NULL;
  if (CRYPTO_THREAD_run_once(&asked_once, make_asked_index) == 1 && asked_index >= 0)
    SSL_CTX_set_cert_cb(ctx, note_request, NULL);
  // A certificate configured as trusted is trusted, even if it is not self-signed.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
  return ctx;
}

bool ch2_ssl_was_asked_for_certificate(const SSL *ssl) {
  return asked_index >= 0 && SSL_get_ex_data(ssl, asked_index) != NULL;
}

int ch2_ssl_alert_number(unsigned long error) {
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return 0;
  int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
  return alert > 0 && alert < 256 ? alert : 0;
}

void ch2_tell_sessions(SSL_CTX *ctx, int (*keep)(SSL *ssl, SSL_SESSION *session)) {
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, keep);
}

struct alpn_list {
  const uint8_t *bytes;
  unsigned length;
};

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                       unsigned in_length, void *arg) {
  (void)arg;
  struct alpn_list *list = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  if (SSL_select_next_proto((unsigned char **)out, out_length, list->bytes, list->length, in, in_length) ==
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_OK;
  // RFC 7301 section 3.2: having no protocol in common is fatal.
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX *ch2_server_context(int min, int max, size_t read_buffer, const uint8_t *alpn, unsigned alpn_length) {
  SSL_CTX *ctx = new_context(TLS_server_method(), min, max, read_buffer);
  if (ctx == NULL) return NULL;
  if (alpn_length > 0) {
    // One small list for the lifetime of a server, stored with the context.
    struct alpn_list *list = malloc(sizeof *list + alpn_length);
    if (list == NULL) {
      SSL_CTX_free(ctx);
      return NULL;
    }
    memcpy(list + 1, alpn, alpn_length);
    *list = (struct alpn_list){.bytes = (uint8_t *)(list + 1), .length = alpn_length};
    SSL_CTX_set_app_data(ctx, list);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
  }
  return ctx;
}

void ch2_context_free(SSL_CTX *ctx) {
  free(SSL_CTX_get_app_data(ctx));
  SSL_CTX_free(ctx);
}

// MARK: - The socket BIO

static int socket_of(BIO *bio) { return (int)(intptr_t)BIO_get_data(bio); }

static bool is_retryable(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

static int bio_write(BIO *bio, const char *bytes, size_t count, size_t *written) {
  BIO_clear_retry_flags(bio);
  ssize_t result = ch2_send(socket_of(bio), bytes, count);
  if (result < 0) {
    if (is_retryable()) BIO_set_retry_write(bio);
    return 0;
  }
  *written = (size_t)result;
  return 1;
}

static int bio_read(BIO *bio, char *bytes, size_t count, size_t *taken) {
  BIO_clear_retry_flags(bio);
  ssize_t result;
  do result = recv(socket_of(bio), bytes, count, 0);
  while (result < 0 && errno == EINTR);
  if (result > 0) {
    *taken = (size_t)result;
    return 1;
  }
  if (result < 0 && is_retryable()) BIO_set_retry_read(bio);
  if (result == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return 0;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default: return 0;
  }
}

static int bio_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

static BIO_METHOD *socket_method;
static CRYPTO_ONCE socket_method_once = CRYPTO_ONCE_STATIC_INIT;

static void make_socket_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
  if (method == NULL) return;
  BIO_meth_set_write_ex(method, bio_write);
  BIO_meth_set_read_ex(method, bio_read);
  BIO_meth_set_ctrl(method, bio_control);
  BIO_meth_set_create(method, bio_create);
  socket_method = method;
}

BIO *ch2_socket_bio(int fd) {
  if (CRYPTO_THREAD_run_once(&socket_method_once, make_socket_method) != 1 || socket_method == NULL) return NULL;
  BIO *bio = BIO_new(socket_method);
  if (bio != NULL) BIO_set_data(bio, (void *)(intptr_t)fd);
  return bio;
}

// MARK: - The BIO over another wire

struct carrier {
  void *user;
  ch2_carrier_read read;
  ch2_carrier_write write;
};

static int carrier_write(BIO *bio, const char *bytes, size_t count, size_t *written) {
  struct carrier *carrier = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  errno = 0;
  ssize_t result = carrier->write(carrier->user, bytes, count);
  if (result <= 0) {
    if (result == CH2_CARRIER_WOULD_BLOCK) BIO_set_retry_write(bio);
    return 0;
  }
  *written = (size_t)result;
  return 1;
}

static int carrier_read(BIO *bio, char *bytes, size_t count, size_t *taken) {
  struct carrier *carrier = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  errno = 0;
  ssize_t result = carrier->read(carrier->user, bytes, count);
  if (result > 0) {
    *taken = (size_t)result;
    return 1;
  }
  if (result == CH2_CARRIER_WOULD_BLOCK) BIO_set_retry_read(bio);
  if (result == CH2_CARRIER_END) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return 0;
}

static int carrier_destroy(BIO *bio) {
  free(BIO_get_data(bio));
  BIO_set_data(bio, NULL);
  return 1;
}

static BIO_METHOD *carrier_method;
static CRYPTO_ONCE carrier_method_once = CRYPTO_ONCE_STATIC_INIT;

static void make_carrier_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "another wire");
  if (method == NULL) return;
  BIO_meth_set_write_ex(method, carrier_write);
  BIO_meth_set_read_ex(method, carrier_read);
  BIO_meth_set_ctrl(method, bio_control);
  BIO_meth_set_create(method, bio_create);
  BIO_meth_set_destroy(method, carrier_destroy);
  carrier_method = method;
}

BIO *ch2_carrier_bio(void *user, ch2_carrier_read read, ch2_carrier_write write) {
  if (CRYPTO_THREAD_run_once(&carrier_method_once, make_carrier_method) != 1 || carrier_method == NULL) return NULL;
  struct carrier *carrier = malloc(sizeof *carrier);
  if (carrier == NULL) return NULL;
  *carrier = (struct carrier){.user = user, .read = read, .write = write};
  BIO *bio = BIO_new(carrier_method);
  if (bio == NULL) {
    free(carrier);
    return NULL;
  }
  BIO_set_data(bio, carrier);
  return bio;
}

// MARK: - Peers

bool ch2_ssl_set_peer(SSL *ssl, const char *host, bool is_ip_address, bool verify) {
  X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
  if (!is_ip_address && SSL_set_tlsext_host_name(ssl, host) != 1) return false;
  if (!verify) {
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    return true;
  }
  SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
  if (is_ip_address) return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
  // OpenSSL takes an empty name for "any", and a name with a leading dot for any name below it.
  if (*host == 0 || *host == '.') return false;
  // RFC 9110 section 4.3.4: host names are in the certificate's alternative names, not in its subject.
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

bool ch2_ssl_is_unexpected_eof(unsigned long error) {
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
  return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
#else
  (void)error;
  return false;
#endif
}

// MARK: - A temporary certificate

static X509 *make_certificate(EVP_PKEY *key, const char *common_name, X509 *issuer, EVP_PKEY *issuer_key,
                              const char *names, int days) {
  X509 *cert = X509_new();
  if (cert == NULL) return NULL;
  uint8_t serial[8];
  bool ok = RAND_bytes(serial, sizeof serial) == 1;
  serial[0] &= 0x7f;
  BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
  ok = ok && number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
  BN_free(number);
  X509_NAME *subject = X509_get_subject_name(cert);
  ok = ok && X509_set_version(cert, 2) == 1 && X509_gmtime_adj(X509_getm_notBefore(cert), -60) != NULL &&
       X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days) != NULL && X509_set_pubkey(cert, key) == 1 &&
       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)common_name, -1, -1, 0) == 1 &&
       X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject) == 1;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer ? issuer : cert, cert, NULL, NULL, 0);
  const struct {
    int nid;
    const char *value;
  } extensions[] = {
      {NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE"},
      {NID_key_usage, issuer ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign"},
      {NID_subject_key_identifier, "hash"},
      {NID_authority_key_identifier, issuer ? "keyid:always" : NULL},
      {NID_ext_key_usage, issuer ? "serverAuth" : NULL},
      {NID_subject_alt_name, names},
  };
  for (size_t i = 0; ok && i < sizeof extensions / sizeof *extensions; i++) {
    if (extensions[i].value == NULL) continue;
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, extensions[i].nid, extensions[i].value);
    ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
  }
  if (ok && X509_sign(cert, issuer ? issuer_key : key, EVP_sha256()) > 0) return cert;
  X509_free(cert);
  return NULL;
}

// "localhost,127.0.0.1" -> "DNS:localhost,IP:127.0.0.1"; the caller frees it.
static char *alternative_names(const char *names) {
  char *copy = strdup(names), *out = calloc(1, strlen(names) * 6 + 1), *rest = copy;
  if (copy != NULL && out != NULL) {
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
      if (*name == 0) continue;
      ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
      if (*out) strcat(out, ",");
      strcat(strcat(out, ip ? "IP:" : "DNS:"), name);
      ASN1_OCTET_STRING_free(ip);
    }
  }
  free(copy);
  return out;
}

bool ch2_self_signed(SSL_CTX *ctx, const char *names, int days, char **ca_pem, size_t *ca_length,
                     uint8_t *fingerprint) {
  EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
  char *alternatives = alternative_names(names);
  X509 *ca = NULL, *cert = NULL;
  BIO *pem = BIO_new(BIO_s_mem());
  bool ok = ca_key != NULL && key != NULL && alternatives != NULL && pem != NULL;
  ok = ok && (ca = make_certificate(ca_key, "H2ClientTesting throw-away CA", NULL, NULL, NULL, days)) != NULL;
  ok = ok && (cert = make_certificate(key, "H2ClientTesting", ca, ca_key, alternatives, days)) != NULL;
  ok = ok && SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;
  unsigned length = 32;
  ok = ok && X509_digest(cert, EVP_sha256(), fingerprint, &length) == 1 && PEM_write_bio_X509(pem, ca) == 1;
  if (ok) {
    char *bytes = NULL;
    long count = BIO_get_mem_data(pem, &bytes);
    *ca_pem = malloc((size_t)count);
    ok = *ca_pem != NULL;
    if (ok) memcpy(*ca_pem, bytes, *ca_length = (size_t)count);
  }
  BIO_free(pem);
  X509_free(cert);
  X509_free(ca);
  free(alternatives);
  EVP_PKEY_free(key);
  EVP_PKEY_free(ca_key);
  return ok;
}

void ch2_free(void *pointer) { free(pointer); }
