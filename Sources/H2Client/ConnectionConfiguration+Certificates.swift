extension ConnectionConfiguration.TLS {
    /// Certificates, keys or revocation lists, in a file or in memory.
    ///
    /// Its description says what kind of source it is and never shows the contents, which may be a private key.
    public struct Source: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
        enum Content: Sendable, Hashable {
            case file(String)
            case pem([UInt8])
            case der([UInt8])
        }

        let content: Content

        /// A file, PEM or DER, of at most 64 MiB. It is read again after it has changed.
        public static func file(_ path: String) -> Source { Source(content: .file(path)) }

        /// PEM text (RFC 7468). Sections of other kinds are skipped.
        public static func pem(_ text: String) -> Source { Source(content: .pem(Array(text.utf8))) }

        /// PEM text (RFC 7468) as bytes. Sections of other kinds are skipped.
        public static func pem(_ bytes: some Sequence<UInt8>) -> Source { Source(content: .pem(Array(bytes))) }

        /// DER bytes. Several certificates, or several revocation lists, may follow one another.
        public static func der(_ bytes: some Sequence<UInt8>) -> Source { Source(content: .der(Array(bytes))) }

        /// The file's path; nil if it is in memory.
        package var path: String? {
            if case .file(let path) = content { path } else { nil }
        }

        /// The file's name, or the number of bytes in memory.
        public var description: String {
            switch content {
            case .file(let path): "the file '\(path)'"
            case .pem(let bytes): "\(bytes.count) bytes of PEM"
            case .der(let bytes): "\(bytes.count) bytes of DER"
            }
        }

        /// Shows none of the contents.
        public var customMirror: Mirror { Mirror(self, children: []) }
    }

    /// A client certificate with its private key, for servers that request one.
    public struct Identity: Sendable {
        /// The client's certificate, followed by those of the authorities between it and the root.
        public var certificates: Source
        /// The certificate's private key, PEM or DER, in PKCS #8 or the older forms. nil: it is in ``certificates``
        /// too, as PEM.
        public var privateKey: Source?
        /// Returns the passphrase of an encrypted private key. Called each time the key is loaded, but only if it is
        /// encrypted, on a thread where it may block. The passphrase has at most 1,024 bytes of UTF-8. An error that it
        /// throws becomes the reason of the ``H2Error/Code/tlsConfiguration`` error. Default: none; encrypted keys are
        /// then refused.
        public var passphrase: (@Sendable () throws -> String)?

        /// Creates an identity.
        public init(
            certificates: Source, privateKey: Source? = nil, passphrase: (@Sendable () throws -> String)? = nil
        ) {
            self.certificates = certificates
            self.privateKey = privateKey
            self.passphrase = passphrase
        }
    }

    /// The certificates of a server, for ``verifier``.
    public struct PeerChain: Sendable, Hashable {
        /// A certificate of a chain.
        public struct Certificate: Sendable, Hashable {
            /// The whole certificate in DER (RFC 5280 section 4.1).
            public var der: [UInt8]
            /// The subject's distinguished name as text, such as `O = Example, CN = example.com`.
            public var subject: String
            /// The issuer's distinguished name as text.
            public var issuer: String
            /// The DNS names and IP addresses that the certificate is for (RFC 5280 section 4.2.1.6).
            public var names: [String]
            /// The hash of the public key, in the form of ``TLS/pinnedKeys``.
            public var publicKeyPin: String

            /// Creates a certificate, for tests.
            public init(
                der: [UInt8] = [], subject: String = "", issuer: String = "", names: [String] = [],
                publicKeyPin: String = ""
            ) {
                self.der = der
                self.subject = subject
                self.issuer = issuer
                self.names = names
                self.publicKeyPin = publicKeyPin
            }
        }

        /// The name or address that was verified, or would be if ``TLS/verifiesPeer`` were true.
        public var host: String
        /// The server's certificate first, then the issuer of each. If verified, the chain ends with a trusted
        /// certificate; otherwise it is the chain that the server sent, and only the first certificate is certain to be
        /// the server's.
        public var certificates: [Certificate]
        /// Whether the chain and the host were verified.
        public var isVerified: Bool
        /// Whether the session was resumed. The certificates are then those of the connection that started it.
        public var isResumed: Bool

        /// Creates a chain, for tests of verifiers.
        public init(host: String, certificates: [Certificate], isVerified: Bool = true, isResumed: Bool = false) {
            self.host = host
            self.certificates = certificates
            self.isVerified = isVerified
            self.isResumed = isResumed
        }
    }
}
