/// Every option and every limit of a connection, with units and defaults.
///
/// SO_SNDBUF and SO_RCVBUF stay the system's; TCP_NODELAY is always set.
public struct Configuration: Sendable {
    /// Whom to trust, and what to show.
    public var tls = TLS()
    /// How long each step of a connection may take.
    public var timeouts = Timeouts()
    /// How much a server may send ahead of the reader.
    public var windows = Windows()
    /// What a peer may make us hold or do.
    public var limits = Limits()
    /// When a quiet HTTP/2 connection is asked whether its peer is still there.
    public var keepAlive = KeepAlive()
    /// How the system finds out that a peer has vanished. nil leaves it to the system's defaults, which are none. Default: on.
    public var tcpKeepAlive: TCPKeepAlive? = TCPKeepAlive()

    /// Connect here instead of the origin's own host and port (as curl's --connect-to and --resolve); the name that is
    /// asked for and verified stays the origin's.
    public var connectTo: (host: String, port: Int)?
    /// A Unix domain socket to connect to, instead of any host and port.
    package var socketPath: String?
    /// An IPv4 or IPv6 address of this machine to connect from; nil for the system's choice.
    package var sourceAddress: String?
    /// Sees each frame that is sent and received, on the connection's event loop. It must not block. nil costs nothing.
    public var onFrame: (@Sendable (FrameRecord) -> Void)?

    /// Looks names up instead of the system's getaddrinfo.
    package var resolver: (any NameResolver)?

    public init() {}

    /// TLS options.
    public struct TLS: Sendable {
        /// Verify the peer's certificate and host name. Off is curl's `-k`: anybody can then read and answer.
        public var verifiesPeer = true
        /// A PEM file of the authorities to trust, instead of the system's.
        public var caFile: String?
        /// A folder of authorities, hashed as `openssl rehash` does, instead of the system's.
        public var caDirectory: String?
        /// The oldest version to speak, and the newest. Default: TLS 1.2 and TLS 1.3.
        public var minimumVersion = Version.tls12
        public var maximumVersion = Version.tls13
        /// The name for SNI and verification, instead of the origin's host.
        public var serverName: String?
        /// A PEM file with our certificate chain, and one with its key, for a server that asks for them.
        public var certificateFile: String?
        public var privateKeyFile: String?
        /// Resume TLS sessions (RFC 8446 section 2.2, RFC 5077), which saves the certificates and their verification: where
        /// connections share a configuration and a client, and go to the same name and port. Never with early data.
        /// Default true.
        public var resumesSessions = true
        /// Which suites to offer instead of the default ones, in OpenSSL's words: TLS 1.2's, and TLS 1.3's. And which groups for
        /// the exchange of keys, such as `X25519:P-256`.
        package var suites12: String?
        package var suites13: String?
        package var groups: String?

        /// A version that HTTP/2 may be spoken over (RFC 9113 section 9.2).
        public enum Version: Sendable, Hashable { case tls12, tls13 }

        public init() {}
    }

    /// Time limits of a connection. Those of a request are in `RequestOptions`.
    public struct Timeouts: Sendable {
        /// Looking up the host's addresses, from when the look-up runs: 256 may run at once in a process. Default 10 s.
        public var resolve: Duration = .seconds(10)
        /// From the first TCP attempt to an established connection, over all addresses. Default 30 s.
        public var connect: Duration = .seconds(30)
        /// The TLS handshake. Default 15 s.
        public var tls: Duration = .seconds(15)
        /// Those three together. Default: no limit but theirs.
        public var establish: Duration?
        /// Until the server's SETTINGS acknowledges ours (RFC 9113 section 6.5.3). Default 30 s.
        public var settings: Duration = .seconds(30)
        /// How long the socket may take no byte while something waits to be sent: a peer that stopped reading, or that is
        /// gone without a word. Past it the connection ends, and what is under way fails with `timeout`. Default 30 s.
        public var writeStall: Duration = .seconds(30)
        /// How long `close()` waits for streams under way. Default 30 s.
        public var drain: Duration = .seconds(30)
        /// The head start of one address before the next is tried as well (RFC 8305 section 5). Default 250 ms.
        public var connectionAttemptDelay: Duration = .milliseconds(250)

        public init() {}
    }

    /// PINGs (RFC 9113 section 6.7) that find a server which is gone without a word. Apart from how long an idle connection
    /// is kept; and a server that takes no bytes is found by `Timeouts.writeStall` too.
    public struct KeepAlive: Sendable, Hashable {
        /// After so long without any byte from the server a PING is sent. nil turns it off. Default 60 s.
        public var interval: Duration? = .seconds(60)
        /// No byte within this after the PING ends the connection, and what is under way fails with `timeout`
        /// (`isRetryable` only for what had not left). Default 15 s.
        public var timeout: Duration = .seconds(15)
        /// Also while no request is under way. Default false.
        public var whileIdle = false
        /// While nothing but acknowledgements of PINGs arrives, and no request begins, the interval doubles up to 5
        /// minutes: servers of gRPC end a connection (ENHANCE_YOUR_CALM, "too_many_pings") that pings more than twice
        /// at shorter intervals than that with nothing of theirs in between. Default true.
        public var backsOff = true

        public init() {}
    }

    /// TCP keep-alive (RFC 9293 section 3.8.4), and how long sent bytes may stay unacknowledged. Both find a peer that is
    /// gone without a word, below whatever is spoken: for HTTP/1.1 there is nothing else that does.
    ///
    /// Where the system has no such option, that part is left out.
    public struct TCPKeepAlive: Sendable, Hashable {
        /// How long the connection may be silent before the system probes the peer. Rounded up to whole seconds, 1 to
        /// 32,767. Default 60 s.
        public var idle: Duration = .seconds(60)
        /// Between one probe and the next. Rounded up to whole seconds, 1 to 32,767. Default 15 s.
        public var interval: Duration = .seconds(15)
        /// How many probes may stay unanswered. 1 to 127. Default 4.
        public var count = 4
        /// How long bytes that were sent, and probes, may stay unacknowledged before the system ends the connection
        /// (RFC 5482; TCP_USER_TIMEOUT), which fails what is under way with `connectionClosed` (ETIMEDOUT). On Linux this
        /// decides instead of `count`. In milliseconds, at least 1. nil, the default: idle + count × interval.
        public var userTimeout: Duration?

        public init() {}
    }

    /// Receive windows, in bytes (RFC 9113 section 5.2): how much a server may send ahead of the reader.
    public struct Windows: Sendable {
        /// SETTINGS_INITIAL_WINDOW_SIZE. 65,535 to 2^31-1. Default 1 MiB.
        public var stream = 1 << 20
        /// The connection's window. 65,535 to 2^31-1. Default 4 MiB.
        public var connection = 4 << 20
        /// A stream's window grows with the measured bandwidth-delay product up to this, and the connection's to twice a
        /// stream's; equal to `stream` turns that off. Default 16 MiB.
        public var maximum = 16 << 20
        /// What all streams together may hold unread before new bytes are let in more slowly: past it streams' windows are
        /// 65,535 bytes, until half of it has been read. So responses that nobody reads never hold up one that somebody
        /// reads, and the memory of a connection is bounded by this, one connection window, and 65,535 bytes for each
        /// unread response. Default 32 MiB.
        public var unreadLimit = 32 << 20

        public init() {}
    }

    /// Limits on what a peer may make us hold or do. Each ends in a `limitExceeded` error that says which it was, but for
    /// `concurrentStreams`, over which requests wait.
    public struct Limits: Sendable {
        /// Bytes of one header block, counted as RFC 9113 section 6.5.2 does (name + value + 32 a field). At most 1 GiB.
        /// Default 64 KiB.
        public var headerListSize = 64 << 10
        /// Fields of one header block. At most 60,000. Default 10,000.
        public var headerFields = 10_000
        /// SETTINGS_MAX_FRAME_SIZE: bytes of payload that one frame of the server's may have. 16,384 to 2^24-1. Default
        /// 16,384.
        public var frameSize = 16_384
        /// CONTINUATION frames of one header block, not counting those of 4,096 bytes and more within its first 16 MiB (or
        /// `headerListSize`). Default 16.
        public var continuationFrames = 16
        /// Informational (1xx) responses to one request, and 4 KiB of fields for each of them: this many at once, and
        /// `informationalResponsesPerSecond` on top, so that a server which sends one now and then may go on for hours.
        /// Default 100 and 1.
        public var informationalResponses = 100
        public var informationalResponsesPerSecond = 1
        /// Frames that bring nothing (SETTINGS, PING, PRIORITY, WINDOW_UPDATE beyond what was sent, RST_STREAM of closed
        /// streams, empty DATA, unknown types): so many at once, and `fruitlessFramesPerSecond` on top. Default 1,000.
        public var fruitlessFrames = 1_000
        public var fruitlessFramesPerSecond = 100
        /// Requests that wait for a stream slot. Default 1,000,000.
        public var waitingRequests = 1_000_000
        /// Streams at once, whatever the peer allows. Default: no limit of ours.
        public var concurrentStreams = Int.max
        /// A connection takes no new requests after one with this identifier or a later one: HTTP/2 has none above 2^31-1
        /// (RFC 9113 section 5.1.1), and HTTP/1.1 numbers its requests in the same way. What is left, a million requests of
        /// HTTP/2, is for those that were given a place on it by then.
        package var lastIdentifier = Int32.max - (1 << 21)

        public init() {}
    }
}
