#include "CNghttp2.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

// MARK: - Certificates, lists and keys from memory

struct ch2_certificates {
  STACK_OF(X509) * certificates;
  STACK_OF(X509_CRL) * lists;
};

static void add_pem(ch2_certificates *all, const uint8_t *bytes, int length) {
  BIO *bio = BIO_new_mem_buf(bytes, length);
  STACK_OF(X509_INFO) *entries = bio == NULL ? NULL : PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
  for (int i = 0; i < sk_X509_INFO_num(entries); i++) {
    X509_INFO *entry = sk_X509_INFO_value(entries, i);
    if (entry->x509 != NULL && sk_X509_push(all->certificates, entry->x509) > 0) entry->x509 = NULL;
    if (entry->crl != NULL && sk_X509_CRL_push(all->lists, entry->crl) > 0) entry->crl = NULL;
  }
  sk_X509_INFO_pop_free(entries, X509_INFO_free);
  BIO_free(bio);
}

// Any number of certificates, or of lists, one after the other.
static void add_der(ch2_certificates *all, const uint8_t *bytes, long length) {
  const uint8_t *next = bytes, *end = bytes + length;
  X509 *certificate;
  while (next < end && (certificate = d2i_X509(NULL, &next, end - next)) != NULL)
    if (sk_X509_push(all->certificates, certificate) <= 0) X509_free(certificate);
  if (next == end) return;
  if (next != bytes) {
    // Something else follows.
    sk_X509_pop_free(all->certificates, X509_free);
    all->certificates = sk_X509_new_null();
    return;
  }
  X509_CRL *list;
  while (next < end && (list = d2i_X509_CRL(NULL, &next, end - next)) != NULL) {
    ERR_clear_error();
    if (sk_X509_CRL_push(all->lists, list) <= 0) X509_CRL_free(list);
  }
  if (next == end) return;
  sk_X509_CRL_pop_free(all->lists, X509_CRL_free);
  all->lists = sk_X509_CRL_new_null();
}

ch2_certificates *ch2_certificates_new(const uint8_t *bytes, size_t length, bool is_pem) {
  ch2_certificates *all = OPENSSL_zalloc(sizeof *all);
  if (all == NULL) return NULL;
  all->certificates = sk_X509_new_null();
  all->lists = sk_X509_CRL_new_null();
  if (length > 0 && length <= INT32_MAX) {
    if (is_pem) add_pem(all, bytes, (int)length);
    else add_der(all, bytes, (long)length);
  }
  return all;
}

void ch2_certificates_free(ch2_certificates *all) {
  if (all == NULL) return;
  sk_X509_pop_free(all->certificates, X509_free);
  sk_X509_CRL_pop_free(all->lists, X509_CRL_free);
  OPENSSL_free(all);
}

int ch2_trust(SSL_CTX *ctx, const ch2_certificates *all) {
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  int count = sk_X509_num(all->certificates);
  for (int i = 0; i < count; i++)
    if (X509_STORE_add_cert(store, sk_X509_value(all->certificates, i)) != 1) return 0;
  return count < 0 ? 0 : count;
}

int ch2_add_revocation_lists(SSL_CTX *ctx, const ch2_certificates *all) {
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  int count = sk_X509_CRL_num(all->lists);
  for (int i = 0; i < count; i++)
    if (X509_STORE_add_crl(store, sk_X509_CRL_value(all->lists, i)) != 1) return 0;
  if (count > 0)
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return count < 0 ? 0 : count;
}

bool ch2_use_certificates(SSL_CTX *ctx, const ch2_certificates *all) {
  int count = sk_X509_num(all->certificates);
  if (count < 1 || SSL_CTX_use_certificate(ctx, sk_X509_value(all->certificates, 0)) != 1) return false;
  SSL_CTX_clear_chain_certs(ctx);
  for (int i = 1; i < count; i++)
    if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(all->certificates, i)) != 1) return false;
  return true;
}

struct passphrase {
  const char *bytes;
  size_t length;
  bool is_wanted;
};

static int give_passphrase(char *buffer, int size, int writing, void *arg) {
  (void)writing;
  struct passphrase *passphrase = arg;
  passphrase->is_wanted = true;
  if (passphrase->bytes == NULL || size < 0 || passphrase->length > (size_t)size) return -1;
  memcpy(buffer, passphrase->bytes, passphrase->length);
  return (int)passphrase->length;
}

bool ch2_use_key(SSL_CTX *ctx, const uint8_t *bytes, size_t length, bool is_pem, const char *passphrase,
                 size_t passphrase_length, bool *needs_passphrase) {
  struct passphrase given = {.bytes = passphrase, .length = passphrase_length};
  EVP_PKEY *key = NULL;
  *needs_passphrase = false;
  if (length == 0 || length > INT32_MAX) return false;
  BIO *bio = BIO_new_mem_buf(bytes, (int)length);
  if (bio == NULL) return false;
  if (is_pem) {
    key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &given);
  } else if ((key = d2i_PrivateKey_bio(bio, NULL)) == NULL) {
    // It may be an encrypted key (PKCS #8).
    (void)BIO_reset(bio);
    key = d2i_PKCS8PrivateKey_bio(bio, NULL, give_passphrase, &given);
  }
  BIO_free(bio);
  *needs_passphrase = given.is_wanted;
  if (key != NULL) ERR_clear_error();
  bool is_used = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
  EVP_PKEY_free(key);
  return is_used;
}

// MARK: - OCSP staples

void ch2_ask_for_staple(SSL_CTX *ctx, int (*judge)(SSL *ssl, void *arg)) {
  SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp);
  SSL_CTX_set_tlsext_status_cb(ctx, judge);
}

// RFC 7633: the TLS feature extension lists the TLS extensions that the server promises to answer with; 5 is status_request
// (RFC 6066), 17 status_request_v2 (RFC 6961).
static bool promises_staple(const X509 *certificate) {
  TLS_FEATURE *features = X509_get_ext_d2i(certificate, NID_tlsfeature, NULL, NULL);
  bool promises = false;
  for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++) {
    long feature = ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i));
    promises = promises || feature == 5 || feature == 17;
  }
  sk_ASN1_INTEGER_pop_free(features, ASN1_INTEGER_free);
  return promises;
}

// Whether a single response is about this certificate. Responders choose the hash of its identifier.
static bool is_about(OCSP_SINGLERESP *single, const X509 *certificate, const X509 *issuer) {
  OCSP_CERTID *theirs = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
  ASN1_OBJECT *algorithm = NULL;
  if (theirs == NULL || OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, theirs) != 1) return false;
  const EVP_MD *hash = EVP_get_digestbyobj(algorithm);
  OCSP_CERTID *ours = hash == NULL ? NULL : OCSP_cert_to_id(hash, certificate, issuer);
  bool is_equal = ours != NULL && OCSP_id_cmp(ours, theirs) == 0;
  OCSP_CERTID_free(ours);
  return is_equal;
}

// Seconds that clocks may differ, and how old a response without an end may be (RFC 6960 section 4.2.2.1 leaves both open).
enum { clock_skew = 300, oldest = 10 * 86400 };

static ch2_staple judge_responses(OCSP_BASICRESP *basic, const X509 *certificate, const X509 *issuer,
                                  const char **why) {
  ch2_staple verdict = CH2_STAPLE_INVALID;
  *why = "is about another certificate";
  for (int i = 0; i < OCSP_resp_count(basic); i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
    if (!is_about(single, certificate, issuer)) continue;
    int reason = -1;
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    int status = OCSP_single_get0_status(single, &reason, NULL, &from, &until);
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
      *why = reason < 0 ? "" : OCSP_crl_reason_str(reason);
      return CH2_STAPLE_REVOKED;
    }
    if (status != V_OCSP_CERTSTATUS_GOOD) {
      *why = "does not know the certificate";
    } else if (OCSP_check_validity(from, until, clock_skew, until == NULL ? oldest : -1) == 1) {
      verdict = CH2_STAPLE_GOOD;
    } else {
      *why = "has expired, or is not yet valid";
    }
  }
  return verdict;
}

static ch2_staple judge_staple(const uint8_t *bytes, long length, STACK_OF(X509) * chain, const char **why) {
  ch2_staple verdict = CH2_STAPLE_INVALID;
  X509 *issuer = sk_X509_value(chain, 1);
  const uint8_t *next = bytes;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &next, length);
  OCSP_BASICRESP *basic = NULL;
  // The responder has to be the issuer, or have a certificate from it for this purpose (RFC 6960 section 4.2.2.2). So the only
  // certificate to trust is the issuer's, which has been verified.
  X509_STORE *store = X509_STORE_new();
  STACK_OF(X509) *issuers = sk_X509_new_null();
  if (response == NULL || next != bytes + length) {
    *why = "is malformed";
  } else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    // "Try later" and the like say nothing about the certificate, and servers pass them on.
    verdict = CH2_STAPLE_NONE;
  } else if ((basic = OCSP_response_get1_basic(response)) == NULL || store == NULL ||
             X509_STORE_add_cert(store, issuer) != 1 || sk_X509_push(issuers, issuer) <= 0) {
    *why = "is malformed";
  } else if (OCSP_basic_verify(basic, issuers, store, OCSP_PARTIAL_CHAIN) != 1) {
    *why = "is not signed by the certificate's authority";
  } else {
    verdict = judge_responses(basic, sk_X509_value(chain, 0), issuer, why);
  }
  sk_X509_free(issuers);
  X509_STORE_free(store);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  return verdict;
}

ch2_staple ch2_check_staple(SSL *ssl, bool *is_promised, const char **why) {
  *is_promised = false;
  *why = "";
  STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
  // A certificate that is trusted itself has no authority whose word counts.
  if (sk_X509_num(chain) < 2) return CH2_STAPLE_GOOD;
  *is_promised = promises_staple(sk_X509_value(chain, 0));
  const uint8_t *bytes = NULL;
  long length = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
  if (bytes == NULL || length <= 0) return CH2_STAPLE_NONE;
  ch2_staple verdict = judge_staple(bytes, length, chain, why);
  // OpenSSL's functions leave their reasons in the queue, where SSL_get_error would find them.
  ERR_clear_error();
  return verdict;
}

// MARK: - Names

void ch2_alternative_names(const X509 *certificate, void *context,
                           void (*found)(const uint8_t *name, size_t length, bool is_address, void *context)) {
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    int type;
    const ASN1_STRING *name = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
    if (type == GEN_DNS || type == GEN_IPADD)
      found(ASN1_STRING_get0_data(name), (size_t)ASN1_STRING_length(name), type == GEN_IPADD, context);
  }
  GENERAL_NAMES_free(names);
}
