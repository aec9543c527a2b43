public import HTTPTypes

extension HTTPRequestBody {
    /// Writes the body of one request. See ``HTTPRequestBody/writer(length:trailers:isReplayable:_:)``.
    public struct Writer: Sendable {
        /// The destination of the bytes.
        enum Destination: Sendable {
            case exchange(Exchange)
            case sink(any RequestBodySink)
        }

        let destination: Destination

        /// Writes one chunk, and suspends until the connection has accepted it, so that at most one chunk is held.
        /// - Throws: `CancellationError`, also if the response is complete and the rest of the body is no longer needed;
        ///   `H2Error` if the stream failed; `invalidRequest` if another write is in progress or the body has ended, which also
        ///   fails the request if it has not ended.
        public nonisolated(nonsending) func write(_ chunk: [UInt8]) async throws {
            switch destination {
            case .exchange(let exchange): try await exchange.writeBody(chunk)
            case .sink(let sink): if !chunk.isEmpty { try await sink.write(chunk) }
            }
        }

        /// Writes a copy of a collection's bytes as one chunk.
        /// - Throws: The errors of ``write(_:)-([UInt8])``.
        public nonisolated(nonsending) func write(_ chunk: some Collection<UInt8>) async throws {
            try await write(contiguous(chunk))
        }

        /// Writes a copy of a span's bytes as one chunk.
        /// - Throws: The errors of ``write(_:)-([UInt8])``.
        public nonisolated(nonsending) func write(_ chunk: Span<UInt8>) async throws {
            try await write(chunk.bytes)
        }

        /// Writes a copy of a span's bytes as one chunk.
        /// - Throws: The errors of ``write(_:)-([UInt8])``.
        public nonisolated(nonsending) func write(_ chunk: RawSpan) async throws {
            try await write(chunk.withUnsafeBytes { Array($0) })
        }

        /// Ends the body before the closure returns, with trailer fields that were not known earlier, such as a
        /// checksum.
        ///
        /// Optional: the body also ends when the closure returns. Nothing may be written after this. The closure's task is
        /// cancelled once the body is sent, which does not affect the request; another error of the closure still fails it.
        /// Trailer fields replace those that the body was created with. Over HTTP/1.1 they need a body that is sent in chunks:
        /// create it without a length, and leave out `content-length`.
        /// - Parameter trailers: The fields to send after the body (RFC 9113 section 8.1); nil to keep those that the body was
        ///   created with.
        /// - Throws: `CancellationError`; `H2Error` if the stream failed; `invalidRequest` if the body has ended already, its
        ///   length is wrong, or the trailer fields cannot be sent. All but the first of these fail the request.
        public nonisolated(nonsending) func finish(trailers: HTTPFields? = nil) async throws {
            switch destination {
            case .exchange(let exchange): try await exchange.endBody(trailers: trailers)
            case .sink(let sink): try await sink.finish(trailers: trailers)
            }
        }
    }
}

/// The destination of a body that is not sent directly: a coder, a part of a larger body, or memory.
protocol RequestBodySink: Sendable {
    /// Takes a chunk, which is not empty, and returns once there is room for the next one.
    nonisolated(nonsending) func write(_ chunk: [UInt8]) async throws
    /// Called when the body ends before its writer's closure has returned; `trailers` replace those of the body.
    nonisolated(nonsending) func finish(trailers: HTTPFields?) async throws
}

extension HTTPRequestBody {
    /// The number of bytes that are read from a file at once.
    private static let filePiece = 256 << 10

    /// The body's length in bytes; nil if it is unknown, or belongs to a file that has not been opened.
    package var knownLength: Int? {
        switch content {
        case .none: 0
        case .bytes(let bytes): bytes.count
        case .file, .multipart: nil
        case .openFile(let file): file.length
        case .stream(let length, _): length
        }
    }

    /// Writes the whole body with `writer`, without its trailer fields. Files are read on other threads.
    /// - Throws: `H2Error` (`localIO`) if a file cannot be read or became shorter; the errors of the body's own sequence or
    ///   writer, and of `writer`.
    nonisolated(nonsending) func write(to writer: Writer) async throws {
        switch content {
        case .none: return
        case .bytes(let bytes): try await writer.write(bytes)
        case .file(let path, let range):
            let file = try await BlockingThreads.shared.result { try BodyFile(path).part(range) }
            try await Self.write(file, to: writer)
        case .openFile(let file): try await Self.write(file, to: writer)
        case .multipart(let multipart): try await multipart.write(to: writer)
        case .stream(_, let pump): try await pump(writer)
        }
    }

    private static nonisolated(nonsending) func write(_ file: BodyFile, to writer: Writer) async throws {
        var offset = 0
        while offset < file.length {
            let (start, count) = (offset, min(file.length - offset, filePiece))
            let piece = try await BlockingThreads.shared.result { try file.read(at: start, count: count) }
            offset += piece.count
            try await writer.write(piece)
        }
    }

    /// The whole body in memory, for code that acts as a server. The closure of a streamed body is called.
    /// - Throws: `H2Error` (`bodyTooLarge`) if it is longer than `limit` bytes; the errors of the body's own sequence or
    ///   writer; `H2Error` (`localIO`).
    public nonisolated(nonsending) func collect(upTo limit: Int = HTTPClient.defaultBodyLimit) async throws -> [UInt8] {
        if case .bytes(let bytes) = content, bytes.count <= limit { return bytes }
        let collector = BodyCollector(limit: limit)
        try await write(to: Writer(destination: .sink(collector)))
        return collector.bytes
    }
}

/// Keeps a body in memory.
///
/// Invariant behind `@unchecked Sendable`: `storage` and `isFinished` are accessed under `lock`.
private final class BodyCollector: RequestBodySink, LiveObject, @unchecked Sendable {
    private let lock = PthreadLock()
    private let limit: Int
    private var storage: [UInt8] = []
    private var isFinished = false

    init(limit: Int) { self.limit = limit }

    var bytes: [UInt8] { lock.withLock { storage } }

    nonisolated(nonsending) func write(_ chunk: [UInt8]) async throws {
        try Task.checkCancellation()
        try lock.withLock {
            guard !isFinished else {
                throw H2Error(
                    .invalidRequest, initiator: .user, message: "the request's body was written to after its end",
                    remedy: "write nothing after finish()")
            }
            guard storage.count + chunk.count <= limit else {
                throw H2Error(
                    .bodyTooLarge, initiator: .user, message: "the request's body is longer than \(limit) bytes",
                    remedy: "allow more, or send less")
            }
            storage += chunk
        }
    }

    nonisolated(nonsending) func finish(trailers: HTTPFields?) async throws {
        lock.withLock { isFinished = true }
    }
}
