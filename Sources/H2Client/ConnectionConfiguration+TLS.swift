import H2Platform

extension ConnectionConfiguration {
    /// TLS options: which certificates to trust, which to present, and what to offer.
    ///
    /// ```swift
    /// var tls = ConnectionConfiguration.TLS()
    /// tls.additionalRoots = [.file("company-ca.pem")]
    /// tls.identity = .init(certificates: .file("client.pem"), privateKey: .file("client.key")) { "passphrase" }
    /// // The current key and a backup.
    /// tls.pinnedKeys = [
    ///     "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ///     "sha256//LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=",
    /// ]
    /// ```
    ///
    /// Files are read off the event loops, once for all connections of a client, and again for new connections after they have
    /// changed. What cannot be read or used fails the connection with ``H2Error/Code/tlsConfiguration``; nothing falls back to
    /// weaker trust. Renegotiation in TLS 1.2 and compression are always refused.
    public struct TLS: Sendable {
        // MARK: Trust

        /// Whether to verify the peer's certificate and host name. Without it (curl's `-k`) anybody on the path can read
        /// and answer the requests; ``pinnedKeys`` and ``verifier`` still hold. Default true.
        public var verifiesPeer: Bool
        /// A PEM file of certificate authorities to trust instead of the system's.
        public var caFile: String?
        /// A folder of certificate authorities, hashed as `openssl rehash` does, to trust instead of the system's.
        public var caDirectory: String?
        /// Certificate authorities to trust instead of the system's, beside those of ``caFile`` and ``caDirectory``. Default:
        /// none.
        public var roots: [Source]
        /// Certificate authorities to trust beside the system's, or beside those named instead. Default: none.
        public var additionalRoots: [Source]
        /// Certificate revocation lists (RFC 5280 section 5), PEM or DER. If there is any, each authority of a chain needs a
        /// valid one, as with curl's `--crlfile`. Default: none, and no lists are looked for.
        public var revocationLists: [Source]
        /// How to treat OCSP staples, by which servers show that their certificate has not been revoked. Default:
        /// ``Stapling/checked``.
        public var stapling: Stapling
        /// Public keys of which the server's chain must contain at least one, as `sha256//` and the Base64 form of the
        /// SHA-256 of the key (SubjectPublicKeyInfo; RFC 7469 section 2.4). Name a backup key too: a server that loses its
        /// only pinned key is lost to its clients. Default: none, and every key is accepted.
        ///
        /// Any certificate of the verified chain may have the key, so an authority can be pinned. If ``verifiesPeer`` is false,
        /// only the server's own certificate counts. Pins hold for resumed sessions as well.
        public var pinnedKeys: [String]
        /// Examines a server's certificates after everything else has accepted them, and throws to reject them. It can only
        /// be stricter: nothing is accepted because of it. Default: none.
        ///
        /// It is called for each new connection, resumed or not, on a thread where it may block. The handshake's time limit
        /// (``ConnectionConfiguration/Timeouts/tls``) includes it, and a connection fails with `certificateRejected`, and
        /// the thrown error as its reason, before anything is sent on it. A call that has lost its connection is not stopped.
        /// With a verifier, no connection is shared by several hosts (``HTTPClient/Pool/coalesces``).
        public var verifier: (@Sendable (PeerChain) throws -> Void)?
        /// The name for SNI and verification instead of the origin's host.
        public var serverName: String?

        // MARK: Our certificate

        /// A PEM file with the client's certificate chain, for servers that request one.
        public var certificateFile: String?
        /// A PEM file with the private key of ``certificateFile``.
        public var privateKeyFile: String?
        /// The client's certificate and its key from memory, or with a passphrase, instead of ``certificateFile``.
        public var identity: Identity?

        // MARK: What is offered

        /// The oldest version of TLS to use. Default TLS 1.2.
        public var minimumVersion: Version
        /// The newest version of TLS to use. Default TLS 1.3.
        public var maximumVersion: Version
        /// The TLS 1.2 cipher suites to offer, in OpenSSL's syntax, such as `ECDHE+AESGCM:ECDHE+CHACHA20`. Each name must be
        /// known. Default: for HTTP/2 those that RFC 9113 allows, for HTTP/1.1 OpenSSL's others too.
        public var suites12: String?
        /// The TLS 1.3 cipher suites to offer, separated by colons, such as `TLS_AES_128_GCM_SHA256`. Default: OpenSSL's.
        public var suites13: String?
        /// The groups for the key exchange (RFC 8446 section 4.2.7), separated by colons, the preferred first, such as
        /// `X25519:P-256`. Default: OpenSSL's.
        public var groups: String?
        /// The signature algorithms to accept from the server (RFC 8446 section 4.2.3), separated by colons, such as
        /// `ECDSA+SHA256:rsa_pss_rsae_sha256`. Default: OpenSSL's.
        public var signatureAlgorithms: String?

        // MARK: Sessions and secrets

        /// Whether to resume TLS sessions (RFC 8446 section 2.2, RFC 5077), which saves sending and verifying certificates.
        /// Sessions are shared between connections of one client to the same name and port. Early data is never sent.
        /// Default true.
        public var resumesSessions: Bool
        /// A file that keeps sessions for later runs of the program, so that even a first connection can resume one. Written
        /// when a client is shut down, or a connection of one's own has ended, with up to 256 sessions. Default: none.
        ///
        /// A session is taken from it for a day at most, for the same name, port and protocols, and only if the settings that
        /// decide whether a server is believed are the same. Whoever can write the file can impersonate servers, and whoever
        /// can read it can impersonate the client: it is made with mode 0600, and any other is `tlsConfiguration`, as is a
        /// file that cannot be read. A damaged one counts as empty; one of another kind is left alone.
        public var sessionFile: String?
        /// A file to which the secrets of each connection are appended, in the format of NSS (`SSLKEYLOGFILE`), so that tools
        /// such as Wireshark can decrypt what was recorded. Whoever reads it can read all traffic. A new file is readable by
        /// its owner alone. Default: none; the environment is asked only by ``keyLogFileOfEnvironment``.
        public var keyLogFile: String?

        /// A version of TLS that HTTP/2 allows (RFC 9113 section 9.2).
        @nonexhaustive
        public enum Version: Sendable, Hashable {
            /// TLS 1.2 (RFC 5246).
            case tls12
            /// TLS 1.3 (RFC 8446).
            case tls13
        }

        /// How to treat OCSP staples (RFC 6066 section 8, RFC 6960).
        ///
        /// A staple is judged when a certificate is: not for resumed sessions, not if ``TLS/verifiesPeer`` is false, and not
        /// for a certificate that is trusted itself. A responder's error, such as "try later", counts as no staple.
        @nonexhaustive
        public enum Stapling: Sendable, Hashable {
            /// Ask for none.
            case ignored
            /// Ask for one, and reject the certificate if the staple says that it is revoked, or has expired, is not about
            /// this certificate, or not signed by its authority. Without a staple, reject certificates that promise one
            /// ("must-staple", RFC 7633).
            case checked
            /// As ``checked``, and reject certificates without a staple.
            case required
        }

        /// Creates options; those left out have their defaults.
        public init(
            verifiesPeer: Bool = true, caFile: String? = nil, caDirectory: String? = nil, roots: [Source] = [],
            additionalRoots: [Source] = [], revocationLists: [Source] = [], stapling: Stapling = .checked,
            pinnedKeys: [String] = [], verifier: (@Sendable (PeerChain) throws -> Void)? = nil,
            minimumVersion: Version = .tls12, maximumVersion: Version = .tls13, suites12: String? = nil,
            suites13: String? = nil, groups: String? = nil, signatureAlgorithms: String? = nil,
            serverName: String? = nil, certificateFile: String? = nil, privateKeyFile: String? = nil,
            identity: Identity? = nil, resumesSessions: Bool = true, sessionFile: String? = nil,
            keyLogFile: String? = nil
        ) {
            self.verifiesPeer = verifiesPeer
            self.caFile = caFile
            self.caDirectory = caDirectory
            self.roots = roots
            self.additionalRoots = additionalRoots
            self.revocationLists = revocationLists
            self.stapling = stapling
            self.pinnedKeys = pinnedKeys
            self.verifier = verifier
            self.minimumVersion = minimumVersion
            self.maximumVersion = maximumVersion
            self.suites12 = suites12
            self.suites13 = suites13
            self.groups = groups
            self.signatureAlgorithms = signatureAlgorithms
            self.serverName = serverName
            self.certificateFile = certificateFile
            self.privateKeyFile = privateKeyFile
            self.identity = identity
            self.resumesSessions = resumesSessions
            self.sessionFile = sessionFile
            self.keyLogFile = keyLogFile
        }
    }
}

extension ConnectionConfiguration.TLS {
    /// The file that the environment variable `SSLKEYLOGFILE` names, for ``keyLogFile``; nil if it names none. The library never
    /// asks for it by itself, since a variable should not make a program write its secrets down.
    public static var keyLogFileOfEnvironment: String? {
        guard let value = getenv("SSLKEYLOGFILE"), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The prefix of each of ``pinnedKeys``, as in curl's `--pinnedpubkey`.
    static let pinPrefix = "sha256//"

    /// The SHA-256 in a pin; nil if the text is not one.
    static func digest(ofPin pin: String) -> [UInt8]? {
        guard pin.hasPrefix(pinPrefix) else { return nil }
        let digest = Base64.decode(Array(pin.utf8)[pinPrefix.utf8.count...])
        return digest?.count == 32 ? digest : nil
    }

    /// Checks what needs no files.
    func validate() throws(H2Error) {
        try ConnectionConfiguration.require(
            minimumVersion == .tls12 || maximumVersion == .tls13, "tls.minimumVersion", "above maximumVersion",
            "that or older")
        try ConnectionConfiguration.require(
            identity == nil || certificateFile == nil && privateKeyFile == nil, "tls.identity",
            "combined with certificateFile or privateKeyFile", "the only one")
        for pin in pinnedKeys {
            try ConnectionConfiguration.require(
                Self.digest(ofPin: pin) != nil, "tls.pinnedKeys", "'\(pin.utf8.prefix(80).printable)'",
                "\(Self.pinPrefix) followed by the 44 Base64 characters of a SHA-256")
        }
    }
}
