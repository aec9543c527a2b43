/// The state of a connection at one moment.
public struct ConnectionSnapshot: Sendable {
    /// The states of a connection.
    @nonexhaustive
    public enum State: String, Sendable, Hashable {
        /// It takes requests.
        case active
        /// It takes no new requests and finishes those in progress.
        case draining
        /// It has ended.
        case closed
    }

    /// The values of one side's SETTINGS (RFC 9113 section 6.5.2), or the protocol's defaults.
    public struct Settings: Sendable, Hashable {
        /// The size in bytes of the dynamic table that the other side's header compression may use.
        public var headerTableSize: Int
        /// How many streams the other side may open at once; nil: no limit was announced.
        public var maxConcurrentStreams: Int?
        /// The window in bytes that a new stream starts with.
        public var initialWindowSize: Int
        /// The largest frame payload in bytes that is accepted.
        public var maxFrameSize: Int
        /// The largest header section in bytes that is accepted; nil: no limit was announced.
        public var maxHeaderListSize: Int?

        /// Creates settings, for tests. Those left out have the protocol's defaults.
        public init(
            headerTableSize: Int = 4_096, maxConcurrentStreams: Int? = nil, initialWindowSize: Int = 65_535,
            maxFrameSize: Int = 16_384, maxHeaderListSize: Int? = nil
        ) {
            self.headerTableSize = headerTableSize
            self.maxConcurrentStreams = maxConcurrentStreams
            self.initialWindowSize = initialWindowSize
            self.maxFrameSize = maxFrameSize
            self.maxHeaderListSize = maxHeaderListSize
        }
    }

    /// The contents of a GOAWAY frame (RFC 9113 section 6.8).
    public struct GoAway: Sendable, Hashable {
        /// The highest stream that the server may have processed.
        public var lastStreamID: Int32
        /// Why the server closes the connection.
        public var code: H2Error.HTTP2Code
        /// The server's explanation, made printable.
        public var debugText: String

        /// Creates the contents of a GOAWAY frame, for tests.
        public init(lastStreamID: Int32, code: H2Error.HTTP2Code, debugText: String = "") {
            self.lastStreamID = lastStreamID
            self.code = code
            self.debugText = debugText
        }
    }

    /// Whether the connection takes requests.
    public var state: State
    /// The SETTINGS that this side announced and the peer acknowledged.
    public var localSettings: Settings
    /// The SETTINGS that the peer announced.
    public var remoteSettings: Settings
    /// Streams that are open.
    public var openStreams: Int
    /// Requests that wait for a stream.
    public var waitingRequests: Int
    /// Requests that were given a stream since the connection was opened.
    public var requests: Int
    /// Bytes sent, before TLS.
    public var bytesSent: Int
    /// Bytes received, before TLS.
    public var bytesReceived: Int
    /// Bytes of response bodies that have arrived and were not read yet.
    public var unreadBytes: Int
    /// How many bytes the peer may still send on the connection.
    public var receiveWindow: Int
    /// How many bytes this side may still send on the connection.
    public var sendWindow: Int
    /// The contents of the server's GOAWAY; nil if it sent none.
    public var goAway: GoAway?
    /// The round-trip time of the last `ping()`; nil before the first answer.
    public var roundTripTime: Duration?
    /// The origins that the server announced for this connection, such as `https://example.com` (RFC 8336); nil if it
    /// announced none.
    public var originSet: Set<String>?

    /// Creates a snapshot, for tests.
    public init(
        state: State = .active, localSettings: Settings = Settings(), remoteSettings: Settings = Settings(),
        openStreams: Int = 0, waitingRequests: Int = 0, requests: Int = 0, bytesSent: Int = 0, bytesReceived: Int = 0,
        unreadBytes: Int = 0, receiveWindow: Int = 65_535, sendWindow: Int = 65_535, goAway: GoAway? = nil,
        roundTripTime: Duration? = nil, originSet: Set<String>? = nil
    ) {
        self.state = state
        self.localSettings = localSettings
        self.remoteSettings = remoteSettings
        self.openStreams = openStreams
        self.waitingRequests = waitingRequests
        self.requests = requests
        self.bytesSent = bytesSent
        self.bytesReceived = bytesReceived
        self.unreadBytes = unreadBytes
        self.receiveWindow = receiveWindow
        self.sendWindow = sendWindow
        self.goAway = goAway
        self.roundTripTime = roundTripTime
        self.originSet = originSet
    }
}

/// Properties of a connection that stay the same for its life.
public struct ConnectionInfo: Sendable, Hashable {
    /// Identifies the connection within the process.
    public var id: ConnectionID
    /// The origin that the connection was opened for.
    public var origin: Origin
    /// The peer's numeric address with its port, such as `127.0.0.1:8443`. With a proxy, the peer is the proxy.
    public var remoteAddress: String
    /// This side's numeric address with its port.
    public var localAddress: String
    /// The proxy that the connection goes through, as a URL without user name and password; nil for a direct connection.
    public var proxy: String?
    /// The version of TLS, such as `TLSv1.3`; nil in cleartext.
    public var tlsVersion: String?
    /// The cipher suite, such as `TLS_AES_256_GCM_SHA384`; nil in cleartext.
    public var cipher: String?
    /// The subject of the peer's certificate, on one line; nil in cleartext.
    public var certificateSubject: String?
    /// The issuer of the peer's certificate, on one line; nil in cleartext.
    public var certificateIssuer: String?
    /// The end of the certificate's validity, as OpenSSL prints it; nil in cleartext.
    public var certificateExpiry: String?
    /// Whether the peer's certificate was verified.
    public var isPeerVerified: Bool
    /// Whether an earlier connection's TLS session was resumed. The certificate was verified on that connection.
    public var isTLSResumed: Bool
    /// The outcome for early data. With early data, the TLS properties are nil or false until the handshake is over; no
    /// response comes before that.
    public var earlyData: EarlyData
    /// How long looking up the host (or the proxy) took.
    public var resolve: Duration
    /// How long connecting by TCP took.
    public var connect: Duration
    /// How long it took the proxy to open a tunnel, including the TLS handshake with an `https` proxy; nil if there is
    /// no tunnel.
    public var tunnel: Duration?
    /// How long the TLS handshake took; nil in cleartext.
    public var tls: Duration?
    /// The protocol that ALPN chose; nil if none, and in cleartext.
    package var alpn: String?
    /// The peer's certificates in DER, its own first, if they are noted. Of a resumed session its own alone.
    package var certificates: [[UInt8]] = []
    /// The same as text: what each is about, then PEM (RFC 7468).
    package var certificateText: String { PeerCertificates.text(certificates) }

    /// The outcome for a connection's early data (RFC 8446 section 2.3).
    @nonexhaustive
    public enum EarlyData: Sendable, Hashable {
        /// None was sent.
        case notSent
        /// The server accepted it.
        case accepted
        /// The server rejected it, and its contents were sent again after the handshake.
        case rejected
    }

    /// Creates the properties of a connection, for tests.
    public init(
        id: ConnectionID = ConnectionID(number: 1), origin: Origin, remoteAddress: String = "",
        localAddress: String = "", proxy: String? = nil, tlsVersion: String? = nil, cipher: String? = nil,
        certificateSubject: String? = nil,
        certificateIssuer: String? = nil, certificateExpiry: String? = nil, isPeerVerified: Bool = false,
        isTLSResumed: Bool = false, earlyData: EarlyData = .notSent, resolve: Duration = .zero,
        connect: Duration = .zero,
        tunnel: Duration? = nil, tls: Duration? = nil
    ) {
        self.id = id
        self.origin = origin
        self.remoteAddress = remoteAddress
        self.localAddress = localAddress
        self.proxy = proxy
        self.tlsVersion = tlsVersion
        self.cipher = cipher
        self.certificateSubject = certificateSubject
        self.certificateIssuer = certificateIssuer
        self.certificateExpiry = certificateExpiry
        self.isPeerVerified = isPeerVerified
        self.isTLSResumed = isTLSResumed
        self.earlyData = earlyData
        self.resolve = resolve
        self.connect = connect
        self.tunnel = tunnel
        self.tls = tls
    }
}

extension ConnectionInfo {
    /// The info of a connection over a simulated wire.
    static func simulated(_ origin: Origin) -> ConnectionInfo { ConnectionInfo(id: .next(), origin: origin) }
}
