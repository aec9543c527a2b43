import HTTPTypes

/// The protocol's state of a stream: filled in by the session's callbacks, read by the waiting callers.
///
/// Not safe for concurrent use: it belongs to its session's thread until the stream has ended. So its fields are not checked
/// for exclusive access at run time, which would cost a request more than its protocol does.
package class StreamState: LiveObject {
    /// Progress of a response. Transitions: awaitingHead → body → ended; any → failed, from ended only because of its reader.
    enum Phase {
        /// No final header fields yet (informational ones may have arrived).
        case awaitingHead
        /// The final header fields are here; the body is arriving.
        case body
        /// END_STREAM was received without errors.
        case ended
        /// The stream failed.
        case failed(any Error)
    }

    /// The source of DATA. Transitions: any → done.
    enum Outgoing {
        /// Nothing (more).
        case done
        case bytes([UInt8], offset: Int)
        case file(FileBody)
        /// One chunk at a time; between chunks nothing is sent (nghttp2 gets DEFERRED).
        case chunk([UInt8], offset: Int)
        case awaitingChunk
        /// The writer has finished: end the stream when possible.
        case finished
    }

    /// The destination of the received body.
    enum Sink {
        /// `body`, until a reader takes it.
        case buffer
        /// `body`, credited at once, up to `limit` bytes.
        case collect(limit: Int)
        case nowhere
    }

    // MARK: Identity

    /// 0 before the stream is submitted. On HTTP/1.1 the ordinal of the request on its connection, from 1.
    @exclusivity(unchecked) final var id: Int32 = 0
    /// Whether `id` is such an ordinal.
    @exclusivity(unchecked) final var isNumberedByOrder = false
    /// Its index in the session's list of open streams; -1 if it is not there.
    @exclusivity(unchecked) final var slot = -1
    /// Whether it is in the session's list of changed streams.
    @exclusivity(unchecked) final var isTouched = false

    /// The content codings of the request. Set before it is submitted, since the request's own fields may withdraw the
    /// offer.
    @exclusivity(unchecked) final var codings = RequestRules.Codings()

    // MARK: Response

    @exclusivity(unchecked) final var phase = Phase.awaitingHead
    @exclusivity(unchecked) final var status = 0
    @exclusivity(unchecked) final var head = HeaderBlock()
    @exclusivity(unchecked) final var hasTrailers = false
    @exclusivity(unchecked) final var trailers = HeaderBlock()
    @exclusivity(unchecked) final var informational: [InformationalHead] = []
    /// nil before the first.
    @exclusivity(unchecked) private final var informationalRate: InformationalRate?
    /// Unread part of the body.
    @exclusivity(unchecked) final var body: [UInt8] = []
    @exclusivity(unchecked) final var sink = Sink.buffer
    /// Body bytes received.
    @exclusivity(unchecked) final var bodyReceived = 0
    /// Computed for a body that is discarded, if requested.
    @exclusivity(unchecked) package final var digest: BodyDigest?
    /// Unread bytes not yet credited to the stream's window.
    @exclusivity(unchecked) final var unread = 0
    /// Why the local side will reset or did reset the stream; kept for the error when it closes.
    @exclusivity(unchecked) final var localFailure: H2Error?
    /// The code of the peer's RST_STREAM, if any.
    @exclusivity(unchecked) final var remoteReset: H2Error.HTTP2Code?

    // MARK: Request

    @exclusivity(unchecked) final var outgoing = Outgoing.done
    /// Length of the body in bytes; nil if unknown or without a body.
    @exclusivity(unchecked) final var contentLength: Int?
    /// The `content-length` stated for a body of otherwise unknown length.
    @exclusivity(unchecked) final var statedLength: Int?
    /// Sent after the body.
    @exclusivity(unchecked) final var outgoingTrailers: HTTPFields?

    // MARK: Figures

    @exclusivity(unchecked) final var bytesSent = 0
    @exclusivity(unchecked) final var bytesReceived = 0
    /// Monotonic nanoseconds; 0 if it has not happened.
    @exclusivity(unchecked) final var sentAt: UInt64 = 0
    @exclusivity(unchecked) final var firstByteAt: UInt64 = 0
    @exclusivity(unchecked) final var lastByteAt: UInt64 = 0
    /// State of its receive window, if the session measures what bodies wait for.
    @exclusivity(unchecked) final var windowWatch: WindowWatch?
    /// When its body began to wait for a window of the peer's (0 if it is not waiting), and whether it is the connection's.
    @exclusivity(unchecked) final var stallBeganAt: UInt64 = 0
    @exclusivity(unchecked) final var isStalledByConnection = false
    /// How long its bodies waited for windows, in nanoseconds, if that is measured.
    @exclusivity(unchecked) final var stalled: UInt64 = 0

    init() {}

    /// Called after the session has processed its input, once for each changed stream.
    func progressed() {}

    /// Called when the session has taken a whole chunk, or needs no more of the body.
    func wantsBody() {}

    /// Loads the next piece of a body's file from disk. Returns false if it continues in the background and the body is to be
    /// resumed afterwards.
    func load(_ file: FileBody) -> Bool {
        file.beginLoading()
        file.loaded(file.load())
        return true
    }

    final var isOver: Bool {
        switch phase {
        case .ended, .failed: true
        default: false
        }
    }

    /// Whether to accept an informational response; false if they come too fast.
    /// - Parameter size: the size of its fields in bytes.
    final func mayTakeInformational(_ size: Int, _ limits: ConnectionConfiguration.Limits, now: UInt64) -> Bool {
        if informationalRate == nil { informationalRate = InformationalRate(limits) }
        return informationalRate.unsafelyUnwrapped.add(size, now: now)
    }

    /// Resets the rate because the stream serves another request.
    final func forgetInformational() { if informationalRate != nil { informationalRate = nil } }

    /// Whether any byte of the response has arrived.
    final var hasResponseBytes: Bool { bytesReceived > 0 }

    final var isOutgoingDone: Bool {
        if case .done = outgoing { true } else { false }
    }

    /// Drops what remains to be sent.
    final func stopSending() {
        outgoing = .done
        wantsBody()
    }
}

/// Limits the rate of informational responses to a request. A server may send 102 now and then for hours while it works; only a
/// flood of them, or of their fields, is rejected.
private final class InformationalRate {
    private var bucket: LeakyBucket

    /// Each started piece of this many bytes of fields counts as a response.
    private static let piece = 4_096

    init(_ limits: ConnectionConfiguration.Limits) {
        bucket = LeakyBucket(limit: limits.informationalResponses, perSecond: limits.informationalResponsesPerSecond)
    }

    /// Adds a response. Returns false if there are too many.
    func add(_ size: Int, now: UInt64) -> Bool { bucket.add(max(1, (size + Self.piece - 1) / Self.piece), now: now) }
}

extension ConnectionConfiguration.Limits {
    /// Describes a server that sends too many informational responses.
    var informationalExcess: String {
        "too many informational responses: our limit is \(informationalResponses) at once, and "
            + "\(informationalResponsesPerSecond) a second after that (each 4 KiB of fields counts as one)"
    }
}

/// An informational response (RFC 9110 section 15.2).
final class InformationalHead {
    let status: Int
    let block: HeaderBlock

    init(status: Int, block: consuming HeaderBlock) {
        self.status = status
        self.block = block
    }
}
