/// The options and limits of a connection, with their units and defaults.
///
/// ```swift
/// var configuration = ConnectionConfiguration()
/// configuration.tls.caFile = "ca.pem"
/// configuration.timeouts.establish = .seconds(5)
/// configuration.limits.headerListSize = 256 << 10
/// ```
///
/// SO_SNDBUF and SO_RCVBUF keep the system's values; TCP_NODELAY is always set.
public struct ConnectionConfiguration: Sendable {
    /// Which certificates to trust, and which to present.
    public var tls: TLS
    /// Time limits for each step of a connection's life.
    public var timeouts: Timeouts
    /// How much a server may send ahead of the reader.
    public var windows: Windows
    /// Limits on the memory and work that a peer can cause.
    public var limits: Limits
    /// PINGs that check whether the peer of a quiet HTTP/2 connection is still there.
    public var keepAlive: KeepAlive
    /// TCP's own detection of a peer that has vanished. nil: the system's defaults, which detect nothing. Default: on.
    public var tcpKeepAlive: TCPKeepAlive?

    /// Connect to this host and port instead of the origin's own (as curl's --connect-to and --resolve do). The name in the
    /// request and in the certificate check stays the origin's.
    public var connectTo: Endpoint?
    /// The path of a Unix domain socket to connect to, in place of any host, port and proxy: at most 107 bytes on Linux. The
    /// name in the request and in the certificate check is still the origin's. Default: none.
    public var unixSocketPath: String?
    /// The local end of the connection. Default: the system's choice.
    public var local: Local
    /// Finds the addresses of hosts. Default, nil: ``HostResolver/system``.
    public var resolver: HostResolver?
    /// Which addresses may be connected to, whichever name led to them. Default, nil: all.
    public var addressFilter: AddressFilter?
    /// The proxies for connections of your own (``HTTP2Connection``, ``HTTP1Connection``): the same settings as a
    /// client's. Nothing is shared between connections, so each has its own connection to the proxy. A client uses its
    /// own setting (``HTTPClient/Configuration/proxies``), or this one if it has none. If a proxy refuses, or its
    /// answer cannot be used, the error is ``H2Error/Code/proxyFailed``. Default ``HTTPClient/ProxySettings/none``, for
    /// the reason given there.
    ///
    /// ```swift
    /// var configuration = ConnectionConfiguration()
    /// configuration.proxies = .all(try HTTPClient.Proxy("https://proxy.example:8443"))
    /// let origin = try Origin("https://example.com")
    /// let version = try await HTTP2Connection.withConnection(to: origin, configuration: configuration) { $0.info.tlsVersion }
    /// ```
    public var proxies: HTTPClient.ProxySettings
    /// Whether HTTP/1.x requests are sent as HTTP/1.0 (RFC 1945), for servers that understand nothing newer. Requests with a body
    /// of unknown length, trailers or `Expect: 100-continue` then fail (``H2Error/Code/invalidRequest``). A connection is used
    /// again only if the server says `keep-alive`, which the client does not ask for, so most requests need a connection of their
    /// own. A client may still use HTTP/2: see ``HTTPClient/Configuration/versions``. Default false.
    public var sendsHTTP10: Bool
    /// Called for each frame that is sent or received, on the connection's event loop. It must not block. nil costs nothing.
    public var onFrame: (@Sendable (FrameRecord) -> Void)?
    /// Further facts that connections note, for reports.
    package var notes = Notes()

    /// Facts that connections note only if somebody wants to know.
    package struct Notes: Sendable {
        /// How long the body of each stream waits for a window.
        package var windowStalls = false
        /// The peer's certificates.
        package var certificates = false

        package init() {}
    }

    /// Creates a configuration; what is left out has its default.
    public init(
        tls: TLS = TLS(), timeouts: Timeouts = Timeouts(), windows: Windows = Windows(), limits: Limits = Limits(),
        keepAlive: KeepAlive = KeepAlive(), tcpKeepAlive: TCPKeepAlive? = TCPKeepAlive(), connectTo: Endpoint? = nil,
        unixSocketPath: String? = nil, local: Local = Local(), resolver: HostResolver? = nil,
        addressFilter: AddressFilter? = nil, proxies: HTTPClient.ProxySettings = .none, sendsHTTP10: Bool = false,
        onFrame: (@Sendable (FrameRecord) -> Void)? = nil
    ) {
        self.tls = tls
        self.timeouts = timeouts
        self.windows = windows
        self.limits = limits
        self.keepAlive = keepAlive
        self.tcpKeepAlive = tcpKeepAlive
        self.connectTo = connectTo
        self.unixSocketPath = unixSocketPath
        self.local = local
        self.resolver = resolver
        self.addressFilter = addressFilter
        self.proxies = proxies
        self.sendsHTTP10 = sendsHTTP10
        self.onFrame = onFrame
    }

    /// A host and port to connect to.
    public struct Endpoint: Sendable, Hashable {
        /// A name or an address. An IPv6 address has no brackets.
        public var host: String
        /// The port, 1 to 65,535.
        public var port: Int

        /// Creates an endpoint.
        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// Time limits of a connection. For those of a request see ``RequestOptions``.
    public struct Timeouts: Sendable {
        /// Looking up the host's addresses, from when the lookup starts to run: a process runs up to 256 at once. Default
        /// 10 s.
        public var resolve: Duration
        /// The limit from the first TCP attempt to an established connection, over all addresses. Default 10 s: a SYN
        /// is repeated after 1, 3 and 7 s, so a host that has not answered by then is effectively down.
        public var connect: Duration
        /// The TLS handshake. Default 15 s.
        public var tls: Duration
        /// The previous three together. Default: no further limit.
        public var establish: Duration?
        /// Until the server acknowledges our SETTINGS (RFC 9113 section 6.5.3). Default 30 s.
        public var settings: Duration
        /// How long the socket may accept no byte while data waits to be sent, because the peer stopped reading or has
        /// vanished. After that the connection ends, and requests in progress fail with `timeout`. Default 30 s.
        public var writeStall: Duration
        /// How long `close()` waits for requests in progress. Default 30 s.
        public var drain: Duration
        /// The head start of one address before the next one is tried as well (RFC 8305 section 5). Default 250 ms.
        public var connectionAttemptDelay: Duration

        /// Creates time limits; those left out have their defaults.
        public init(
            resolve: Duration = .seconds(10), connect: Duration = .seconds(10), tls: Duration = .seconds(15),
            establish: Duration? = nil, settings: Duration = .seconds(30), writeStall: Duration = .seconds(30),
            drain: Duration = .seconds(30), connectionAttemptDelay: Duration = .milliseconds(250)
        ) {
            self.resolve = resolve
            self.connect = connect
            self.tls = tls
            self.establish = establish
            self.settings = settings
            self.writeStall = writeStall
            self.drain = drain
            self.connectionAttemptDelay = connectionAttemptDelay
        }
    }

    /// PINGs (RFC 9113 section 6.7) that detect a server that has vanished.
    ///
    /// They do not decide how long an idle connection is kept. A server that accepts no bytes is also detected by
    /// ``Timeouts/writeStall``.
    public struct KeepAlive: Sendable, Hashable {
        /// Send a PING after this time without a byte from the server. nil turns PINGs off. Default 60 s.
        public var interval: Duration?
        /// If no byte arrives within this time after the PING, the connection ends and requests in progress fail with
        /// `timeout` (`isRetryable` only for those that had not been sent). Default 15 s.
        public var timeout: Duration
        /// Whether to send PINGs while no request is in progress. Default false.
        public var whileIdle: Bool
        /// Whether the interval doubles, up to 5 minutes, while only acknowledgements of PINGs arrive and no request
        /// starts. gRPC servers end a connection (ENHANCE_YOUR_CALM, "too_many_pings") that sends more than two PINGs at
        /// shorter intervals without other traffic in between. Default true.
        public var backsOff: Bool

        /// Creates options; those left out have their defaults.
        public init(
            interval: Duration? = .seconds(60), timeout: Duration = .seconds(15), whileIdle: Bool = false,
            backsOff: Bool = true
        ) {
            self.interval = interval
            self.timeout = timeout
            self.whileIdle = whileIdle
            self.backsOff = backsOff
        }
    }

    /// TCP keep-alive (RFC 9293 section 3.8.4), and how long sent bytes may stay unacknowledged.
    ///
    /// Both detect a peer that has vanished, in every version of HTTP; for HTTP/1.1 nothing else does. Options that the
    /// system does not have are skipped.
    public struct TCPKeepAlive: Sendable, Hashable {
        /// How long the connection may be silent before the system probes the peer. Rounded up to whole seconds, 1 to
        /// 32,767. Default 60 s.
        public var idle: Duration
        /// The time between two probes. Rounded up to whole seconds, 1 to 32,767. Default 15 s.
        public var interval: Duration
        /// How many probes may stay unanswered. 1 to 127. Default 4.
        public var count: Int
        /// How long sent bytes and probes may stay unacknowledged before the system ends the connection (RFC 5482;
        /// TCP_USER_TIMEOUT). Requests in progress then fail with `connectionClosed` (ETIMEDOUT). On Linux this replaces
        /// ``count``. Whole milliseconds, 1 or more. Default, nil: idle + count × interval.
        public var userTimeout: Duration?

        /// Creates options; those left out have their defaults.
        public init(
            idle: Duration = .seconds(60), interval: Duration = .seconds(15), count: Int = 4,
            userTimeout: Duration? = nil
        ) {
            self.idle = idle
            self.interval = interval
            self.count = count
            self.userTimeout = userTimeout
        }
    }

    /// Receive windows in bytes (RFC 9113 section 5.2): how much a server may send ahead of the reader.
    public struct Windows: Sendable {
        /// The window of a stream (SETTINGS_INITIAL_WINDOW_SIZE). 65,535 to 2^31-1. Default 1 MiB.
        public var stream: Int
        /// The window of the connection. 65,535 to 2^31-1. Default 4 MiB.
        public var connection: Int
        /// The size up to which a stream's window grows with the measured bandwidth-delay product. The connection's window
        /// grows to twice that. Equal to ``stream``: no growth. Default 16 MiB.
        public var maximum: Int
        /// How many unread bytes all streams together may hold before new bytes are admitted more slowly.
        ///
        /// Beyond it, streams have windows of 65,535 bytes until half of the unread bytes have been read. Responses that
        /// nobody reads therefore never block others, and a connection's memory is bounded by this limit, one connection
        /// window, and 65,535 bytes for each unread response. Default 32 MiB.
        public var unreadLimit: Int

        /// Creates windows; those left out have their defaults.
        public init(
            stream: Int = 1 << 20, connection: Int = 4 << 20, maximum: Int = 16 << 20, unreadLimit: Int = 32 << 20
        ) {
            self.stream = stream
            self.connection = connection
            self.maximum = maximum
            self.unreadLimit = unreadLimit
        }
    }

    /// Limits on the memory and work that a peer can cause. Exceeding one is a `limitExceeded` error that names the limit,
    /// except for ``concurrentStreams``, beyond which requests wait.
    public struct Limits: Sendable {
        /// Bytes of one header section, counted as in RFC 9113 section 6.5.2 (name + value + 32 per field). At most 1 GiB.
        /// Default 64 KiB.
        public var headerListSize: Int
        /// Fields in one header section. At most 60,000. Default 10,000.
        public var headerFields: Int
        /// The largest payload of a frame that the server may send (SETTINGS_MAX_FRAME_SIZE). 16,384 to 2^24-1 bytes.
        /// Default 16,384.
        public var frameSize: Int
        /// CONTINUATION frames in one header section. Those of 4,096 bytes or more within its first 16 MiB (or
        /// ``headerListSize``) do not count. Default 16.
        public var continuationFrames: Int
        /// Informational (1xx) responses to one request that may arrive at once, with up to 4 KiB of fields each.
        /// ``informationalResponsesPerSecond`` are allowed in addition, so that a server may send one now and then for
        /// hours. Default 100.
        public var informationalResponses: Int
        /// Informational responses per second in addition to ``informationalResponses``. Default 1.
        public var informationalResponsesPerSecond: Int
        /// Frames that bring no data and may arrive at once: SETTINGS, PING, PRIORITY, surplus WINDOW_UPDATE, RST_STREAM of
        /// closed streams, empty DATA, unknown types. ``controlFramesPerSecond`` are allowed in addition. Default 1,000.
        public var controlFrames: Int
        /// Frames per second in addition to ``controlFrames``. Default 100.
        public var controlFramesPerSecond: Int
        /// Requests that wait for a free stream. Default 1,000,000.
        public var waitingRequests: Int
        /// Concurrent streams, even if the peer allows more. Default: the peer's limit.
        public var concurrentStreams: Int
        /// A connection takes no new requests after one with this or a later identifier: HTTP/2 has none above 2^31-1 (RFC 9113
        /// section 5.1.1), and HTTP/1.1 requests are numbered the same way. The rest, a million HTTP/2 requests, is for those
        /// already assigned to it.
        package var lastIdentifier = Int32.max - (1 << 21)

        /// Creates limits; those left out have their defaults.
        public init(
            headerListSize: Int = 64 << 10, headerFields: Int = 10_000, frameSize: Int = 16_384,
            continuationFrames: Int = 16, informationalResponses: Int = 100, informationalResponsesPerSecond: Int = 1,
            controlFrames: Int = 1_000, controlFramesPerSecond: Int = 100, waitingRequests: Int = 1_000_000,
            concurrentStreams: Int = Int.max
        ) {
            self.headerListSize = headerListSize
            self.headerFields = headerFields
            self.frameSize = frameSize
            self.continuationFrames = continuationFrames
            self.informationalResponses = informationalResponses
            self.informationalResponsesPerSecond = informationalResponsesPerSecond
            self.controlFrames = controlFrames
            self.controlFramesPerSecond = controlFramesPerSecond
            self.waitingRequests = waitingRequests
            self.concurrentStreams = concurrentStreams
        }
    }
}
