import CNghttp2
import H2Platform

/// The certificates of a peer in DER, its own first. Kept with a session, for connections that resume it.
struct PeerCertificates: Sendable, Hashable {
    var encoded: [[UInt8]]

    init(encoded: [[UInt8]]) { self.encoded = encoded }

    /// - Parameter chain: a STACK_OF(X509).
    init(chain: OpaquePointer?) {
        encoded = (0..<max(OPENSSL_sk_num(chain), 0)).compactMap { index in
            OPENSSL_sk_value(chain, index).flatMap { Self.encoded(OpaquePointer($0)) }
        }
    }

    /// A certificate in DER.
    static func encoded(_ certificate: OpaquePointer) -> [UInt8]? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509(certificate, &bytes)
        return taking(bytes, count)
    }

    /// Copies and frees the output of an i2d function.
    private static func taking(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: CInt) -> [UInt8]? {
        guard count > 0, let bytes else { return nil }
        // OPENSSL_free is a macro.
        defer { CRYPTO_free(bytes, "", 0) }
        return Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    private static func with<R>(_ der: [UInt8], _ body: (OpaquePointer) -> R) -> R? {
        der.withUnsafeBufferPointer { buffer in
            var next = buffer.baseAddress
            guard let certificate = d2i_X509(nil, &next, buffer.count) else {
                ERR_clear_error()
                return nil
            }
            defer { X509_free(certificate) }
            return body(certificate)
        }
    }

    // MARK: - Pins

    /// The SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469 section 2.4).
    static func keyDigest(_ certificate: OpaquePointer) -> [UInt8]? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes)
        return taking(bytes, count).map { digest($0) }
    }

    /// SHA-256.
    static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        let status = EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil)
        precondition(status == 1, "OpenSSL has no SHA-256")
        return digest
    }

    private static func pin(_ digest: [UInt8]?) -> String {
        digest.map { ConnectionConfiguration.TLS.pinPrefix + Base64.encode($0) } ?? ""
    }

    /// Whether one of the keys is pinned. If nothing was verified, anyone could have put any certificate after the
    /// first.
    func contain(_ pinned: Set<[UInt8]>, isVerified: Bool) -> Bool {
        encoded.prefix(isVerified ? encoded.count : 1).contains { der in
            Self.with(der) { Self.keyDigest($0).map(pinned.contains) ?? false } ?? false
        }
    }

    /// The pin of the peer's own key; empty if there is no certificate.
    var pinOfPeer: String {
        encoded.first.flatMap { Self.with($0) { Self.pin(Self.keyDigest($0)) } } ?? ""
    }

    // MARK: - For people

    /// The certificates in the form that a verifier gets.
    var described: [ConnectionConfiguration.TLS.PeerChain.Certificate] {
        encoded.compactMap { der in
            Self.with(der) { certificate in
                .init(
                    der: der, subject: Self.text { ch2_print_name($0, X509_get_subject_name(certificate)) },
                    issuer: Self.text { ch2_print_name($0, X509_get_issuer_name(certificate)) },
                    names: Self.names(certificate), publicKeyPin: Self.pin(Self.keyDigest(certificate)))
            }
        }
    }

    /// Certificates as text: what each is about, then PEM (RFC 7468).
    static func text(_ certificates: [[UInt8]]) -> String {
        certificates.reduce(into: "") { text, der in
            _ = with(der) { certificate in
                text += "Subject:" + Self.text { ch2_print_name($0, X509_get_subject_name(certificate)) } + "\n"
                text += "Issuer:" + Self.text { ch2_print_name($0, X509_get_issuer_name(certificate)) } + "\n"
                text += "Start date:" + Self.text { ASN1_TIME_print($0, X509_get0_notBefore(certificate)) } + "\n"
                text += "Expire date:" + Self.text { ASN1_TIME_print($0, X509_get0_notAfter(certificate)) } + "\n"
            }
            text += "Cert:-----BEGIN CERTIFICATE-----\n"
            var rest = Base64.encode(der)[...]
            while !rest.isEmpty {
                text += rest.prefix(64) + "\n"
                rest = rest.dropFirst(64)
            }
            text += "-----END CERTIFICATE-----\n"
        }
    }

    /// The text that OpenSSL prints, at most 512 bytes.
    static func text(_ write: (OpaquePointer) -> Void) -> String {
        guard let bio = BIO_new(BIO_s_mem()) else { return "" }
        defer { BIO_free(bio) }
        write(bio)
        var buffer = [UInt8](repeating: 0, count: 512)
        let count = BIO_read(bio, &buffer, CInt(buffer.count))
        return String(decoding: buffer.prefix(Int(max(count, 0))), as: UTF8.self)
    }

    private static func names(_ certificate: OpaquePointer) -> [String] {
        var names: [String] = []
        withUnsafeMutablePointer(to: &names) { pointer in
            ch2_alternative_names(certificate, pointer) { name, length, isAddress, target in
                guard let name, let target else { return }
                let bytes = UnsafeBufferPointer(start: name, count: length)
                let text = isAddress ? Self.address(Array(bytes)) : String(decoding: bytes, as: UTF8.self)
                target.assumingMemoryBound(to: [String].self).pointee.append(text)
            }
        }
        return names
    }

    /// An address of 4 or 16 bytes as text.
    private static func address(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard bytes.count == 4 || bytes.count == 16,
            inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil
        else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
