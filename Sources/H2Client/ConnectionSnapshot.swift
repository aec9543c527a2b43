/// The state of a connection at one moment.
public struct ConnectionSnapshot: Sendable {
    /// `active` takes requests; `draining` takes none and finishes those under way; `closed` is over.
    public enum State: String, Sendable, Hashable { case active, draining, closed }

    /// What one side announced in SETTINGS (RFC 9113 section 6.5.2), or else the protocol's defaults.
    public struct Settings: Sendable, Hashable {
        /// Bytes of the table that the other side's header compression may use.
        public var headerTableSize: Int
        /// nil: no limit was announced.
        public var maxConcurrentStreams: Int?
        /// Bytes that the other side may send on a new stream before it is given more.
        public var initialWindowSize: Int
        /// Bytes of the longest frame payload that is accepted.
        public var maxFrameSize: Int
        /// nil: no limit was announced.
        public var maxHeaderListSize: Int?
    }

    /// Where the connection is in its life.
    public var state: State
    /// What this side announced and the peer acknowledged.
    public var localSettings: Settings
    /// What the peer announced.
    public var remoteSettings: Settings
    /// Streams that are open, and requests that wait for a slot.
    public var openStreams: Int
    public var waitingRequests: Int
    /// Requests that got a stream, in all.
    public var requests: Int
    /// Bytes on the wire, before TLS.
    public var bytesSent: Int
    public var bytesReceived: Int
    /// Response bytes that have arrived and were not read.
    public var unreadBytes: Int
    /// The connection's windows, in bytes.
    public var receiveWindow: Int
    public var sendWindow: Int
    /// What the server said in GOAWAY, if it did.
    public var goAway: (lastStreamID: Int32, code: ErrorCode, debugText: String)?
    /// The round trip that the last `ping()` measured; nil before one was answered.
    public var roundTripTime: Duration?
    /// The origins for which the server says that it answers here, such as `https://example.com` (RFC 8336); nil where it
    /// says nothing about that.
    public var originSet: Set<String>?
}

/// Facts that hold for a connection's life.
public struct ConnectionInfo: Sendable, Hashable {
    /// Names the connection within the process.
    public var id: ConnectionID
    /// What it was opened for.
    public var origin: Origin
    /// Numeric addresses with ports, such as `127.0.0.1:8443`.
    public var remoteAddress: String
    public var localAddress: String
    /// Such as `TLSv1.3` and `TLS_AES_256_GCM_SHA384`; nil in cleartext.
    public var tlsVersion: String?
    public var cipher: String?
    /// The peer's certificate: subject and issuer in one line each, and its last day.
    public var certificateSubject: String?
    public var certificateIssuer: String?
    public var certificateExpiry: String?
    /// Whether the certificate was verified.
    public var isPeerVerified: Bool
    /// Whether the TLS session is an earlier connection's, so that the certificate was verified then.
    public var isTLSResumed = false
    /// How long each step took.
    public var resolve: Duration
    public var connect: Duration
    public var tls: Duration?
}

extension ConnectionInfo {
    /// That of a connection over a wire that leads nowhere.
    static func simulated(_ origin: Origin) -> ConnectionInfo {
        ConnectionInfo(
            id: .next(), origin: origin, remoteAddress: "", localAddress: "", isPeerVerified: false, resolve: .zero,
            connect: .zero)
    }
}
