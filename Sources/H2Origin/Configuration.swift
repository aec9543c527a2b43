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
        /// Whether files and folders whose names begin with a dot are served: `.git`, `.env` and their like are seldom meant for
        /// others. `/.well-known/` always is (RFC 8615). Default false.
        public var servesDotFiles = false
        /// Which versions of HTTP it offers.
        public var versions = Versions.both
        public var settings = Settings()
        public var limits = Limits()
        public var faults = Faults()

        public init() {}
    }

    /// Versions of HTTP that an origin offers, over TLS by ALPN. A client that has no ALPN gets HTTP/1.1, or is left if
    /// that is not offered.
    public enum Versions: Sendable {
        /// HTTP/2 rather than HTTP/1.1; in cleartext HTTP/2 for those that begin with its preface (prior knowledge).
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

    /// Limits on what clients may make the origin hold and do, and on how long they may take.
    ///
    /// With the defaults an origin may be left running. A connection takes up to about 300 KiB, a request about 2 KiB, and
    /// `heldBytes` is over all of them. A number below zero counts as zero. More than 2^30 counts as that, and in
    /// `heldBytes` and `responseBytes` more than 2^50.
    public struct Limits: Sendable {
        /// Connections at once, those that shake hands included; more are closed at accept. Default 10,000.
        public var connections = 10_000
        /// Requests that are open at once, over all connections; more are refused with REFUSED_STREAM, on HTTP/1.1 with 503.
        /// `Settings.maxConcurrentStreams` is the limit of one connection. Default 200,000, which take some 400 MB.
        public var requests = 200_000
        /// Bytes of one header block (name + value + 32 a field); more is answered with 431, a request line of HTTP/1.1
        /// that is longer with 414. Default 64 KiB.
        public var headerListSize = 64 << 10
        /// Bytes that requests make the origin hold, over all connections: their fields, bodies that wait to be echoed or for a
        /// route, trailers that are echoed, and large fields and texts of responses. A request past it is refused as one over `requests`; one whose body goes past it
        /// is reset with ENHANCE_YOUR_CALM, on HTTP/1.1 by closing its connection. Default 256 MiB, as windows alone would let
        /// 10,000 connections fill 80 GB.
        public var heldBytes = 256 << 20
        /// Bytes of a response body that a route can be asked for; more is answered with 400. Default 1 TB: it is made as it is
        /// taken, and takes no memory.
        public var responseBytes = 1_000_000_000_000
        /// Bytes of fields that `/large-headers` can be asked for (name + value + 32 a field); more is answered with 400.
        /// Default 1 MiB, sixteen times of what most clients take.
        public var responseFieldBytes = 1 << 20
        /// From accept to the end of the TLS handshake. Default 15 s.
        public var handshake = Duration.seconds(15)
        /// A request's head, from its first byte to its last; on a new connection from its beginning on, and there also HTTP/2's
        /// preface and SETTINGS. On HTTP/1.1 a slower one is answered with 408 and its connection closed, on HTTP/2 the
        /// connection ends with ENHANCE_YOUR_CALM. Default 30 s, which holds for a bad mobile link.
        public var requestHead = Duration.seconds(30)
        /// How long a body may stand still because of the client, which sends no more of its request or takes no more of its
        /// response. Then its stream is reset with CANCEL; on HTTP/1.1, and where the socket is full, the connection ends, after
        /// 408 where nothing was answered yet. A stream whose connection brings other streams' bodies is not late, nor is a
        /// response that has a window and waits for its turn. Default 60 s, as most servers have it.
        public var bodyProgress = Duration.seconds(60)
        /// A connection without a request and without any traffic for so long is told GOAWAY, on HTTP/1.1 closed at once, and
        /// is closed if it stays quiet for another second. nil: never. Default 5 min.
        ///
        /// This limit and those on heads and bodies are looked at four times in the shortest of them, every 5 s at least.
        public var idle: Duration? = .seconds(300)
        /// Frames of HTTP/2 that bring nothing, at once: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM, empty or small
        /// padded DATA, unknown ones, and those that are refused. Time, requests and DATA that was sent forgive some. Past it the connection ends with
        /// ENHANCE_YOUR_CALM. Default 10,000: well-behaved clients never come near.
        public var controlFrames = 10_000
        /// How many of them a second forgives. Default 1,000.
        public var controlFramesPerSecond = 1_000
        /// Streams that one connection may reset at once (CVE-2023-44487, "rapid reset"); past it the connection ends with
        /// ENHANCE_YOUR_CALM. Default 1,000, all streams that may be open.
        public var streamResets = 1_000
        /// How many of them a second forgives. Default 33, as in nghttp2.
        public var streamResetsPerSecond = 33
        /// A server that can do only so much at once. Default: no such limit.
        public var workers: Workers?

        public init() {}
    }

    /// A small number of workers over all connections, such as many servers have behind them: what an adaptive limit of
    /// a client is to find out.
    public struct Workers: Sendable {
        /// Requests that are worked on at once. Each takes its worker until its response was handed to the connection.
        public var count: Int
        /// Requests that wait for a worker, in order; more are refused. Default 0.
        public var queue = 0
        /// How long each request keeps its worker before it is looked at. Default none.
        public var serviceTime = Duration.zero
        /// How the rest is refused. Default 503 without more.
        public var refusal = Refusal.unavailable(retryAfter: nil)

        /// What becomes of requests for which there is neither a worker nor a place to wait.
        public enum Refusal: Sendable {
            /// 503, with `Retry-After` of so many seconds.
            case unavailable(retryAfter: Int?)
            /// RST_STREAM(REFUSED_STREAM) on HTTP/2, which says that nothing was done; on HTTP/1.1 503.
            case refusedStream
        }

        /// - Parameter count: at least 1; less counts as 1.
        public init(count: Int) { self.count = max(count, 1) }
    }

    /// Misbehaviour of every connection, for tests of clients. Routes such as `/reset/CODE` misbehave for one request.
    /// Counts are per connection, and begin with 1.
    ///
    /// HTTP/1.1 has no streams that could be reset. What resets one on HTTP/2 ends the connection there, without a word
    /// after what was sent so far (in TLS without close_notify); what refuses one is answered with 503.
    public struct Faults: Sendable {
        /// Waits so long before it looks at any request.
        public var latency = Duration.zero
        /// Says GOAWAY when this many requests have arrived; later ones are ignored, as RFC 9113 section 6.8 lets it.
        /// On HTTP/1.1 the response to that request says `Connection: close`, and is the last.
        public var goAwayAfterRequests: Int?
        /// First a GOAWAY that names the highest stream, then, a round trip later, the final one.
        public var goAwayIsTwoStep = false
        /// The code of that GOAWAY.
        public var goAwayCode: UInt32 = 0
        /// Resets every so many-th stream with REFUSED_STREAM; on HTTP/1.1 answers 503.
        public var refuseEvery: Int?
        /// Never answers every so many-th stream.
        public var stallEvery: Int?
        /// Resets each response with `resetCode` after so many bytes of its body; on HTTP/1.1 closes the connection.
        public var resetAfterBodyBytes: Int?
        /// Default INTERNAL_ERROR.
        public var resetCode: UInt32 = 2
        /// Closes the connection without a word when this many requests have arrived; the last is not answered.
        public var closeAfterRequests: Int?
        /// Closes the connection when this many responses are complete, without having announced it: no GOAWAY, no
        /// `Connection: close`. A client that sends its next request meanwhile has lost a race.
        public var closeAfterResponses: Int?
        /// Does not acknowledge SETTINGS.
        public var omitsSettingsAcknowledgement = false
        /// Does not answer PING.
        public var omitsPingAcknowledgement = false
        /// Accepts connections, and then neither reads nor writes.
        public var isMute = false

        public init() {}
    }
}
