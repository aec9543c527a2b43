/// The body of a response: chunks, pulled on demand. Unread bytes fill the stream's window and hold the server back.
///
/// There can be one reader at a time. Iterating, collecting and writing all consume the same bytes.
///
/// Reading throws `H2Error` if the stream or connection failed, and `CancellationError` if the task was cancelled, which
/// resets the stream (CANCEL). The end is reported only if the server ended the stream properly and sent as many bytes as
/// `content-length` says.
///
/// An ``HTTPClient`` decodes a body that has a `content-encoding` (see ``HTTPClient/ContentDecoding``): all bytes and
/// limits here are those of the decoded body. It is decoded in the task that reads, at most 64 KiB at a time, and only
/// on demand. If a body cannot be decoded, its stream is reset, and reading throws `H2Error` (`contentCodingFailed`).
public struct HTTPResponseBody: AsyncSequence, Sendable {
    /// A chunk of the body.
    public typealias Element = Chunk

    let exchange: Exchange
    /// Cancels the stream when the last copy is released, and decodes the body if necessary; nil if neither is needed:
    /// the body was complete when the head arrived.
    let guardian: BodyGuardian?

    /// Creates an iterator over the chunks.
    public func makeAsyncIterator() -> Iterator { Iterator(body: self) }

    /// Iterates over the chunks of a body.
    public struct Iterator: AsyncIteratorProtocol {
        let body: HTTPResponseBody

        /// The next chunk, never empty: all bytes that arrived since the last one, or at most 64 KiB of a decoded body.
        /// nil at the end.
        public mutating func next() async throws -> Chunk? {
            try await next(isolation: #isolation)
        }

        /// The next chunk, keeping the isolation of `actor`. nil at the end.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Chunk? {
            try await body.read().map { Chunk(bytes: $0) }
        }
    }

    /// Bytes of a body that arrived together, never empty when read.
    ///
    /// A collection of bytes: `Array(chunk)` and `Data(chunk)` copy them, ``withBytes(_:)`` lends them.
    public struct Chunk: RandomAccessCollection, Sendable, Hashable {
        package let bytes: [UInt8]

        package init(bytes: [UInt8]) { self.bytes = bytes }

        /// Creates a chunk with a copy of `bytes`, for tests.
        public init(_ bytes: some Collection<UInt8>) { self.bytes = Array(bytes) }

        /// 0.
        public var startIndex: Int { 0 }
        /// The number of bytes.
        public var endIndex: Int { bytes.count }
        /// The byte at `position`, which must be in `indices`.
        public subscript(position: Int) -> UInt8 { bytes[position] }

        /// Calls `body` with the bytes, without copying them.
        /// - Throws: The errors of `body`.
        public func withBytes<R, Failure: Error>(_ body: (RawSpan) throws(Failure) -> R) throws(Failure) -> R {
            try body(bytes.span.bytes)
        }

        /// Calls `body` with a pointer to the bytes that is valid during the call.
        /// - Throws: The errors of `body`.
        public func withContiguousStorageIfAvailable<R>(
            _ body: (UnsafeBufferPointer<UInt8>) throws -> R
        ) rethrows -> R? {
            try bytes.withUnsafeBufferPointer(body)
        }
    }

    /// Waits for the next chunk and calls `body` with its bytes, without copying them.
    /// - Returns: The result of `body`; nil at the end.
    /// - Throws: Why the response failed; `CancellationError`; the errors of `body`.
    public nonisolated(nonsending) func withNextChunk<R>(
        _ body: nonisolated(nonsending) (RawSpan) async throws -> R
    ) async throws -> R? {
        guard let bytes = try await read() else { return nil }
        return try await body(bytes.span.bytes)
    }

    /// Reads the whole body.
    /// - Throws: `H2Error` (`bodyTooLarge`) if the body is longer than `limit` bytes; the stream is then reset. Why the
    ///   response failed; `CancellationError`.
    public nonisolated(nonsending) func collect(upTo limit: Int) async throws -> [UInt8] {
        if let decoding = guardian?.decoding { return try await decoding.collect(upTo: limit) }
        return try await exchange.collectBody(upTo: limit)
    }

    /// Writes the body to a descriptor of any kind: a file, a pipe, a socket, a terminal.
    ///
    /// A separate thread writes, so that a slow disk or reader holds back this response alone. At most two of its stream's
    /// windows are held meanwhile. A pipe without a reader is an error, and raises no SIGPIPE. The descriptor may be closed
    /// once this has returned or thrown. Cancelling, or the request's time limit, ends the wait at once; a write in progress
    /// may still take place.
    /// - Returns: The number of bytes written.
    /// - Throws: `H2Error` (`localIO`) if a write fails; the stream is then reset. Why the response failed; `CancellationError`.
    @discardableResult
    public nonisolated(nonsending) func write(to descriptor: CInt) async throws -> Int {
        switch try DescriptorWriter.open(descriptor) {
        case .discard: try await discard()
        case .writer(let writer):
            if let decoding = guardian?.decoding {
                try await decoding.write(with: writer)
            } else {
                try await exchange.writeBody(with: writer)
            }
        }
    }

    /// Reads the body to its end and discards the bytes. An encoded body is still decoded, so that damage is found.
    /// - Returns: The number of bytes discarded.
    /// - Throws: `H2Error`: why the response failed; `CancellationError`.
    @discardableResult
    public nonisolated(nonsending) func discard() async throws -> Int {
        if let decoding = guardian?.decoding { return try await decoding.drain() }
        return try await exchange.drainBody()
    }

    /// The next bytes, never empty; nil at the end.
    @inline(__always)
    private nonisolated(nonsending) func read() async throws -> [UInt8]? {
        if let decoding = guardian?.decoding { return try await decoding.read() }
        return try await exchange.readBody()
    }
}

/// Lives as long as any copy of a response body that was incomplete when its head arrived, or is decoded.
///
/// Invariant behind `@unchecked Sendable` and `@exclusivity(unchecked)`: `decoding` is set before the caller gets the
/// response, and is constant from then on.
final class BodyGuardian: LiveObject, @unchecked Sendable {
    let exchange: Exchange
    /// Removes the body's content codings; nil if the body is read as it is sent.
    @exclusivity(unchecked) var decoding: BodyDecoding?

    init(exchange: Exchange) { self.exchange = exchange }

    deinit {
        if !exchange.isWhole { exchange.abandonBody() }
    }
}
