import CNghttp2

// The suites, groups and signature algorithms that a context offers.

extension TLSContext {
    /// The TLS 1.2 suites for HTTP/2: ephemeral keys and AEAD, which is all that RFC 9113 Appendix A leaves except DHE, whose
    /// groups only the server would choose. TLS 1.3 suites are not affected.
    static let suites = "ECDHE+AESGCM:ECDHE+CHACHA20"
    /// For offers that include HTTP/1.1: a server without these suites may still use HTTP/1.1 (RFC 9113 section 9.2.2).
    /// It must not choose one of the other suites for h2, which `TLSWire.handshake` verifies. The others are OpenSSL's
    /// default, spelled out as in its documentation, since the word DEFAULT works only at the beginning.
    static let suitesFirst = suites + ":ALL:!COMPLEMENTOFDEFAULT:!eNULL"

    /// Applies the configuration's choices.
    func choose(_ configuration: ConnectionConfiguration.TLS) throws {
        if let suites = configuration.suites12 { try chooseSuites12(suites) }
        try choose(configuration.suites13, "cipher suite of TLS 1.3", "see 'openssl ciphers -s -tls1_3'") {
            SSL_CTX_set_ciphersuites($0, $1)
        }
        // These two are macros for SSL_CTX_ctrl, which only reads the text.
        try choose(configuration.groups, "group", "see 'openssl list -tls-groups', or use X25519:P-256:P-384:P-521") {
            CInt(SSL_CTX_ctrl($0, SSL_CTRL_SET_GROUPS_LIST, 0, UnsafeMutableRawPointer(mutating: $1)))
        }
        try choose(
            configuration.signatureAlgorithms, "signature algorithm",
            "write ECDSA+SHA256, or RFC 8446's names, such as rsa_pss_rsae_sha256"
        ) {
            CInt(SSL_CTX_ctrl($0, SSL_CTRL_SET_SIGALGS_LIST, 0, UnsafeMutableRawPointer(mutating: $1)))
        }
    }

    private func chooseSuites12(_ list: String) throws {
        let remedy = "see 'openssl ciphers -v' for the names"
        // OpenSSL skips unknown names, so each is tried separately. Names with an operator change the list before them.
        let names = list.split(whereSeparator: { $0 == ":" || $0 == "," || $0 == " " })
        for name in names where !["!", "-", "+", "@"].contains(name.first) {
            guard SSL_CTX_set_cipher_list(context, String(name)) == 1 else {
                throw Self.unknown(name, "cipher suite of TLS 1.2", remedy)
            }
        }
        guard SSL_CTX_set_cipher_list(context, list) == 1 else {
            ERR_clear_error()
            throw Self.configurationError("'\(list)' leaves no cipher suite of TLS 1.2", remedy)
        }
    }

    private func choose(
        _ list: String?, _ kind: String, _ remedy: String,
        _ set: (OpaquePointer, UnsafePointer<CChar>) -> CInt
    ) throws {
        guard let list else { return }
        // OpenSSL skips unknown names in some of these lists, and accepts an empty one.
        let names = list.split(separator: ":", omittingEmptySubsequences: false)
        for name in names where name.isEmpty || String(name).withCString({ set(context, $0) }) != 1 {
            throw Self.unknown(name, kind, remedy)
        }
        guard list.withCString({ set(context, $0) }) == 1 else { throw Self.unknown(list[...], kind, remedy) }
    }

    private static func unknown(_ name: Substring, _ kind: String, _ remedy: String) -> H2Error {
        // OpenSSL's own reason is less helpful.
        ERR_clear_error()
        return configurationError("'\(name)' is not a known \(kind)", remedy)
    }
}
