/// A response's body: chunks, pulled by demand. What is not read fills the stream's window and holds the server back.
///
/// One reader at a time; iterating, collecting and writing all take from the same bytes.
///
/// Reading throws `H2Error` where the stream or connection failed, and `CancellationError` where the task was cancelled,
/// which resets the stream (CANCEL). The end is reported only when the server ended the stream properly and
/// `content-length`, if any, was met.
public struct ResponseBody: AsyncSequence, Sendable {
    public typealias Element = [UInt8]

    let exchange: Exchange
    /// Cancels the stream when the last copy is gone; nil where the body was whole when the head arrived.
    let guardian: BodyGuardian?

    public func makeAsyncIterator() -> Iterator { Iterator(body: self) }

    public struct Iterator: AsyncIteratorProtocol {
        let body: ResponseBody

        /// The next chunk: all that has arrived since the last, never empty. nil at the end.
        public mutating func next() async throws -> [UInt8]? {
            try await next(isolation: #isolation)
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> [UInt8]? {
            try await body.exchange.readBody()
        }
    }

    /// The whole body.
    /// - Throws: `H2Error` (`bodyTooLarge`) past `limit` bytes, and the stream is reset.
    public nonisolated(nonsending) func collect(upTo limit: Int) async throws -> [UInt8] {
        try await exchange.collectBody(upTo: limit)
    }

    /// Writes the body to a descriptor of any kind: a file, a pipe, a socket, a terminal; the number of bytes written.
    ///
    /// A thread writes, so that a slow disk or reader holds back this response alone: at most two of its stream's windows are
    /// held meanwhile. A pipe without a reader is an error, and raises no SIGPIPE. The descriptor may be closed when this
    /// returns or throws. Cancelling, or the request's time limit, ends the wait at once; a write that is under way then may
    /// still take place.
    /// - Throws: `H2Error` (`localIO`) where a write fails, and the stream is reset; `CancellationError`; why the response
    ///   failed.
    @discardableResult
    public nonisolated(nonsending) func write(to descriptor: CInt) async throws -> Int {
        switch try DescriptorWriter.open(descriptor) {
        case .discard: try await exchange.drainBody()
        case .writer(let writer): try await exchange.writeBody(with: writer)
        }
    }

    /// Reads to the end and throws the bytes away; their number.
    @discardableResult
    public nonisolated(nonsending) func discard() async throws -> Int {
        try await exchange.drainBody()
    }
}

/// Lives as long as any copy of a response's body that was incomplete when its head arrived.
final class BodyGuardian: Sendable {
    let exchange: Exchange

    init(exchange: Exchange) { self.exchange = exchange }

    deinit { exchange.abandonBody() }
}
