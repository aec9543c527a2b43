import CNghttp2
import H2Platform

/// An SSL_CTX: trust, versions, our certificate. Created once and shared by connections, which differ in the server name and
/// the protocols they offer.
///
/// Invariant behind `@unchecked Sendable`: after `init` the context is only read, and OpenSSL's reference counts are atomic;
/// `sessions` has a lock.
package final class TLSContext: @unchecked Sendable {
    let context: OpaquePointer
    let verifiesPeer: Bool
    /// The configured TLS 1.2 suites, offered for any protocol; nil if none were configured.
    private let suites12: String?
    /// Sessions that later connections can resume; nil if that is off, and for servers.
    let sessions: TLSSessionCache?

    /// Number of bytes read ahead for TLS records.
    private static let readBuffer = 32 << 10

    /// Creates a client's context and loads what it trusts, to be shared by all connections with this configuration.
    /// - Throws: `H2Error` (`tlsConfiguration`) if a file or folder cannot be used.
    package convenience init(client configuration: ConnectionConfiguration.TLS) throws {
        try self.init(client: configuration, trusting: TrustSources(configuration))
    }

    init(client configuration: ConnectionConfiguration.TLS, trusting sources: TrustSources) throws {
        guard
            let context = ch2_client_context(
                Self.number(configuration.minimumVersion), Self.number(configuration.maximumVersion), Self.readBuffer)
        else {
            throw Self.configurationError("cannot make a TLS context", "check the minimum and maximum TLS version")
        }
        self.context = context
        verifiesPeer = configuration.verifiesPeer
        suites12 = configuration.suites12
        sessions = configuration.resumesSessions ? TLSSessionCache() : nil
        if sessions != nil {
            ch2_tell_sessions(context) { ssl, session in
                if let ssl, let session { TLSWire.keep(session, of: ssl) }
                return 0
            }
        }
        try choose(configuration)
        if verifiesPeer { try loadTrust(sources) }
        if let file = configuration.certificateFile {
            try loadIdentity(certificate: file, key: configuration.privateKeyFile ?? file)
        }
    }

    /// Creates a server's context without a certificate: see `loadIdentity` and `makeSelfSigned`.
    package init(serverProtocols protocols: [String]) throws {
        let list = Self.wireFormat(protocols)
        let context = list.withUnsafeBufferPointer {
            ch2_server_context(0, 0, Self.readBuffer, $0.baseAddress, UInt32($0.count))
        }
        guard let context else { throw Self.configurationError("cannot make a TLS context", "") }
        self.context = context
        verifiesPeer = false
        suites12 = nil
        sessions = nil
    }

    // Wires free their SSL before they release this.
    deinit { ch2_context_free(context) }

    /// Makes OpenSSL load what the first context needs (2.5 ms to look up ciphers and digests), and discards the context.
    static func warmUp() { SSL_CTX_free(ch2_client_context(0, 0, readBuffer)) }

    /// Applies the configured suites and groups.
    private func choose(_ configuration: ConnectionConfiguration.TLS) throws {
        let remedy = "see 'openssl ciphers -v' and 'openssl list -tls-groups' for the names"
        if let suites = configuration.suites12, SSL_CTX_set_cipher_list(context, suites) != 1 {
            throw Self.configurationError("no TLS 1.2 suite is known by '\(suites)'", remedy)
        }
        if let suites = configuration.suites13, SSL_CTX_set_ciphersuites(context, suites) != 1 {
            throw Self.configurationError("not all of '\(suites)' are TLS 1.3 suites", remedy)
        }
        guard let groups = configuration.groups else { return }
        // SSL_CTX_set1_groups_list, a macro in OpenSSL. It only reads the text.
        let status = groups.withCString {
            SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, UnsafeMutableRawPointer(mutating: $0))
        }
        if status != 1 { throw Self.configurationError("not all of '\(groups)' are groups", remedy) }
    }

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

    /// Installs a temporary certificate for these names, signed by a temporary CA.
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

    /// SHA-256 of our certificate (DER); nil if there is none yet.
    package var certificateFingerprint: [UInt8]? {
        guard let certificate = SSL_CTX_get0_certificate(context) else { return nil }
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 32
        return X509_digest(certificate, EVP_sha256(), &digest, &length) == 1 ? digest : nil
    }

    private func loadTrust(_ sources: TrustSources) throws {
        if sources.isSystem { return loadSystemTrust() }
        for file in sources.files {
            ERR_clear_error()
            guard SSL_CTX_load_verify_file(context, file) == 1 else {
                throw Self.configurationError(
                    "cannot load the CA file '\(file)'\(sources.origin)",
                    "it must hold PEM certificates and be readable")
            }
        }
        for folder in sources.folders { try loadFolder(folder, sources.origin) }
    }

    /// A folder prepared by `openssl rehash` is searched as needed; otherwise each file is loaded.
    private func loadFolder(_ folder: String, _ origin: String) throws {
        ERR_clear_error()
        guard let names = TrustSources.names(in: folder) else {
            throw Self.configurationError(
                "cannot use the CA folder '\(folder)'\(origin): \(describeErrno(errno))",
                "it must be a folder that can be read")
        }
        if names.contains(where: TrustSources.isHash) {
            guard SSL_CTX_load_verify_dir(context, folder) == 1 else {
                throw Self.configurationError("cannot use the CA folder '\(folder)'\(origin)", "can it be read?")
            }
            return
        }
        // Other files are not certificates, which is not an error.
        var loaded = 0
        for name in names where SSL_CTX_load_verify_file(context, folder + "/" + name) == 1 { loaded += 1 }
        ERR_clear_error()
        guard loaded > 0 else {
            throw Self.configurationError(
                "the CA folder '\(folder)'\(origin) holds no certificate that can be read",
                "put PEM files there, or name another")
        }
    }

    /// Loads the system's trust: the hashed folder first, since it is searched lazily and a bundle takes 30 ms to parse.
    /// Without any, every certificate is rejected with a message that says so.
    private func loadSystemTrust() {
        let directory = String(cString: X509_get_default_cert_dir())
        if TrustSources.names(in: directory)?.contains(where: TrustSources.isHash) == true,
            SSL_CTX_load_verify_dir(context, directory) == 1
        {
            return
        }
        let bundles = [
            String(cString: X509_get_default_cert_file()), "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
        ]
        for bundle in bundles where access(bundle, R_OK) == 0 {
            if SSL_CTX_load_verify_file(context, bundle) == 1 { return }
        }
    }

    // MARK: - Connections

    /// An SSL object for a connected descriptor, before the handshake; without one the caller sets a BIO. `protocols` is what a client offers by ALPN (RFC 7301),
    /// the preferred first; if empty, ALPN is not used.
    func makeConnection(
        descriptor: CInt?, serverName: String?, isAddress: Bool, protocols: [String]
    ) -> OpaquePointer? {
        guard let ssl = SSL_new(context) else { return nil }
        if let descriptor {
            guard let bio = ch2_socket_bio(descriptor) else {
                SSL_free(ssl)
                return nil
            }
            SSL_set_bio(ssl, bio, bio)
        }
        guard let serverName else {
            SSL_set_accept_state(ssl)
            return ssl
        }
        SSL_set_connect_state(ssl)
        var isReady = ch2_ssl_set_peer(ssl, serverName, isAddress, verifiesPeer)
        if !protocols.isEmpty {
            // Set for the connection, not the context: one client offers different protocols to different origins.
            let list = Self.wireFormat(protocols)
            isReady = isReady && SSL_set_alpn_protos(ssl, list, UInt32(list.count)) == 0
            if protocols.contains("h2"), suites12 == nil {
                isReady =
                    isReady && SSL_set_cipher_list(ssl, protocols == ["h2"] ? Self.suites : Self.suitesFirst) == 1
            }
        }
        if isReady { return ssl }
        SSL_free(ssl)
        return nil
    }

    /// The TLS 1.2 suites for HTTP/2: ephemeral keys and AEAD, which is all that RFC 9113 Appendix A leaves except DHE, whose
    /// groups only the server would choose. TLS 1.3 suites are not affected.
    private static let suites = "ECDHE+AESGCM:ECDHE+CHACHA20"
    /// For offers that include HTTP/1.1: a server without these suites may still use that (RFC 9113 section 9.2.2). It must not
    /// choose one of the others for h2, which `TLSWire.handshake` verifies. The others are OpenSSL's default, spelled out as in
    /// its documentation: the word DEFAULT only works in front.
    private static let suitesFirst = suites + ":ALL:!COMPLEMENTOFDEFAULT:!eNULL"

    private static func number(_ version: ConnectionConfiguration.TLS.Version) -> CInt {
        version == .tls12 ? TLS1_2_VERSION : TLS1_3_VERSION
    }

    private static func wireFormat(_ protocols: [String]) -> [UInt8] {
        protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    }

    static func configurationError(_ message: String, _ remedy: String) -> H2Error {
        let code = ERR_get_error()
        let reason = code == 0 ? "" : ": \(TLSWire.describe(code))"
        return H2Error(
            .tlsConfiguration, cause: .openSSL(code),
            message: message + reason, remedy: remedy)
    }
}
