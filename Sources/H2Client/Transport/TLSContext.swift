import CNghttp2

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// An SSL_CTX: trust, versions, our certificate. Made once, shared by connections, which differ in the name they ask for and
/// in the protocols they offer.
///
/// Invariant behind `@unchecked Sendable`: after `init` the context is only read, and OpenSSL's reference counts are
/// atomic; `sessions` has a lock.
package final class TLSContext: @unchecked Sendable {
    let context: OpaquePointer
    let verifiesPeer: Bool
    /// What later connections can resume; nil where that is off, and for servers.
    let sessions: TLSSessionCache?

    /// TLS records are read ahead so much at a time.
    private static let readBuffer = 32 << 10

    /// A client's context, which loads what it trusts: to be shared by all connections with this configuration.
    /// - Throws: `H2Error` (`tlsConfiguration`) for a file or folder that cannot be used.
    package init(client configuration: Configuration.TLS) throws {
        guard
            let context = ch2_client_context(
                Self.number(configuration.minimumVersion), Self.number(configuration.maximumVersion), Self.readBuffer)
        else {
            throw Self.configurationError("cannot make a TLS context", "check the minimum and maximum TLS version")
        }
        self.context = context
        verifiesPeer = configuration.verifiesPeer
        sessions = configuration.resumesSessions ? TLSSessionCache() : nil
        if sessions != nil {
            ch2_tell_sessions(context) { ssl, session in
                if let ssl, let session { TLSWire.keep(session, of: ssl) }
                return 0
            }
        }
        if verifiesPeer { try loadTrust(configuration) }
        if let file = configuration.certificateFile {
            try loadIdentity(certificate: file, key: configuration.privateKeyFile ?? file)
        }
    }

    /// A server's context without a certificate: see `useCertificate` and `makeSelfSigned`.
    package init(serverProtocols protocols: [String]) throws {
        let list = Self.wireFormat(protocols)
        let context = list.withUnsafeBufferPointer {
            ch2_server_context(0, 0, Self.readBuffer, $0.baseAddress, UInt32($0.count))
        }
        guard let context else { throw Self.configurationError("cannot make a TLS context", "") }
        self.context = context
        verifiesPeer = false
        sessions = nil
    }

    // Wires free their SSL before they let go of this.
    deinit { ch2_context_free(context) }

    /// Makes OpenSSL load what the first context needs (2.5 ms of looking up ciphers and digests), and keeps nothing else.
    static func warmUp() { SSL_CTX_free(ch2_client_context(0, 0, readBuffer)) }

    // MARK: - Certificates

    /// Loads a PEM certificate chain and its key.
    package func loadIdentity(certificate: String, key: String) throws {
        ERR_clear_error()
        guard SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            throw Self.configurationError(
                "cannot use the certificate file '\(certificate)'", "it must be PEM, our certificate first")
        }
        guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1,
            SSL_CTX_check_private_key(context) == 1
        else {
            throw Self.configurationError(
                "cannot use the key file '\(key)'", "it must be PEM without a password and belong to the certificate")
        }
    }

    /// Installs a throw-away certificate for these names, signed by a throw-away CA.
    package func makeSelfSigned(names: [String], days: Int) throws -> (caPEM: String, fingerprint: [UInt8]) {
        var pem: UnsafeMutablePointer<CChar>?
        var length = 0
        var fingerprint = [UInt8](repeating: 0, count: 32)
        guard
            ch2_self_signed(context, names.joined(separator: ","), CInt(days), &pem, &length, &fingerprint),
            let pem
        else {
            throw Self.configurationError("cannot make a certificate for \(names)", "check the names")
        }
        defer { ch2_free(pem) }
        let bytes = UnsafeRawBufferPointer(start: pem, count: length)
        return (String(decoding: bytes, as: UTF8.self), fingerprint)
    }

    /// SHA-256 of our certificate (DER); nil before one is loaded or made.
    package var certificateFingerprint: [UInt8]? {
        guard let certificate = SSL_CTX_get0_certificate(context) else { return nil }
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 32
        return X509_digest(certificate, EVP_sha256(), &digest, &length) == 1 ? digest : nil
    }

    /// The system's trust: the hashed folder first, since it is looked up lazily and a bundle costs 30 ms to parse.
    private func loadTrust(_ configuration: Configuration.TLS) throws {
        ERR_clear_error()
        if configuration.caFile != nil || configuration.caDirectory != nil {
            if let file = configuration.caFile, SSL_CTX_load_verify_file(context, file) != 1 {
                throw Self.configurationError(
                    "cannot load the CA file '\(file)'", "it must hold PEM certificates and be readable")
            }
            if let directory = configuration.caDirectory {
                var status = stat()
                guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
                    SSL_CTX_load_verify_dir(context, directory) == 1
                else {
                    throw Self.configurationError(
                        "cannot use the CA folder '\(directory)'", "it must exist; `openssl rehash` prepares it")
                }
            }
            return
        }
        let environmentFile = getenv("SSL_CERT_FILE").map { String(cString: $0) }
        let environmentDirectory = getenv("SSL_CERT_DIR").map { String(cString: $0) }
        if environmentFile == nil {
            let directory = environmentDirectory ?? String(cString: X509_get_default_cert_dir())
            if Self.isHashedFolder(directory), SSL_CTX_load_verify_dir(context, directory) == 1 { return }
        }
        let bundles =
            [environmentFile].compactMap { $0 } + [
                String(cString: X509_get_default_cert_file()), "/etc/ssl/certs/ca-certificates.crt",
                "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
            ]
        for bundle in bundles where access(bundle, R_OK) == 0 {
            if SSL_CTX_load_verify_file(context, bundle) == 1 { return }
        }
        if let environmentFile {
            throw Self.configurationError(
                "cannot load the CA file '\(environmentFile)' that SSL_CERT_FILE names", "correct or unset it")
        }
        // No trust store at all: every certificate will be rejected, with a message that says so.
    }

    /// Whether a folder holds at least one `xxxxxxxx.N` link, as `openssl rehash` makes them.
    private static func isHashedFolder(_ path: String) -> Bool {
        guard let folder = opendir(path) else { return false }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let isHashed = withUnsafeBytes(of: &entry.pointee.d_name) { name in
                name.count > 9 && name[8] == UInt8(ascii: ".") && (0x30...0x39).contains(name[9])
            }
            if isHashed { return true }
        }
        return false
    }

    // MARK: - Connections

    /// An SSL object over a connected descriptor, not yet shaken hands. `protocols` is what a client offers by ALPN
    /// (RFC 7301), the best first; none offers nothing.
    func makeConnection(
        descriptor: CInt, serverName: String?, isAddress: Bool, protocols: [String]
    ) -> OpaquePointer? {
        guard let ssl = SSL_new(context) else { return nil }
        guard let bio = ch2_socket_bio(descriptor) else {
            SSL_free(ssl)
            return nil
        }
        SSL_set_bio(ssl, bio, bio)
        guard let serverName else {
            SSL_set_accept_state(ssl)
            return ssl
        }
        SSL_set_connect_state(ssl)
        var isReady = ch2_ssl_set_peer(ssl, serverName, isAddress, verifiesPeer)
        if !protocols.isEmpty {
            // Of this connection, not of the context: one client offers different things to different origins.
            let list = Self.wireFormat(protocols)
            isReady = isReady && SSL_set_alpn_protos(ssl, list, UInt32(list.count)) == 0
            if protocols.contains("h2") {
                isReady =
                    isReady && SSL_set_cipher_list(ssl, protocols == ["h2"] ? Self.suites : Self.suitesFirst) == 1
            }
        }
        if isReady { return ssl }
        SSL_free(ssl)
        return nil
    }

    /// The TLS 1.2 suites for HTTP/2: ephemeral keys and AEAD, which is all that RFC 9113 Appendix A leaves but for DHE,
    /// whose groups the server alone would choose. Those of TLS 1.3 are not touched by this.
    private static let suites = "ECDHE+AESGCM:ECDHE+CHACHA20"
    /// For an offer of HTTP/1.1 as well: a server that has none of them may still speak that (RFC 9113 section 9.2.2).
    /// What it must not do is to choose one of the others for h2, and `TLSWire.handshake` looks at that.
    /// The others are OpenSSL's default, in the words that its documentation gives: DEFAULT is one only in front.
    private static let suitesFirst = suites + ":ALL:!COMPLEMENTOFDEFAULT:!eNULL"

    private static func number(_ version: Configuration.TLS.Version) -> CInt {
        version == .tls12 ? TLS1_2_VERSION : TLS1_3_VERSION
    }

    private static func wireFormat(_ protocols: [String]) -> [UInt8] {
        protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    }

    static func configurationError(_ message: String, _ remedy: String) -> H2Error {
        let code = ERR_get_error()
        let reason = code == 0 ? "" : ": \(TLSWire.describe(code))"
        return H2Error(.tlsConfiguration, cause: .tls(code), message: message + reason, remedy: remedy)
    }
}
