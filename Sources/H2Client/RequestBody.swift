public import HTTPTypes

/// What a request carries after its header fields.
///
/// `content-length` is set from a known length unless the request names one, which then has to match.
public struct RequestBody: Sendable {
    enum Content: Sendable {
        case none
        case bytes([UInt8])
        case file(path: String)
        case openFile(BodyFile)
        case stream(length: Int?, pump: @Sendable (RequestBodyWriter) async throws -> Void)
    }

    let content: Content
    /// Sent after the body (RFC 9113 section 8.1).
    let trailers: HTTPFields?
    /// Whether it can be sent again from its beginning: what is in memory or in a file can, a stream only where its maker
    /// says so.
    public let isReplayable: Bool

    init(content: Content, trailers: HTTPFields?, isReplayable: Bool = true) {
        self.content = content
        self.trailers = trailers
        self.isReplayable = isReplayable
    }

    /// Whether `opened` (see `BodyOpening`) has something to do.
    var isUnopenedFile: Bool { if case .file = content { true } else { false } }
    var isOpenedFile: Bool { if case .openFile = content { true } else { false } }

    /// No body: END_STREAM goes with the header fields.
    public static let none = RequestBody(content: .none, trailers: nil)

    /// A body in memory.
    public static func bytes(_ bytes: [UInt8], trailers: HTTPFields? = nil) -> RequestBody {
        RequestBody(content: .bytes(bytes), trailers: trailers)
    }

    /// The UTF-8 bytes of a string.
    public static func string(_ string: String) -> RequestBody { .bytes(Array(string.utf8)) }

    /// A regular file, from its beginning to its end, read as the windows allow. A file that cannot be read fails the
    /// request with `localIO`; one that becomes shorter while it is sent, too. What is added meanwhile is not sent.
    public static func file(_ path: String, trailers: HTTPFields? = nil) -> RequestBody {
        RequestBody(content: .file(path: path), trailers: trailers)
    }

    /// The chunks of a sequence, pulled as the windows allow (backpressure). An error it throws resets the stream
    /// (CANCEL) and is thrown from `send`, or to the reader of the response where its head has come already.
    /// - Parameters:
    ///   - length: bytes in all, where known; another number is an error.
    ///   - isReplayable: whether each iteration of the sequence yields the same chunks, so that an `HTTPClient` may send the
    ///     request again.
    public static func stream<Chunks: AsyncSequence & Sendable>(
        _ chunks: Chunks, length: Int? = nil, trailers: HTTPFields? = nil, isReplayable: Bool = false
    ) -> RequestBody where Chunks.Element == [UInt8] {
        .writer(length: length, trailers: trailers, isReplayable: isReplayable) { writer in
            for try await chunk in chunks { try await writer.write(chunk) }
        }
    }

    /// A closure that writes the body; `write` suspends while the windows are full. The body ends when it returns, and
    /// nothing may be written after that. An error it throws does as one of `stream`.
    ///
    /// It runs in a task of its own, on the executor that the caller of `send` prefers. That task is cancelled when nobody
    /// wants the rest of the body any more; a closure that returns after its cancellation has not ended the body.
    /// - Parameter isReplayable: whether the closure may be called again, and then writes the same, so that an `HTTPClient`
    ///   may send the request again. It can be called again before an earlier call, which was cancelled, has returned.
    public static func writer(
        length: Int? = nil, trailers: HTTPFields? = nil, isReplayable: Bool = false,
        _ pump: @escaping @Sendable (RequestBodyWriter) async throws -> Void
    ) -> RequestBody {
        RequestBody(
            content: .stream(length: length, pump: pump), trailers: trailers, isReplayable: isReplayable)
    }
}

/// Takes the chunks of one request's body.
public struct RequestBodyWriter: Sendable {
    let exchange: Exchange

    /// Hands over one chunk and suspends until the connection has taken it, so that at most one chunk is held.
    /// - Throws: `CancellationError`, also once the response is complete and the rest of the body is unwanted; `H2Error`
    ///   where the stream failed, and `invalidRequest` while another write is under way or after the closure has returned,
    ///   which fails the request too if it is not over.
    public nonisolated(nonsending) func write(_ chunk: [UInt8]) async throws {
        try await exchange.writeBody(chunk)
    }
}
