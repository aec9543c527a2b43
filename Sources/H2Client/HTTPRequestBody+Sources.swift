public import HTTPTypes

extension HTTPRequestBody {
    // MARK: - Bytes

    /// A copy of the bytes of a sequence, which is iterated immediately.
    public static func bytes(_ bytes: some Sequence<UInt8>, trailers: HTTPFields? = nil) -> HTTPRequestBody {
        .bytes(Array(bytes), trailers: trailers)
    }

    // MARK: - Files

    /// A part of a regular file, for example to send the rest of an upload that was interrupted.
    ///
    /// ```swift
    /// let rest = HTTPRequestBody.file("video.mp4", range: 1_048_576...)
    /// let middle = HTTPRequestBody.file("video.mp4", range: 0..<4096)
    /// ```
    ///
    /// Otherwise the same as ``file(_:trailers:)``. If the file ends before the range does, the request fails with
    /// `localIO`. An open-ended range that begins at the file's end is an empty body.
    /// - Parameters:
    ///   - path: The path of the file.
    ///   - range: The bytes to send, counted from 0. A negative bound counts as 0.
    ///   - trailers: Fields to send after the body.
    public static func file(
        _ path: String, range: some RangeExpression<Int>, trailers: HTTPFields? = nil
    ) -> HTTPRequestBody {
        HTTPRequestBody(content: .file(path: path, range: FileRange(range)), trailers: trailers)
    }

    // MARK: - Streams

    /// The bytes of a sequence, sent in chunks of up to 16 KiB. Each chunk is sent only when it is full. If a server
    /// must see bytes immediately, use a sequence of chunks, or a writer.
    /// - Parameters:
    ///   - bytes: The sequence, pulled as the flow-control windows allow (backpressure). Its errors are handled like
    ///     those of a sequence of chunks.
    ///   - length: The length in bytes, if known. Sending a different number of bytes is an error.
    ///   - trailers: Fields to send after the body.
    ///   - isReplayable: Whether each iteration of the sequence yields the same bytes, so that a client may retry the request.
    public static func stream<Bytes: AsyncSequence & Sendable>(
        _ bytes: Bytes, length: Int? = nil, trailers: HTTPFields? = nil, isReplayable: Bool = false
    ) -> HTTPRequestBody where Bytes.Element == UInt8 {
        .writer(length: length, trailers: trailers, isReplayable: isReplayable) { writer in
            var chunk: [UInt8] = []
            chunk.reserveCapacity(streamedChunkSize)
            for try await byte in bytes {
                chunk.append(byte)
                if chunk.count == streamedChunkSize {
                    try await writer.write(chunk)
                    chunk.removeAll(keepingCapacity: true)
                }
            }
            try await writer.write(chunk)
        }
    }

    /// The chunks of a sequence whose elements are sequences of bytes. Otherwise the same as the one for collections.
    public static func stream<Chunks: AsyncSequence & Sendable>(
        _ chunks: Chunks, length: Int? = nil, trailers: HTTPFields? = nil, isReplayable: Bool = false
    ) -> HTTPRequestBody where Chunks.Element: Sequence<UInt8> {
        .writer(length: length, trailers: trailers, isReplayable: isReplayable) { writer in
            for try await chunk in chunks { try await writer.write(Array(chunk)) }
        }
    }

    // MARK: - Forms

    /// A form, as `application/x-www-form-urlencoded`. The ``contentType`` is set.
    ///
    /// ```swift
    /// let body = HTTPRequestBody.form(["user": "ada", "tag": "maths", "tag": "engines"])
    /// ```
    public static func form(_ fields: FormFields) -> HTTPRequestBody {
        HTTPRequestBody(
            content: .bytes(Array(fields.encoded.utf8)), trailers: nil,
            contentType: "application/x-www-form-urlencoded")
    }

    /// A form with files, as `multipart/form-data` (RFC 7578). The ``contentType`` is set, with a random boundary.
    ///
    /// Its length is known, and sent as `content-length`, if those of all parts are. Its files are all opened when the
    /// request begins, and stay open until it ends; if a file cannot be read, or becomes shorter, the request fails
    /// with `localIO`. The body is replayable if all its parts are.
    public static func multipart(_ form: MultipartForm) -> HTTPRequestBody {
        let boundary = form.newBoundary()
        let body = MultipartBody(form, boundary: boundary)
        let contentType = "multipart/form-data; boundary=\(boundary)"
        guard body.hasUnopenedFiles else { return body.body(contentType: contentType, wasOpened: false) }
        return HTTPRequestBody(
            content: .multipart(body), trailers: nil, isReplayable: body.isReplayable, contentType: contentType)
    }
}

/// The size in bytes of the chunks in which a sequence of single bytes is sent.
private let streamedChunkSize = 16 << 10

extension FileRange {
    init(_ range: some RangeExpression<Int>) {
        // `relative(to:)` would overflow after Int.max, which is more than any file has.
        let last = Int.max - 1
        switch range {
        case let range as ClosedRange<Int>:
            self.init(start: max(range.lowerBound, 0), end: max(min(range.upperBound, last) + 1, 0))
        case let range as PartialRangeThrough<Int>: self.init(start: 0, end: max(min(range.upperBound, last) + 1, 0))
        case let range as PartialRangeFrom<Int>: self.init(start: max(range.lowerBound, 0), end: nil)
        default:
            let range = range.relative(to: 0..<Int.max)
            let start = max(range.lowerBound, 0)
            self.init(start: start, end: max(range.upperBound, start))
        }
    }
}
