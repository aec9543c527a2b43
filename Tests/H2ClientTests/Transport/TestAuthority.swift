import CNghttp2
import H2Platform

@testable import H2Client

/// A certificate authority that issues certificates, revocation lists and OCSP responses for tests.
///
/// Invariant behind `@unchecked Sendable`: nothing changes after `init`, and OpenSSL's reference counts are atomic.
final class TestAuthority: @unchecked Sendable {
    /// A certificate and its key.
    ///
    /// Invariant behind `@unchecked Sendable`: the same as for the authority.
    final class Leaf: @unchecked Sendable {
        let certificate: OpaquePointer
        let key: OpaquePointer

        init(certificate: OpaquePointer, key: OpaquePointer) {
            self.certificate = certificate
            self.key = key
        }

        deinit {
            X509_free(certificate)
            EVP_PKEY_free(key)
        }

        var der: [UInt8] { encode { i2d_X509(certificate, $0) } }
        var pem: String { text { PEM_write_bio_X509($0, certificate) } }
        var keyDER: [UInt8] { encode { i2d_PrivateKey(key, $0) } }
        var keyPEM: String { text { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) } }

        /// The key, encrypted.
        func keyPEM(passphrase: String) -> String {
            text {
                PEM_write_bio_PKCS8PrivateKey(
                    $0, key, EVP_aes_256_cbc(), passphrase, CInt(passphrase.utf8.count), nil, nil)
            }
        }

        func keyDER(passphrase: String) -> [UInt8] {
            bytes {
                i2d_PKCS8PrivateKey_bio($0, key, EVP_aes_256_cbc(), passphrase, CInt(passphrase.utf8.count), nil, nil)
            }
        }

        /// As in `ConnectionConfiguration.TLS.pinnedKeys`.
        var pin: String { "sha256//" + Base64.encode(PeerCertificates.keyDigest(certificate) ?? []) }
    }

    /// Its certificate: a root, unless another authority issued it.
    let root: Leaf

    init(_ name: String = "Test CA", issuer: TestAuthority? = nil) {
        let key = Self.newKey()
        root = Leaf(
            certificate: Self.certificate(
                name, serial: issuer == nil ? 1 : 50, key: key, issuer: issuer?.root,
                [(NID_basic_constraints, "critical,CA:TRUE"), (NID_key_usage, "critical,keyCertSign,cRLSign")]),
            key: key)
    }

    /// A certificate for localhost and 127.0.0.1.
    func leaf(serial: Int = 2, _ extensions: [(CInt, String)] = []) -> Leaf {
        let key = Self.newKey()
        return Leaf(
            certificate: Self.certificate(
                "localhost", serial: serial, key: key, issuer: root,
                [(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1")] + extensions), key: key)
    }

    /// A certificate that promises a staple (RFC 7633).
    func mustStapleLeaf() -> Leaf { leaf([(NID_tlsfeature, "status_request")]) }

    private static func newKey() -> OpaquePointer {
        let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil)
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        precondition(
            EVP_PKEY_keygen_init(context) == 1
                && EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1
                && EVP_PKEY_keygen(context, &key) == 1)
        return key!
    }

    private static func certificate(
        _ name: String, serial: Int, key: OpaquePointer, issuer: Leaf?, _ extensions: [(CInt, String)]
    ) -> OpaquePointer {
        let certificate = X509_new()!
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3_600)
        X509_gmtime_adj(X509_getm_notAfter(certificate), 86_400)
        X509_set_pubkey(certificate, key)
        let subject = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(subject, "CN", 0x1000 /* MBSTRING_UTF8 */, name, -1, -1, 0)
        X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0.certificate) } ?? subject)
        for (kind, value) in extensions {
            let made = X509V3_EXT_conf_nid(nil, nil, kind, value)
            precondition(made != nil, value)
            X509_add_ext(certificate, made, -1)
            X509_EXTENSION_free(made)
        }
        precondition(X509_sign(certificate, issuer?.key ?? key, EVP_sha256()) > 0)
        return certificate
    }

    // MARK: - Revocation

    /// A revocation list.
    func list(revoking serials: [Int], from: Int = -60, until: Int = 3_600) -> String {
        let list = X509_CRL_new()!
        defer { X509_CRL_free(list) }
        X509_CRL_set_version(list, 1)
        X509_CRL_set_issuer_name(list, X509_get_subject_name(root.certificate))
        withTime(from) { _ = X509_CRL_set1_lastUpdate(list, $0) }
        withTime(until) { _ = X509_CRL_set1_nextUpdate(list, $0) }
        for serial in serials {
            let revoked = X509_REVOKED_new()
            let number = ASN1_INTEGER_new()
            ASN1_INTEGER_set(number, serial)
            X509_REVOKED_set_serialNumber(revoked, number)
            ASN1_INTEGER_free(number)
            withTime(-120) { _ = X509_REVOKED_set_revocationDate(revoked, $0) }
            X509_CRL_add0_revoked(list, revoked)
        }
        X509_CRL_sort(list)
        precondition(X509_CRL_sign(list, root.key, EVP_sha256()) > 0)
        return text { PEM_write_bio_X509_CRL($0, list) }
    }

    /// An OCSP response.
    /// - Parameters:
    ///   - status: `V_OCSP_CERTSTATUS_…`.
    ///   - until: seconds from now; nil: the response does not say.
    ///   - hash: the hash in the identifier of the certificate.
    ///   - signer: the authority that signs it; nil: this one.
    func response(
        about leaf: Leaf, status: CInt = V_OCSP_CERTSTATUS_GOOD, from: Int = -60, until: Int? = 3_600,
        hash: OpaquePointer? = EVP_sha1(), signer: Leaf? = nil
    ) -> [UInt8] {
        let basic = OCSP_BASICRESP_new()!
        defer { OCSP_BASICRESP_free(basic) }
        let identifier = OCSP_cert_to_id(hash, leaf.certificate, root.certificate)
        defer { OCSP_CERTID_free(identifier) }
        let isRevoked = status == V_OCSP_CERTSTATUS_REVOKED
        withTime(-120) { revoked in
            withTime(from) { from in
                let reason = isRevoked ? OCSP_REVOKED_STATUS_KEYCOMPROMISE : -1
                if let until {
                    withTime(until) {
                        _ = OCSP_basic_add1_status(
                            basic, identifier, status, reason, isRevoked ? revoked : nil, from, $0)
                    }
                } else {
                    _ = OCSP_basic_add1_status(basic, identifier, status, reason, isRevoked ? revoked : nil, from, nil)
                }
            }
        }
        let signer = signer ?? root
        precondition(OCSP_basic_sign(basic, signer.certificate, signer.key, EVP_sha256(), nil, 0) == 1)
        return Self.response(CInt(OCSP_RESPONSE_STATUS_SUCCESSFUL), basic)
    }

    /// A response that says nothing about any certificate, such as `OCSP_RESPONSE_STATUS_TRYLATER`.
    static func response(_ status: CInt, _ basic: OpaquePointer? = nil) -> [UInt8] {
        let response = OCSP_response_create(status, basic)!
        defer { OCSP_RESPONSE_free(response) }
        return encode { i2d_OCSP_RESPONSE(response, $0) }
    }
}

private func withTime(_ seconds: Int, _ body: (UnsafeMutablePointer<ASN1_TIME>?) -> Void) {
    let time = ASN1_TIME_adj(nil, H2Platform.time(nil), 0, seconds)
    body(time)
    ASN1_STRING_free(time)
}

private func encode(_ write: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>) -> CInt) -> [UInt8] {
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = write(&bytes)
    precondition(count > 0)
    defer { CRYPTO_free(bytes, "", 0) }
    return Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
}

private func bytes(_ write: (OpaquePointer) -> CInt) -> [UInt8] {
    let bio = BIO_new(BIO_s_mem())!
    defer { BIO_free(bio) }
    precondition(write(bio) == 1)
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    let count = BIO_read(bio, &buffer, CInt(buffer.count))
    return Array(buffer.prefix(Int(max(count, 0))))
}

private func text(_ write: (OpaquePointer) -> CInt) -> String { String(decoding: bytes(write), as: UTF8.self) }

// MARK: - Servers

/// Makes a server present a certificate, with its issuer's if given, and staple a response to it.
func present(
    _ leaf: TestAuthority.Leaf, _ intermediate: TestAuthority.Leaf? = nil, staple: [UInt8]? = nil
) -> (TLSContext) -> Void {
    { context in
        if let intermediate {
            X509_up_ref(intermediate.certificate)
            SSL_CTX_ctrl(
                context.context, SSL_CTRL_EXTRA_CHAIN_CERT, 0, UnsafeMutableRawPointer(intermediate.certificate))
        }
        precondition(
            SSL_CTX_use_certificate(context.context, leaf.certificate) == 1
                && SSL_CTX_use_PrivateKey(context.context, leaf.key) == 1)
        guard let staple else { return }
        // Never released: a few hundred bytes for each test.
        let box = Unmanaged.passRetained(Staple(staple))
        SSL_CTX_ctrl(context.context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB_ARG, 0, box.toOpaque())
        let answer: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> CInt = { ssl, argument in
            let bytes = Unmanaged<Staple>.fromOpaque(argument!).takeUnretainedValue().bytes
            // OpenSSL frees it.
            let copy = CRYPTO_malloc(bytes.count, "", 0)!
            bytes.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, bytes.count, copy)
            return 0
        }
        SSL_CTX_callback_ctrl(
            context.context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
            unsafeBitCast(answer, to: (@convention(c) () -> Void).self))
    }
}

private final class Staple {
    let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }
}
