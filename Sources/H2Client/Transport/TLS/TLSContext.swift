import CNghttp2

/// An SSL_CTX: trust, versions, our certificate. Created once and shared by connections, which differ in the server name and
/// the protocols they offer.
///
/// Invariant behind `@unchecked Sendable`: after `init` the context and `sessionFile` are only read, and OpenSSL's reference
/// counts are atomic; `sessions` has a lock.
package final class TLSContext: @unchecked Sendable {
    let context: OpaquePointer
    let verifiesPeer: Bool
    /// The configured TLS 1.2 suites, offered for any protocol; nil if none were configured.
    private let suites12: String?
    /// Sessions that later connections can resume; nil if resumption is off, and for servers.
    let sessions: TLSSessionCache?
    /// Key hashes. A chain must contain at least one of them; empty: any chain will do.
    let pinnedKeys: Set<[UInt8]>
    let verifier: (@Sendable (ConnectionConfiguration.TLS.PeerChain) throws -> Void)?
    /// Whether certificates without a staple are rejected.
    let requiresStaple: Bool
    /// The log for secrets.
    let keyLog: KeyLog?
    /// Stores the sessions for later runs.
    private var sessionFile: TLSSessionFile?

    /// Number of bytes read ahead for TLS records.
    private static let readBuffer = 32 << 10

    /// Creates a client's context and loads its trust, to be shared by all connections with this configuration.
    /// - Throws: `H2Error`: `tlsConfiguration` if a file, a folder or what they contain cannot be used, `invalidConfiguration`.
    package convenience init(client configuration: ConnectionConfiguration.TLS) throws {
        try self.init(client: configuration, trusting: TrustSources(configuration))
    }

    init(client configuration: ConnectionConfiguration.TLS, trusting sources: TrustSources) throws {
        try configuration.validate()
        // Before the context, which nobody would free if this throws.
        let keyLog = try configuration.keyLogFile.map { try KeyLog($0) }
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
        pinnedKeys = Set(configuration.pinnedKeys.compactMap { ConnectionConfiguration.TLS.digest(ofPin: $0) })
        verifier = configuration.verifier
        requiresStaple = configuration.stapling == .required
        self.keyLog = keyLog
        if sessions != nil {
            ch2_tell_sessions(context) { ssl, session in
                if let ssl, let session { TLSWire.keep(session, of: ssl) }
                return 0
            }
        }
        try choose(configuration)
        if verifiesPeer {
            try loadTrust(sources)
            try loadRevocationLists(configuration.revocationLists)
            if configuration.stapling != .ignored { ch2_ask_for_staple(context) { ssl, _ in TLSWire.judgeStaple(ssl) } }
        }
        if let identity = configuration.identity {
            try load(identity)
        } else if let file = configuration.certificateFile {
            try loadIdentity(certificate: file, key: configuration.privateKeyFile ?? file)
        }
        if let sessions, let path = configuration.sessionFile {
            sessionFile = try TLSSessionFile(path, settings: digest(of: configuration, sources), into: sessions)
        }
        if keyLog != nil {
            SSL_CTX_set_keylog_callback(context) { ssl, line in
                if let ssl, let line { TLSWire.log(line, of: ssl) }
            }
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
        pinnedKeys = []
        verifier = nil
        requiresStaple = false
        keyLog = nil
    }

    /// Whether a connection's certificates are examined beyond OpenSSL's own checks.
    var examinesChain: Bool { verifier != nil || !pinnedKeys.isEmpty }

    // Wires free their SSL before they release this context.
    deinit {
        // The last release may happen on an event loop.
        if let sessions, let sessionFile { _ = BlockingThreads.shared.run { sessionFile.save(sessions) } }
        ch2_context_free(context)
    }

    var keepsSessions: Bool { sessionFile != nil }

    /// Writes the sessions to their file. Called where it may block.
    func saveSessions() {
        if let sessions { sessionFile?.save(sessions) }
    }

    /// SHA-256 of all settings that decide whether a server is trusted, and of the offer to it. Called once the trust
    /// is loaded.
    private func digest(of configuration: ConnectionConfiguration.TLS, _ sources: TrustSources) -> [UInt8] {
        var texts: [String] = []
        for value: Any? in [
            verifiesPeer, sources.isSystem, configuration.stapling, configuration.minimumVersion,
            configuration.maximumVersion, suites12, configuration.suites13, configuration.groups,
            configuration.signatureAlgorithms, verifier != nil,
        ] {
            texts.append(value.map { "\($0)" } ?? "-")
        }
        texts += sources.folders + configuration.pinnedKeys.sorted()
        var bytes = texts.flatMap { Array($0.utf8) + [0] } + (certificateFingerprint ?? [])
        bytes += trustedDigests.sorted { $0.lexicographicallyPrecedes($1) }.joined()
        return PeerCertificates.digest(bytes)
    }

    /// The digests of the loaded certificates and lists. A hashed folder is searched only as needed.
    private var trustedDigests: [[UInt8]] {
        let objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context))
        return (0..<max(OPENSSL_sk_num(objects), 0)).compactMap { index in
            guard let object = OPENSSL_sk_value(objects, index).map({ OpaquePointer($0) }) else { return nil }
            var digest = [UInt8](repeating: 0, count: 32)
            var length: UInt32 = 32
            if let certificate = X509_OBJECT_get0_X509(object) {
                X509_digest(certificate, EVP_sha256(), &digest, &length)
            } else if let list = X509_OBJECT_get0_X509_CRL(object) {
                X509_CRL_digest(list, EVP_sha256(), &digest, &length)
            }
            return digest
        }
    }

    // MARK: - Connections

    /// An SSL object for a connected descriptor, before the handshake; if there is no descriptor, the caller sets a
    /// BIO. `protocols` is a client's ALPN offer (RFC 7301), in order of preference; if it is empty, ALPN is not used.
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
