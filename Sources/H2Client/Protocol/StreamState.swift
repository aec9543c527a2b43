import HTTPTypes

/// What the protocol knows of one stream: filled in by the session's callbacks, read by whoever waits.
///
/// Not safe for concurrent use: it belongs to its session's thread until the stream has ended. Therefore its fields are not
/// checked for exclusive access at run time, which costs a request more than its protocol does.
package class StreamState {
    /// Where a response stands. Can go: awaitingHead → body → ended; any → failed, from ended only by its reader's fault.
    enum Phase {
        /// No final header fields yet (informational ones may have come).
        case awaitingHead
        /// The final header fields are here, the body is on its way.
        case body
        /// END_STREAM was received and everything was in order.
        case ended
        /// The stream is over, and not well.
        case failed(any Error)
    }

    /// What goes out as DATA. Can go: any → done.
    enum Outgoing {
        /// Nothing, or nothing more.
        case done
        case bytes([UInt8], offset: Int)
        case file(FileBody)
        /// A chunk at a time; between chunks nothing is sent (nghttp2 is told DEFERRED).
        case chunk([UInt8], offset: Int)
        case awaitingChunk
        /// The writer has finished: end the stream at the next chance.
        case finished
    }

    /// Where the arriving body goes.
    enum Sink {
        /// Into `body`, until somebody takes it.
        case buffer
        /// Into `body`, credited at once, at most so many bytes.
        case collect(limit: Int)
        case nowhere
    }

    // MARK: Identity

    /// 0 before the stream is submitted. On HTTP/1.1 the ordinal of the request on its connection, from 1.
    @exclusivity(unchecked) final var id: Int32 = 0
    /// Whether `id` is such an ordinal.
    @exclusivity(unchecked) final var isNumberedByOrder = false
    /// Its place in the session's list of open streams; -1 when it is not there.
    @exclusivity(unchecked) final var slot = -1
    /// Whether it stands in the session's list of changed streams.
    @exclusivity(unchecked) final var isTouched = false

    // MARK: Response

    @exclusivity(unchecked) final var phase = Phase.awaitingHead
    @exclusivity(unchecked) final var status = 0
    @exclusivity(unchecked) final var head = HeaderBlock()
    @exclusivity(unchecked) final var hasTrailers = false
    @exclusivity(unchecked) final var trailers = HeaderBlock()
    @exclusivity(unchecked) final var informational: [InformationalHead] = []
    /// nil before the first.
    @exclusivity(unchecked) private final var informationalRate: InformationalRate?
    /// Unread body.
    @exclusivity(unchecked) final var body: [UInt8] = []
    @exclusivity(unchecked) final var sink = Sink.buffer
    /// Body bytes received.
    @exclusivity(unchecked) final var bodyReceived = 0
    /// Of a body that goes nowhere, if somebody wants that.
    @exclusivity(unchecked) package final var digest: BodyDigest?
    /// Unread bytes that the stream's window still waits for.
    @exclusivity(unchecked) final var unread = 0
    /// Why the local side will reset, or did reset, the stream; kept for the error of its close.
    @exclusivity(unchecked) final var localFailure: H2Error?
    /// RST_STREAM's code, where the peer sent one.
    @exclusivity(unchecked) final var remoteReset: ErrorCode?

    // MARK: Request

    @exclusivity(unchecked) final var outgoing = Outgoing.done
    /// Bytes of the body; nil where that is not known, or for no body.
    @exclusivity(unchecked) final var contentLength: Int?
    /// What `content-length` promised for a body whose length was not known otherwise.
    @exclusivity(unchecked) final var statedLength: Int?
    /// Sent after the body.
    @exclusivity(unchecked) final var outgoingTrailers: HTTPFields?

    // MARK: Figures

    @exclusivity(unchecked) final var bytesSent = 0
    @exclusivity(unchecked) final var bytesReceived = 0
    /// Monotonic nanoseconds; 0 where it has not happened.
    @exclusivity(unchecked) final var sentAt: UInt64 = 0
    @exclusivity(unchecked) final var firstByteAt: UInt64 = 0
    @exclusivity(unchecked) final var lastByteAt: UInt64 = 0
    /// What is known of its receive window, where the session measures what bodies wait for.
    @exclusivity(unchecked) final var windowWatch: WindowWatch?
    /// Since when its body waits for a window of the peer's, and whether for the connection's; 0 while it does not.
    @exclusivity(unchecked) final var stallBeganAt: UInt64 = 0
    @exclusivity(unchecked) final var isStalledByConnection = false

    init() {}

    /// Called after the session has digested its input, once for each stream that changed.
    func progressed() {}

    /// Called when the session has taken all of a chunk, or needs no more of the body.
    func wantsBody() {}

    /// Loads the next piece of a body's file, which is on a disk. False where that is under way, and the body is to be resumed
    /// after it.
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

    /// Whether an informational response may be taken, or whether they come too fast.
    /// - Parameter size: of its fields, in bytes.
    final func mayTakeInformational(_ size: Int, _ limits: Configuration.Limits, now: UInt64) -> Bool {
        if informationalRate == nil { informationalRate = InformationalRate(limits) }
        return informationalRate.unsafelyUnwrapped.add(size, now: now)
    }

    /// The stream serves another request.
    final func forgetInformational() { if informationalRate != nil { informationalRate = nil } }

    /// Whether anything at all was heard of the request.
    final var hasAnswered: Bool { bytesReceived > 0 }

    final var isOutgoingDone: Bool {
        if case .done = outgoing { true } else { false }
    }

    /// Drops what was still to be sent.
    final func stopSending() {
        outgoing = .done
        wantsBody()
    }
}

/// How fast informational responses to one request come. A server may send 102 now and then for hours while it works; what
/// may not be is a flood of them, or of their fields.
private final class InformationalRate {
    private var bucket: LeakyBucket

    /// Each begun piece of this many bytes of fields counts as a response of its own.
    private static let piece = 4_096

    init(_ limits: Configuration.Limits) {
        bucket = LeakyBucket(limit: limits.informationalResponses, perSecond: limits.informationalResponsesPerSecond)
    }

    /// Adds one; false where that is too many.
    func add(_ size: Int, now: UInt64) -> Bool { bucket.add(max(1, (size + Self.piece - 1) / Self.piece), now: now) }
}

extension Configuration.Limits {
    /// What a server sent that sends too many of them.
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
