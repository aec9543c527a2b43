import H2Platform

extension ConnectionConfiguration {
    /// TLS options: certificates to trust, certificates to present, and the offer to the server.
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
    /// Files are read off the event loops, once for all connections of a client, and again for new connections after
    /// they have changed. If something cannot be read or used, the connection fails with
    /// ``H2Error/Code/tlsConfiguration``; nothing falls back to weaker trust. Renegotiation in TLS 1.2 and compression
    /// are always refused.
    public struct TLS: Sendable {
        // MARK: Trust

        /// Whether to verify the peer's certificate and host name. If not (curl's `-k`), anybody on the path can read
        /// and answer the requests; ``pinnedKeys`` and ``verifier`` still apply. Default true.
        public var verifiesPeer: Bool
        /// A PEM file of certificate authorities to trust instead of the system's.
        public var caFile: String?
        /// A folder of certificate authorities to trust instead of the system's, hashed as by `openssl rehash`.
        public var caDirectory: String?
        /// Certificate authorities to trust instead of the system's, in addition to those of ``caFile`` and
        /// ``caDirectory``. Default: none.
        public var roots: [Source]
        /// Certificate authorities to trust in addition to the system's, or to those that replace them. Default: none.
        public var additionalRoots: [Source]
        /// Certificate revocation lists (RFC 5280 section 5), PEM or DER. If there are any, each authority in a chain
        /// needs a valid one, as with curl's `--crlfile`. Default: none, and revocation lists are not used.
        public var revocationLists: [Source]
        /// How to treat OCSP staples, with which servers prove that their certificate has not been revoked. Default:
        /// ``Stapling/checked``.
        public var stapling: Stapling
        /// Public keys, at least one of which the server's chain must contain: `sha256//` followed by the Base64 form
        /// of the key's SHA-256 (SubjectPublicKeyInfo; RFC 7469 section 2.4). Name a backup key too: if a server loses
        /// its only pinned key, its clients can no longer reach it. Default: none, and every key is accepted.
        ///
        /// Any certificate of the verified chain may have the key, so an authority can be pinned. If ``verifiesPeer``
        /// is false, only the server's own certificate counts. Pins apply to resumed sessions as well.
        public var pinnedKeys: [String]
        /// Examines a server's certificates after all other checks have accepted them, and throws to reject them. It
        /// can only make checks stricter: nothing is accepted because of it. Default: none.
        ///
        /// It is called for each new connection, resumed or not, on a thread where it may block. The handshake's time
        /// limit (``ConnectionConfiguration/Timeouts/tls``) includes the call. If it throws, the connection fails with
        /// `certificateRejected`, with the thrown error as the reason, before anything is sent on it. The exception is
        /// early data (``sendsEarlyData``), which only a server that the verifier accepted when the session began can
        /// read. A call whose connection is gone is not cancelled. With a verifier, no connection is shared by several
        /// hosts (``HTTPClient/Pool/coalesces``).
        public var verifier: (@Sendable (PeerChain) throws -> Void)?
        /// The name for SNI and verification, in place of the origin's host.
        public var serverName: String?

        // MARK: Our certificate

        /// A PEM file with the client's certificate chain, for servers that request one.
        public var certificateFile: String?
        /// A PEM file with the private key of ``certificateFile``.
        public var privateKeyFile: String?
        /// The client's certificate and its key, from memory or with a passphrase, in place of ``certificateFile``.
        public var identity: Identity?

        // MARK: What is offered

        /// The oldest version of TLS to use. Default TLS 1.2.
        public var minimumVersion: Version
        /// The newest version of TLS to use. Default TLS 1.3.
        public var maximumVersion: Version
        /// The TLS 1.2 cipher suites to offer, in OpenSSL's syntax, such as `ECDHE+AESGCM:ECDHE+CHACHA20`. Each name
        /// must be known. Default: for HTTP/2 those that RFC 9113 allows; for HTTP/1.1 OpenSSL's other suites too.
        public var suites12: String?
        /// The TLS 1.3 cipher suites to offer, separated by colons, such as `TLS_AES_128_GCM_SHA256`. Default: OpenSSL's.
        public var suites13: String?
        /// The groups for the key exchange (RFC 8446 section 4.2.7), separated by colons, in order of preference, such
        /// as `X25519:P-256`. Default: OpenSSL's.
        public var groups: String?
        /// The signature algorithms to accept from the server (RFC 8446 section 4.2.3), separated by colons, such as
        /// `ECDSA+SHA256:rsa_pss_rsae_sha256`. Default: OpenSSL's.
        public var signatureAlgorithms: String?

        // MARK: Sessions and secrets

        /// Whether to resume TLS sessions (RFC 8446 section 2.2, RFC 5077), which saves sending and verifying certificates.
        /// Sessions are shared between connections of one client to the same name and port. Default true.
        public var resumesSessions: Bool
        /// Whether an ``HTTPClient`` sends requests in TLS 1.3 early data (0-RTT; RFC 8446 section 2.3, RFC 8470). This
        /// saves a round trip when it opens a connection with a session that allows early data.
        ///
        /// - Warning: Anyone who records early data can send it to the server again, any number of times, and the
        ///   server may process each copy. Early data is also not protected by the key exchange of its own connection:
        ///   anyone who obtains the session's secrets later can read it.
        ///
        /// Therefore the default is false, and only requests with a safe method (GET, HEAD, OPTIONS, TRACE; RFC 9110
        /// section 9.2.1) and without a body are sent early, unless ``RequestOptions/allowsEarlyData`` says otherwise.
        /// Turn it on only if it does no harm when anybody repeats such requests. All other requests wait for the end
        /// of the handshake. At most 16 KiB are sent early on a connection, or less if the server allows less; a
        /// request that does not fit waits, too.
        ///
        /// No part of a response is read before the handshake is over and the server's certificate, its pins and the
        /// ``verifier`` have been checked, as without early data. If the server rejects early data, it is then sent
        /// again on the same connection. After a 425 (Too Early) response to a request that was sent early, or if the
        /// connection ends during its handshake, the client sends the request once more, without early data. The
        /// attempts and the budget of ``HTTPClient/RetryPolicy`` neither count nor limit that. A 425 to any other
        /// request is returned.
        ///
        /// It requires ``resumesSessions`` and TLS 1.3 (else `invalidConfiguration`). Connections of your own and
        /// connections that a client lends never send early data. ``ConnectionInfo/earlyData`` and
        /// ``HTTPClient/Statistics`` report the outcome.
        public var sendsEarlyData: Bool
        /// A file that keeps sessions for later runs of the program, so that even a first connection can resume one. It
        /// is written when a client is shut down or a connection of your own has ended, with up to 256 sessions.
        /// Default: none.
        ///
        /// A session is taken from it for at most a day, for the same name, port and protocols, and only if the
        /// settings that decide whether a server is trusted are the same. Anyone who can write the file can impersonate
        /// servers, and anyone who can read it can impersonate the client, so it is created with mode 0600. A file with
        /// any other mode fails with `tlsConfiguration`, and so does one that cannot be read. A damaged file counts as
        /// empty; a file of another kind is left alone.
        public var sessionFile: String?
        /// A file to which the secrets of each connection are appended, in the NSS format (`SSLKEYLOGFILE`), so that
        /// tools such as Wireshark can decrypt recorded traffic. Anyone who reads it can decrypt all traffic. A new
        /// file is readable only by its owner. Default: none; the environment is consulted only by
        /// ``keyLogFileOfEnvironment``.
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
        /// A staple is checked when a certificate is: not for resumed sessions, not if ``TLS/verifiesPeer`` is false,
        /// and not for a certificate that is trusted itself. A responder's error, such as "try later", counts as no
        /// staple.
        @nonexhaustive
        public enum Stapling: Sendable, Hashable {
            /// Do not request one.
            case ignored
            /// Request one, and reject the certificate if the staple says that it is revoked, or if the staple has
            /// expired, is not about this certificate, or is not signed by its authority. If there is no staple, reject
            /// certificates that promise one ("must-staple", RFC 7633).
            case checked
            /// The same as ``checked``, and also reject certificates without a staple.
            case required
        }

        /// Creates options; those that are left out have their defaults.
        public init(
            verifiesPeer: Bool = true, caFile: String? = nil, caDirectory: String? = nil, roots: [Source] = [],
            additionalRoots: [Source] = [], revocationLists: [Source] = [], stapling: Stapling = .checked,
            pinnedKeys: [String] = [], verifier: (@Sendable (PeerChain) throws -> Void)? = nil,
            minimumVersion: Version = .tls12, maximumVersion: Version = .tls13, suites12: String? = nil,
            suites13: String? = nil, groups: String? = nil, signatureAlgorithms: String? = nil,
            serverName: String? = nil, certificateFile: String? = nil, privateKeyFile: String? = nil,
            identity: Identity? = nil, resumesSessions: Bool = true, sendsEarlyData: Bool = false,
            sessionFile: String? = nil,
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
            self.sendsEarlyData = sendsEarlyData
            self.sessionFile = sessionFile
            self.keyLogFile = keyLogFile
        }
    }
}

extension ConnectionConfiguration.TLS {
    /// The file named by the environment variable `SSLKEYLOGFILE`, for ``keyLogFile``; nil if it names none. The
    /// library never reads it on its own, since a variable alone should not make a program write down its secrets.
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

    /// Checks the settings that do not involve files.
    func validate() throws(H2Error) {
        try ConnectionConfiguration.require(
            minimumVersion == .tls12 || maximumVersion == .tls13, "tls.minimumVersion", "above maximumVersion",
            "that or older")
        try ConnectionConfiguration.require(
            identity == nil || certificateFile == nil && privateKeyFile == nil, "tls.identity",
            "combined with certificateFile or privateKeyFile", "the only one")
        try ConnectionConfiguration.require(
            !sendsEarlyData || resumesSessions && maximumVersion == .tls13, "tls.sendsEarlyData",
            "combined with resumesSessions false or maximumVersion tls12", "false")
        for pin in pinnedKeys {
            try ConnectionConfiguration.require(
                Self.digest(ofPin: pin) != nil, "tls.pinnedKeys", "'\(pin.utf8.prefix(80).printable)'",
                "\(Self.pinPrefix) followed by the 44 Base64 characters of a SHA-256")
        }
    }
}
