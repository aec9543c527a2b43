extension OriginServer {
    /// Where an origin listens, what it serves and how it misbehaves.
    public struct Configuration: Sendable {
        /// A literal IPv4 or IPv6 address. The default keeps the origin on this machine.
        public var address = "127.0.0.1"
        /// 0 lets the system choose; `OriginServer.port` tells.
        public var port = 0
        /// A throw-away certificate for `localhost`, `127.0.0.1` and `::1` by default.
        public var security = Security.selfSigned(names: ["localhost", "127.0.0.1", "::1"])
        /// The folder whose files are served under their paths; nil serves the routes alone.
        public var documentRoot: String?
        public var settings = Settings()
        public var limits = Limits()
        public var faults = Faults()

        public init() {}
    }

    /// How connections are protected.
    public enum Security: Sendable {
        /// HTTP/2 in cleartext, by prior knowledge.
        case cleartext
        /// TLS with a certificate made on the fly for these DNS names and addresses, valid for seven days.
        case selfSigned(names: [String])
        /// TLS with the certificate chain and the key of these PEM files.
        case identity(certificateFile: String, keyFile: String)
    }

    /// What the origin tells in its first SETTINGS frame (RFC 9113 section 6.5.2). nil leaves a setting out, which
    /// means the protocol's own default.
    public struct Settings: Sendable {
        public var maxConcurrentStreams: UInt32? = 1_000
        /// Bytes that a stream may send before the route has read them.
        public var initialWindowSize: UInt32? = 1 << 20
        public var maxFrameSize: UInt32?
        /// Bytes of the table that a client's header compression may use here.
        public var headerTableSize: UInt32?
        public var maxHeaderListSize: UInt32? = 64 << 10
        /// Bytes that all streams of a connection together may send before routes have read them.
        public var connectionWindowSize = 8 << 20

        public init() {}
    }

    /// Limits on what clients may make the origin hold.
    public struct Limits: Sendable {
        /// Connections at once, those that shake hands included; more are closed at accept. Default 10,000.
        public var connections = 10_000
        /// Bytes of one header block (name + value + 32 a field); more is answered with 431. Default 64 KiB.
        public var headerListSize = 64 << 10
        /// From accept to the end of the TLS handshake. Default 15 s.
        public var handshake = Duration.seconds(15)
        /// A connection without any traffic for so long is told GOAWAY, and is closed if it stays quiet for another
        /// second; a stream that waits for its answer makes no traffic. Default: never.
        public var idle: Duration?

        public init() {}
    }

    /// Misbehaviour of every connection, for tests of clients. Routes such as `/reset/CODE` misbehave for one request.
    /// Counts are per connection, and begin with 1.
    public struct Faults: Sendable {
        /// Waits so long before it looks at any request.
        public var latency = Duration.zero
        /// Says GOAWAY when this many requests have arrived; later ones are ignored, as RFC 9113 section 6.8 lets it.
        public var goAwayAfterRequests: Int?
        /// First a GOAWAY that names the highest stream, then, a round trip later, the final one.
        public var goAwayIsTwoStep = false
        /// The code of that GOAWAY.
        public var goAwayCode: UInt32 = 0
        /// Resets every so many-th stream with REFUSED_STREAM.
        public var refuseEvery: Int?
        /// Never answers every so many-th stream.
        public var stallEvery: Int?
        /// Resets each response with `resetCode` after so many bytes of its body.
        public var resetAfterBodyBytes: Int?
        /// Default INTERNAL_ERROR.
        public var resetCode: UInt32 = 2
        /// Closes the connection without a word when this many requests have arrived.
        public var closeAfterRequests: Int?
        /// Does not acknowledge SETTINGS.
        public var omitsSettingsAcknowledgement = false
        /// Does not answer PING.
        public var omitsPingAcknowledgement = false
        /// Accepts connections, and then neither reads nor writes.
        public var isMute = false

        public init() {}
    }
}
