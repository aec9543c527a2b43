extension H2Error {
    /// Why a peer's certificate was rejected.
    public struct CertificateFault: Sendable, Hashable {
        /// The kinds of faults.
        @nonexhaustive
        public enum Kind: String, Sendable, Hashable, CaseIterable {
            /// Its validity has not begun.
            case notYetValid
            /// Its validity has ended.
            case expired
            /// It is for another host.
            case wrongHost
            /// It was not signed by an authority that is trusted here. This includes certificates that signed themselves.
            case unknownAuthority
            /// Its authority revoked it.
            case revoked
            /// The revocation status is unknown: an OCSP staple or a revocation list is missing, has expired, or cannot
            /// be relied on.
            case unknownRevocation
            /// No public key of the chain is pinned (``ConnectionConfiguration/TLS/pinnedKeys``).
            case pinMismatch
            /// ``ConnectionConfiguration/TLS/verifier`` rejected it.
            case refused
            /// Any other fault, such as a broken signature or a key that is too weak; see ``CertificateFault/reason``.
            case other
        }

        /// The kind of the fault.
        public var kind: Kind
        /// The fault in words.
        public var reason: String

        /// Creates a fault, for tests.
        public init(_ kind: Kind, reason: String = "") {
            self.kind = kind
            self.reason = reason
        }
    }

    /// Why TLS failed.
    public struct TLSFault: Sendable, Hashable {
        /// The alert that the peer sent (RFC 8446 section 6), such as 40 for `handshake_failure`; nil if it sent none.
        public var alert: UInt8?
        /// The TLS library's reason in words. The wording may change between its versions.
        public var reason: String

        /// Creates a fault, for tests.
        public init(alert: UInt8? = nil, reason: String = "") {
            self.alert = alert
            self.reason = reason
        }
    }
}
