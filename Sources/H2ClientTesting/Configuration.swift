public import H2Client

extension OriginServer {
    /// The configuration of a server: where it listens, what it serves and how it misbehaves.
    public struct Configuration: Sendable {
        /// A literal IPv4 or IPv6 address. The default, `127.0.0.1`, keeps the server on this machine.
        public var address: String
        /// The port. 0, the default, lets the system choose one, available as ``OriginServer/port``.
        public var port: Int
        /// TLS or cleartext. Default: TLS with a throw-away certificate for `localhost`, `127.0.0.1` and `::1`.
        public var security: Security
        /// The folder whose files are served under their paths; nil, the default, serves only the routes.
        public var documentRoot: String?
        /// Whether to serve files and folders whose names begin with a dot, such as `.git` and `.env`, which are rarely meant
        /// to be public. `/.well-known/` is always served (RFC 8615). Default false.
        public var servesDotFiles: Bool
        /// The offered HTTP versions. Default both.
        public var versions: Versions
        /// The settings that HTTP/2 clients are told.
        public var settings: Settings
        /// Limits on what clients may use.
        public var limits: Limits
        /// Faults of every connection. Default none.
        public var faults: Faults
        /// Routes of your own, by their path, such as `/orders`. They come before the built-in ones and the files. A path that
        /// ends in `/` also stands for everything below it, unless a longer one matches. Paths are compared as they are sent,
        /// with their percent-encoding and without their query. Default none.
        ///
        /// A handler gets a request once its whole body has arrived. It runs on the server's event loop, so it must not block.
        public var routes: [String: Handler]

        /// Creates a configuration; options left out have their defaults.
        public init(
            address: String = "127.0.0.1", port: Int = 0,
            security: Security = .selfSigned(names: ["localhost", "127.0.0.1", "::1"]), documentRoot: String? = nil,
            servesDotFiles: Bool = false, versions: Versions = .both, settings: Settings = Settings(),
            limits: Limits = Limits(), faults: Faults = Faults(), routes: [String: Handler] = [:]
        ) {
            self.address = address
            self.port = port
            self.security = security
            self.documentRoot = documentRoot
            self.servesDotFiles = servesDotFiles
            self.versions = versions
            self.settings = settings
            self.limits = limits
            self.faults = faults
            self.routes = routes
        }
    }

    /// The HTTP versions that a server offers, over TLS by ALPN.
    ///
    /// A client without ALPN gets HTTP/1.1, or is disconnected if that is not offered.
    @nonexhaustive
    public enum Versions: Sendable {
        /// Both, with HTTP/2 preferred. In cleartext, HTTP/2 for clients that begin with its preface (prior knowledge).
        case both
        /// HTTP/2 only.
        case http2
        /// HTTP/1.1 only.
        case http1

        var protocols: [String] {
            switch self {
            case .both: ["h2", "http/1.1"]
            case .http2: ["h2"]
            case .http1: ["http/1.1"]
            }
        }
    }

    /// How connections are protected.
    @nonexhaustive
    public enum Security: Sendable {
        /// No TLS.
        case cleartext
        /// TLS with a certificate generated for these DNS names and addresses, valid for seven days.
        case selfSigned(names: [String])
        /// TLS with the certificate chain and the key of these PEM files.
        case identity(certificateFile: String, keyFile: String)
    }

    /// The server's first SETTINGS frame (RFC 9113 section 6.5.2). nil omits a setting, which means the protocol's default.
    public struct Settings: Sendable {
        /// How many requests a client may have in progress on a connection. Default 1,000.
        public var maxConcurrentStreams: UInt32?
        /// Bytes that a client may send on a stream before the route has read them. Default 1 MiB.
        public var initialWindowSize: UInt32?
        /// The largest frame payload in bytes that a client may send. Default: the protocol's, 16 KiB.
        public var maxFrameSize: UInt32?
        /// Size in bytes of the dynamic table for the client's header compression. Default: the protocol's, 4 KiB.
        public var headerTableSize: UInt32?
        /// The largest header section in bytes (name + value + 32 per field) that the server asks for. Default 64 KiB.
        public var maxHeaderListSize: UInt32?
        /// Bytes that a client may send on all streams of a connection together before routes have read them. Default
        /// 8 MiB.
        public var connectionWindowSize: Int

        /// Creates options; those left out have their defaults.
        public init(
            maxConcurrentStreams: UInt32? = 1_000, initialWindowSize: UInt32? = 1 << 20, maxFrameSize: UInt32? = nil,
            headerTableSize: UInt32? = nil, maxHeaderListSize: UInt32? = 64 << 10, connectionWindowSize: Int = 8 << 20
        ) {
            self.maxConcurrentStreams = maxConcurrentStreams
            self.initialWindowSize = initialWindowSize
            self.maxFrameSize = maxFrameSize
            self.headerTableSize = headerTableSize
            self.maxHeaderListSize = maxHeaderListSize
            self.connectionWindowSize = connectionWindowSize
        }
    }

    /// Limits on the memory, work and time that clients may use.
    ///
    /// With the defaults an origin may be left running. A connection takes up to about 300 KiB, a request about 2 KiB,
    /// and what is held for requests at most 256 MiB. Numbers are clamped to the range from 0 to 2^30.
    public struct Limits: Sendable {
        /// Maximum concurrent connections, including those in their handshake; more are closed at accept. Default 10,000.
        public var connections: Int
        /// Maximum open requests over all connections; more are refused with REFUSED_STREAM, on HTTP/1.1 with 503.
        /// ``Settings/maxConcurrentStreams`` is the limit of one connection. Default 200,000, which take about 400 MB.
        public var requests: Int
        /// Maximum bytes of a header block (name + value + 32 per field); more is answered with 431, a longer HTTP/1.1
        /// request line with 414. Default 64 KiB.
        public var headerListSize: Int
        /// Maximum bytes held for requests over all connections: fields, bodies that wait for a route or an echo, echoed
        /// trailers, and large fields and texts of responses.
        ///
        /// A request beyond it is refused like one over `requests`. One whose body exceeds it is reset with
        /// ENHANCE_YOUR_CALM, on HTTP/1.1 by closing its connection. Default 256 MiB, because windows alone would let 10,000
        /// connections fill 80 GB.
        package var heldBytes = 256 << 20
        /// Maximum bytes of a requested response body; more is answered with 400. Default 1 TB: it is generated as it is
        /// sent, and takes no memory.
        package var responseBytes = 1_000_000_000_000
        /// Maximum bytes of fields that `/large-headers` returns (name + value + 32 per field); more is answered with 400.
        /// Default 1 MiB, sixteen times what most clients accept.
        package var responseFieldBytes = 1 << 20
        /// Time limit from accept to the end of the TLS handshake. Default 15 s.
        public var handshake: Duration
        /// Time limit for a request's head, from its first byte to its last.
        ///
        /// On a new connection it counts from the connection's start, and covers HTTP/2's preface and SETTINGS. On HTTP/1.1 a
        /// slower head is answered with 408 and its connection closed; on HTTP/2 the connection ends with ENHANCE_YOUR_CALM.
        /// Default 30 s, enough for a bad mobile link.
        public var requestHead: Duration
        /// Time limit for a body without progress because the client sends no more of its request or reads no more of its
        /// response.
        ///
        /// Then the stream is reset with CANCEL. On HTTP/1.1, and if the socket is full, the connection ends, after 408 if
        /// there is no response yet. A stream is not late while other streams' bodies arrive on its connection, nor is a
        /// response that has a window and waits for its turn. Default 60 s, as in most servers.
        public var bodyProgress: Duration
        /// Time after which a connection without requests and traffic is closed; nil for no limit. Default 300 s.
        ///
        /// On HTTP/2 it gets GOAWAY and is closed if it stays idle for another second; on HTTP/1.1 it is closed at once. This
        /// limit and those on heads and bodies are checked four times per the shortest of them, at least every 5 s.
        public var idle: Duration?
        /// Maximum burst of HTTP/2 frames without content: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM, empty or small
        /// padded DATA, unknown and refused frames.
        ///
        /// Time, requests and sent DATA reduce the count. Beyond the limit the connection ends with ENHANCE_YOUR_CALM. Default
        /// 10,000: well-behaved clients never come near.
        package var controlFrames = 10_000
        /// By how much a second reduces the count of `controlFrames`. Default 1,000.
        package var controlFramesPerSecond = 1_000
        /// Maximum burst of stream resets by a client on one connection (CVE-2023-44487, "rapid reset"). Beyond it the
        /// connection ends with ENHANCE_YOUR_CALM. Default 1,000, the number of streams that may be open.
        package var streamResets = 1_000
        /// By how much a second reduces the count of `streamResets`. Default 33, as in nghttp2.
        package var streamResetsPerSecond = 33
        /// Limited workers, to simulate a server that saturates. Default: no limit.
        public var workers: Workers?

        /// Creates options; those left out have their defaults.
        public init(
            connections: Int = 10_000, requests: Int = 200_000, headerListSize: Int = 64 << 10,
            handshake: Duration = .seconds(15), requestHead: Duration = .seconds(30),
            bodyProgress: Duration = .seconds(60), idle: Duration? = .seconds(300), workers: Workers? = nil
        ) {
            self.connections = connections
            self.requests = requests
            self.headerListSize = headerListSize
            self.handshake = handshake
            self.requestHead = requestHead
            self.bodyProgress = bodyProgress
            self.idle = idle
            self.workers = workers
        }
    }

    /// A small number of workers for all connections, like those behind many servers, for testing a client's adaptive limit.
    public struct Workers: Sendable {
        /// Requests processed at once. Each keeps its worker until its response has been handed to the connection.
        public var count: Int
        /// Maximum requests that wait for a worker, in order; more are refused. Default 0.
        public var queue: Int
        /// How long each request occupies its worker before it is routed. Default zero.
        public var serviceTime: Duration
        /// How further requests are refused. Default: 503 without `Retry-After`.
        public var refusal: Refusal

        /// The response to a request when all workers are busy and the queue is full.
        @nonexhaustive
        public enum Refusal: Sendable {
            /// 503, with `Retry-After` in seconds unless nil.
            case unavailable(retryAfter: Int?)
            /// RST_STREAM(REFUSED_STREAM) on HTTP/2, which says that the request was not processed; 503 on HTTP/1.1.
            case refusedStream
        }

        /// Creates workers; options left out have their defaults. A `count` below 1 counts as 1.
        public init(
            count: Int, queue: Int = 0, serviceTime: Duration = .zero, refusal: Refusal = .unavailable(retryAfter: nil)
        ) {
            self.count = max(count, 1)
            self.queue = queue
            self.serviceTime = serviceTime
            self.refusal = refusal
        }
    }

    /// Faults of every connection, for testing clients. By default there are none. Routes such as `/reset/CODE` misbehave for
    /// one request.
    ///
    /// Counts are per connection and begin with 1. HTTP/1.1 has no streams to reset: a fault that resets a stream on HTTP/2
    /// closes the connection there without notice (in TLS without close_notify), and one that refuses a stream answers 503.
    public struct Faults: Sendable {
        /// Waits this long before routing each request. Default zero.
        public var latency: Duration
        /// Sends GOAWAY when this many requests have arrived; later ones are ignored, as RFC 9113 section 6.8 allows.
        /// On HTTP/1.1 the response to that request has `Connection: close` and is the last.
        public var goAwayAfterRequests: Int?
        /// First sends a GOAWAY with the highest possible stream ID, then, a round trip later, the final one.
        public var goAwayIsTwoStep: Bool
        /// The code of that GOAWAY. Default NO_ERROR.
        public var goAwayCode: H2Error.HTTP2Code
        /// Resets every Nth stream with REFUSED_STREAM; on HTTP/1.1 answers 503.
        public var refuseEvery: Int?
        /// Leaves every Nth stream without a response.
        public var stallEvery: Int?
        /// Resets each response with ``resetCode`` after this many bytes of its body; on HTTP/1.1 closes the connection.
        public var resetAfterBodyBytes: Int?
        /// The code for ``resetAfterBodyBytes``. Default INTERNAL_ERROR.
        public var resetCode: H2Error.HTTP2Code
        /// Closes the connection without notice when this many requests have arrived; the last is not answered.
        public var closeAfterRequests: Int?
        /// Closes the connection without notice (no GOAWAY, no `Connection: close`) when this many responses are complete. A
        /// client that sends its next request meanwhile loses a race.
        public var closeAfterResponses: Int?
        /// Does not acknowledge SETTINGS.
        public var omitsSettingsAcknowledgement: Bool
        /// Does not answer PING.
        public var omitsPingAcknowledgement: Bool
        /// Accepts connections, then neither reads nor writes.
        public var isMute: Bool

        /// Creates options; those left out have their defaults.
        public init(
            latency: Duration = .zero, goAwayAfterRequests: Int? = nil, goAwayIsTwoStep: Bool = false,
            goAwayCode: H2Error.HTTP2Code = .noError, refuseEvery: Int? = nil, stallEvery: Int? = nil,
            resetAfterBodyBytes: Int? = nil, resetCode: H2Error.HTTP2Code = .internalError,
            closeAfterRequests: Int? = nil, closeAfterResponses: Int? = nil, omitsSettingsAcknowledgement: Bool = false,
            omitsPingAcknowledgement: Bool = false, isMute: Bool = false
        ) {
            self.latency = latency
            self.goAwayAfterRequests = goAwayAfterRequests
            self.goAwayIsTwoStep = goAwayIsTwoStep
            self.goAwayCode = goAwayCode
            self.refuseEvery = refuseEvery
            self.stallEvery = stallEvery
            self.resetAfterBodyBytes = resetAfterBodyBytes
            self.resetCode = resetCode
            self.closeAfterRequests = closeAfterRequests
            self.closeAfterResponses = closeAfterResponses
            self.omitsSettingsAcknowledgement = omitsSettingsAcknowledgement
            self.omitsPingAcknowledgement = omitsPingAcknowledgement
            self.isMute = isMute
        }
    }
}
