import HTTPTypes
import Synchronization

extension HTTPRequestBody {
    /// Bodies in memory up to this length are encoded immediately.
    private static let eagerLimit = 1 << 20

    /// The same body, encoded with a content coding. The request gets the `content-encoding` field; a request that
    /// already has one fails with `invalidRequest`.
    ///
    /// ```swift
    /// let body = HTTPRequestBody.file("events.log").compressed(with: .zstd)
    /// let response = try await client.post("https://example.com/logs", body: body)
    /// ```
    ///
    /// Ask the server's operators which codings it accepts: a server answers 415 to a coding that it does not know (RFC
    /// 9110 section 15.5.16). A body in memory of up to 1 MiB is encoded by this call, and its `content-length` is
    /// known. All others are encoded as they are sent, in the task of the body's writer, and their length is not known.
    /// Small chunks from a writer are held back until enough has been encoded. The body is replayable if this one is.
    /// An empty or already compressed body is returned unchanged.
    ///
    /// If this build does not have the coding (see ``ContentCoding/available``), or there is no memory, the request
    /// fails with `contentCodingFailed`.
    /// - Parameters:
    ///   - coding: The coding.
    ///   - level: How much time to spend, from fast to small: 1 to 9 for gzip and deflate (default 6), 0 to 11 for
    ///     Brotli (default 5), 1 to 19 for Zstandard (default 3). Values outside the range are clamped.
    public func compressed(with coding: ContentCoding, level: Int? = nil) -> HTTPRequestBody {
        guard self.coding == nil else { return self }
        switch content {
        case .none: return self
        case .bytes(let bytes) where bytes.count <= Self.eagerLimit:
            // If this fails, so does the request.
            if let encoded = try? ContentEncoder(coding, level: level).encode(bytes, isLast: true) {
                return HTTPRequestBody(
                    content: .bytes(encoded), trailers: trailers, contentType: contentType, coding: coding)
            }
        default: break
        }
        let source = self
        return HTTPRequestBody(
            content: .stream(length: nil) { writer in
                let sink = try EncodingSink(coding, level: level, to: writer)
                try await source.write(to: Writer(destination: .sink(sink)))
                // The rest of the source may be missing.
                try Task.checkCancellation()
                try await sink.end()
            },
            trailers: trailers, isReplayable: isReplayable, contentType: contentType, coding: coding)
    }
}

/// Encodes the bytes written to it, and writes the result to another sink.
///
/// Invariant behind `@unchecked Sendable`: `encoder` and `hasEnded` are accessed by the call that holds `isHeld`.
private final class EncodingSink: RequestBodySink, LiveObject, @unchecked Sendable {
    private let encoder: ContentEncoder
    private let writer: HTTPRequestBody.Writer
    private let isHeld = Atomic<Bool>(false)
    private var hasEnded = false

    /// The maximum number of bytes encoded between two writes.
    private static let pieceSize = 256 << 10

    init(_ coding: ContentCoding, level: Int?, to writer: HTTPRequestBody.Writer) throws {
        do throws(CodingFault) {
            encoder = try ContentEncoder(coding, level: level)
        } catch {
            throw Self.error(error)
        }
        self.writer = writer
    }

    nonisolated(nonsending) func write(_ chunk: [UInt8]) async throws {
        try hold()
        defer { letGo() }
        guard !hasEnded else { throw Self.misuse("was written to after its end", "write nothing after finish()") }
        var rest = chunk[...]
        while !rest.isEmpty {
            let piece = rest.count <= Self.pieceSize ? Array(rest) : Array(rest.prefix(Self.pieceSize))
            rest = rest.dropFirst(piece.count)
            try await write(piece, isLast: false)
        }
    }

    nonisolated(nonsending) func finish(trailers: HTTPFields?) async throws {
        try hold()
        defer { letGo() }
        guard !hasEnded else { throw Self.misuse("has ended already", "call finish() once") }
        try await writeEnd()
        try await writer.finish(trailers: trailers)
    }

    /// Ends the coding, unless the body's writer has already done so.
    nonisolated(nonsending) func end() async throws {
        try hold()
        defer { letGo() }
        if !hasEnded { try await writeEnd() }
    }

    private nonisolated(nonsending) func writeEnd() async throws {
        hasEnded = true
        try await write([], isLast: true)
    }

    private nonisolated(nonsending) func write(_ piece: [UInt8], isLast: Bool) async throws {
        let encoded: [UInt8]
        do throws(CodingFault) {
            encoded = try encoder.encode(piece, isLast: isLast)
        } catch {
            throw Self.error(error)
        }
        if !encoded.isEmpty { try await writer.write(encoded) }
    }

    private func hold() throws {
        guard isHeld.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            throw Self.misuse("is being written already", "write one chunk at a time")
        }
    }

    private func letGo() { isHeld.store(false, ordering: .releasing) }

    private static func misuse(_ what: String, _ remedy: String) -> H2Error {
        H2Error(.invalidRequest, initiator: .user, message: "the request's body \(what)", remedy: remedy)
    }

    private static func error(_ fault: CodingFault) -> H2Error {
        H2Error(
            .contentCodingFailed, initiator: .user,
            message: "the request's body cannot be encoded: \(fault.message)", remedy: fault.remedy)
    }
}
