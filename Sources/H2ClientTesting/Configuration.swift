extension OriginServer {
    /// The configuration of an origin: where it listens, what it serves and how it misbehaves.
    public struct Configuration: Sendable {
        /// A literal IPv4 or IPv6 address. The default keeps the origin on this machine.
        public var address = "127.0.0.1"
        /// The port. 0 lets the system choose one, available as `OriginServer.port`.
        public var port = 0
        /// The TLS identity. Default: a throw-away certificate for `localhost`, `127.0.0.1` and `::1`.
        public var security = Security.selfSigned(names: ["localhost", "127.0.0.1", "::1"])
        /// The folder whose files are served under their paths; nil serves only the routes.
        public var documentRoot: String?
        /// Whether to serve files and folders whose names begin with a dot, such as `.git` and `.env`, which are rarely meant
        /// to be public. `/.well-known/` is always served (RFC 8615). Default false.
        public var servesDotFiles = false
        /// The offered HTTP versions.
        public var versions = Versions.both
        public var settings = Settings()
        public var limits = Limits()
        public var faults = Faults()

        public init() {}
    }

    /// The HTTP versions that an origin offers, over TLS by ALPN.
    ///
    /// A client without ALPN gets HTTP/1.1, or is disconnected if that is not offered.
    public enum Versions: Sendable {
        /// Both, with HTTP/2 preferred. In cleartext, HTTP/2 for clients that begin with its preface (prior knowledge).
        case both
        case http2
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
    public enum Security: Sendable {
        /// No TLS.
        case cleartext
        /// TLS with a certificate generated for these DNS names and addresses, valid for seven days.
        case selfSigned(names: [String])
        /// TLS with the certificate chain and the key of these PEM files.
        case identity(certificateFile: String, keyFile: String)
    }

    /// The origin's first SETTINGS frame (RFC 9113 section 6.5.2). nil omits a setting, which means the protocol's default.
    public struct Settings: Sendable {
        public var maxConcurrentStreams: UInt32? = 1_000
        /// Bytes that a client may send on a stream before the route has read them.
        public var initialWindowSize: UInt32? = 1 << 20
        public var maxFrameSize: UInt32?
        /// Size in bytes of the dynamic table for the client's header compression.
        public var headerTableSize: UInt32?
        public var maxHeaderListSize: UInt32? = 64 << 10
        /// Bytes that a client may send on all streams of a connection together before routes have read them.
        public var connectionWindowSize = 8 << 20

        public init() {}
    }

    /// Limits on the memory, work and time that clients may use.
    ///
    /// With the defaults an origin may be left running. A connection takes up to about 300 KiB, a request about 2 KiB, and
    /// `heldBytes` covers all of them. Numbers are clamped to the range from 0 to 2^30, for `heldBytes` and `responseBytes`
    /// to 2^50.
    public struct Limits: Sendable {
        /// Maximum concurrent connections, including those in their handshake; more are closed at accept. Default 10,000.
        public var connections = 10_000
        /// Maximum open requests over all connections; more are refused with REFUSED_STREAM, on HTTP/1.1 with 503.
        /// `Settings.maxConcurrentStreams` is the limit of one connection. Default 200,000, which take about 400 MB.
        public var requests = 200_000
        /// Maximum bytes of a header block (name + value + 32 per field); more is answered with 431, a longer HTTP/1.1
        /// request line with 414. Default 64 KiB.
        public var headerListSize = 64 << 10
        /// Maximum bytes held for requests over all connections: fields, bodies that wait for a route or an echo, echoed
        /// trailers, and large fields and texts of responses.
        ///
        /// A request beyond it is refused like one over `requests`. One whose body exceeds it is reset with
        /// ENHANCE_YOUR_CALM, on HTTP/1.1 by closing its connection. Default 256 MiB, because windows alone would let 10,000
        /// connections fill 80 GB.
        public var heldBytes = 256 << 20
        /// Maximum bytes of a requested response body; more is answered with 400. Default 1 TB: it is generated as it is
        /// sent, and takes no memory.
        public var responseBytes = 1_000_000_000_000
        /// Maximum bytes of fields that `/large-headers` returns (name + value + 32 per field); more is answered with 400.
        /// Default 1 MiB, sixteen times what most clients accept.
        public var responseFieldBytes = 1 << 20
        /// Time limit from accept to the end of the TLS handshake. Default 15 s.
        public var handshake = Duration.seconds(15)
        /// Time limit for a request's head, from its first byte to its last.
        ///
        /// On a new connection it counts from the connection's start, and covers HTTP/2's preface and SETTINGS. On HTTP/1.1 a
        /// slower head is answered with 408 and its connection closed; on HTTP/2 the connection ends with ENHANCE_YOUR_CALM.
        /// Default 30 s, enough for a bad mobile link.
        public var requestHead = Duration.seconds(30)
        /// Time limit for a body without progress because the client sends no more of its request or reads no more of its
        /// response.
        ///
        /// Then the stream is reset with CANCEL. On HTTP/1.1, and if the socket is full, the connection ends, after 408 if
        /// there is no response yet. A stream is not late while other streams' bodies arrive on its connection, nor is a
        /// response that has a window and waits for its turn. Default 60 s, as in most servers.
        public var bodyProgress = Duration.seconds(60)
        /// Time after which a connection without requests and traffic is closed; nil for no limit. Default 5 min.
        ///
        /// On HTTP/2 it gets GOAWAY and is closed if it stays idle for another second; on HTTP/1.1 it is closed at once. This
        /// limit and those on heads and bodies are checked four times per the shortest of them, at least every 5 s.
        public var idle: Duration? = .seconds(300)
        /// Maximum burst of HTTP/2 frames without content: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM, empty or small
        /// padded DATA, unknown and refused frames.
        ///
        /// Time, requests and sent DATA reduce the count. Beyond the limit the connection ends with ENHANCE_YOUR_CALM. Default
        /// 10,000: well-behaved clients never come near.
        public var controlFrames = 10_000
        /// By how much a second reduces the count of `controlFrames`. Default 1,000.
        public var controlFramesPerSecond = 1_000
        /// Maximum burst of stream resets by a client on one connection (CVE-2023-44487, "rapid reset"). Beyond it the
        /// connection ends with ENHANCE_YOUR_CALM. Default 1,000, the number of streams that may be open.
        public var streamResets = 1_000
        /// By how much a second reduces the count of `streamResets`. Default 33, as in nghttp2.
        public var streamResetsPerSecond = 33
        /// Limited workers, to simulate a server that saturates. Default: no limit.
        public var workers: Workers?

        public init() {}
    }

    /// A small number of workers for all connections, like those behind many servers, for testing a client's adaptive limit.
    public struct Workers: Sendable {
        /// Requests processed at once. Each keeps its worker until its response has been handed to the connection.
        public var count: Int
        /// Maximum requests that wait for a worker, in order; more are refused. Default 0.
        public var queue = 0
        /// How long each request occupies its worker before it is routed. Default zero.
        public var serviceTime = Duration.zero
        /// How further requests are refused. Default: 503 without `Retry-After`.
        public var refusal = Refusal.unavailable(retryAfter: nil)

        /// The response to a request when all workers are busy and the queue is full.
        public enum Refusal: Sendable {
            /// 503, with `Retry-After` in seconds unless nil.
            case unavailable(retryAfter: Int?)
            /// RST_STREAM(REFUSED_STREAM) on HTTP/2, which says that the request was not processed; 503 on HTTP/1.1.
            case refusedStream
        }

        /// - Parameter count: the number of workers; less than 1 counts as 1.
        public init(count: Int) { self.count = max(count, 1) }
    }

    /// Faults of every connection, for testing clients. Routes such as `/reset/CODE` misbehave for one request.
    ///
    /// Counts are per connection and begin with 1. HTTP/1.1 has no streams to reset: a fault that resets a stream on HTTP/2
    /// closes the connection there without notice (in TLS without close_notify), and one that refuses a stream answers 503.
    public struct Faults: Sendable {
        /// Waits this long before routing each request.
        public var latency = Duration.zero
        /// Sends GOAWAY when this many requests have arrived; later ones are ignored, as RFC 9113 section 6.8 allows.
        /// On HTTP/1.1 the response to that request has `Connection: close` and is the last.
        public var goAwayAfterRequests: Int?
        /// First sends a GOAWAY with the highest possible stream ID, then, a round trip later, the final one.
        public var goAwayIsTwoStep = false
        /// The code of that GOAWAY.
        public var goAwayCode: UInt32 = 0
        /// Resets every Nth stream with REFUSED_STREAM; on HTTP/1.1 answers 503.
        public var refuseEvery: Int?
        /// Leaves every Nth stream without a response.
        public var stallEvery: Int?
        /// Resets each response with `resetCode` after this many bytes of its body; on HTTP/1.1 closes the connection.
        public var resetAfterBodyBytes: Int?
        /// The code for `resetAfterBodyBytes`. Default INTERNAL_ERROR.
        public var resetCode: UInt32 = 2
        /// Closes the connection without notice when this many requests have arrived; the last is not answered.
        public var closeAfterRequests: Int?
        /// Closes the connection without notice (no GOAWAY, no `Connection: close`) when this many responses are complete. A
        /// client that sends its next request meanwhile loses a race.
        public var closeAfterResponses: Int?
        /// Does not acknowledge SETTINGS.
        public var omitsSettingsAcknowledgement = false
        /// Does not answer PING.
        public var omitsPingAcknowledgement = false
        /// Accepts connections, then neither reads nor writes.
        public var isMute = false

        public init() {}
    }
}
