public import HTTPTypes

/// The body of a request.
///
/// ```swift
/// let text = HTTPRequestBody.string("name=value")
/// let file = HTTPRequestBody.file("report.pdf")
/// let upload = HTTPRequestBody.writer { writer in
///     for piece in pieces { try await writer.write(piece) }
/// }
/// ```
///
/// If the length is known, `content-length` is set from it. A request that sets `content-length` itself has to match.
public struct HTTPRequestBody: Sendable {
    enum Content: Sendable {
        case none
        case bytes([UInt8])
        // Indirect, so that it does not make every body larger.
        indirect case file(path: String, range: FileRange?)
        case openFile(BodyFile)
        case multipart(MultipartBody)
        case stream(length: Int?, pump: @Sendable (HTTPRequestBody.Writer) async throws -> Void)
    }

    /// Properties that few bodies have, in one reference, so that other bodies pay only for a nil.
    final class Extras: Sendable {
        let trailers: HTTPFields?
        let contentType: String?
        let coding: ContentCoding?
        /// Whether its files were opened for the request.
        let wasOpened: Bool

        init(trailers: HTTPFields?, contentType: String?, coding: ContentCoding?, wasOpened: Bool) {
            self.trailers = trailers
            self.contentType = contentType
            self.coding = coding
            self.wasOpened = wasOpened
        }
    }

    let content: Content
    private(set) var extras: Extras?
    /// Sent after the body (RFC 9113 section 8.1).
    var trailers: HTTPFields? { extras?.trailers }
    /// Whether the body can be sent more than once, for retries. Bodies in memory and files can; a stream can if it was
    /// created with `isReplayable`.
    public let isReplayable: Bool
    /// The coding of the bytes, for the request's `content-encoding`.
    var coding: ContentCoding? { extras?.coding }

    init(
        content: Content, trailers: HTTPFields?, isReplayable: Bool = true, contentType: String? = nil,
        coding: ContentCoding? = nil, wasOpened: Bool = false
    ) {
        self.content = content
        self.isReplayable = isReplayable
        if trailers != nil || contentType != nil || coding != nil || wasOpened {
            extras = Extras(trailers: trailers, contentType: contentType, coding: coding, wasOpened: wasOpened)
        }
    }

    /// The media type of the body, sent as `content-type` if the request has no such field. nil: none is sent.
    ///
    /// ``form(_:)`` and ``multipart(_:)`` set it. For other bodies the default is nil, since the type cannot be told
    /// from the bytes.
    ///
    /// ```swift
    /// var body = HTTPRequestBody.file("report.pdf")
    /// body.contentType = "application/pdf"
    /// ```
    public var contentType: String? {
        get { extras?.contentType }
        set {
            extras = Extras(
                trailers: trailers, contentType: newValue, coding: coding, wasOpened: extras?.wasOpened ?? false)
        }
    }

    /// Whether `opened` (see `BodyOpening`) has to open a file.
    var isUnopenedFile: Bool {
        switch content {
        case .file, .multipart: true
        case .none, .bytes, .openFile, .stream: false
        }
    }
    var isOpenedFile: Bool {
        if case .openFile = content { return true }
        return extras?.wasOpened ?? false
    }

    /// Whether the body is sent as it is: there is no file to open, and no content type to add to the request.
    @inline(__always)
    var isReady: Bool { extras?.contentType == nil && !isUnopenedFile }

    /// The request with the body's content type, unless it already has one.
    func typed(_ request: HTTPRequest) -> HTTPRequest {
        guard let contentType, request.headerFields[.contentType] == nil else { return request }
        var request = request
        request.headerFields[.contentType] = contentType
        return request
    }

    /// The bytes of a body in memory; nil for files and streams.
    var bytesInMemory: [UInt8]? {
        switch content {
        case .none: []
        case .bytes(let bytes): bytes
        case .file, .openFile, .multipart, .stream: nil
        }
    }

    /// No body. The request ends with its header fields.
    public static let empty = HTTPRequestBody(content: .none, trailers: nil)

    /// A body in memory.
    public static func bytes(_ bytes: [UInt8], trailers: HTTPFields? = nil) -> HTTPRequestBody {
        HTTPRequestBody(content: .bytes(bytes), trailers: trailers)
    }

    /// A copy of a collection's bytes, such as an `ArraySlice`, `Data` or ``HTTPResponseBody/Chunk``.
    public static func bytes(_ bytes: some Collection<UInt8>, trailers: HTTPFields? = nil) -> HTTPRequestBody {
        .bytes(contiguous(bytes), trailers: trailers)
    }

    /// A copy of a span's bytes.
    public static func bytes(_ bytes: Span<UInt8>, trailers: HTTPFields? = nil) -> HTTPRequestBody {
        .bytes(bytes.bytes, trailers: trailers)
    }

    /// A copy of a span's bytes.
    public static func bytes(_ bytes: RawSpan, trailers: HTTPFields? = nil) -> HTTPRequestBody {
        .bytes(bytes.withUnsafeBytes { Array($0) }, trailers: trailers)
    }

    /// A string, sent as UTF-8.
    public static func string(_ string: String) -> HTTPRequestBody { .bytes(Array(string.utf8)) }

    /// The contents of a regular file, read as the flow-control windows allow. A file that cannot be read, or becomes shorter
    /// while it is sent, fails the request with `localIO`. Bytes added meanwhile are not sent.
    public static func file(_ path: String, trailers: HTTPFields? = nil) -> HTTPRequestBody {
        HTTPRequestBody(content: .file(path: path, range: nil), trailers: trailers)
    }

    /// The chunks of a sequence, pulled as the flow-control windows allow (backpressure). An error of the sequence resets the
    /// stream (CANCEL). It is thrown from `send`, or to the response's reader if the response's head has arrived.
    /// - Parameters:
    ///   - chunks: The sequence.
    ///   - length: The length in bytes, if known. Sending another number of bytes is an error.
    ///   - trailers: Fields to send after the body.
    ///   - isReplayable: Whether each iteration of the sequence yields the same chunks, so that a client may retry the request.
    public static func stream<Chunks: AsyncSequence & Sendable>(
        _ chunks: Chunks, length: Int? = nil, trailers: HTTPFields? = nil, isReplayable: Bool = false
    ) -> HTTPRequestBody where Chunks.Element: Collection<UInt8> {
        .writer(length: length, trailers: trailers, isReplayable: isReplayable) { writer in
            for try await chunk in chunks { try await writer.write(chunk) }
        }
    }

    /// A body that a closure writes. `write` suspends while the flow-control windows are full. The body ends when the closure
    /// returns or calls ``Writer/finish(trailers:)``; nothing may be written after that. Errors of the closure are handled as in
    /// `stream(_:length:trailers:isReplayable:)`.
    ///
    /// The closure runs in its own task, on the executor that the caller of `send` prefers. The task is cancelled when
    /// the rest of the body is no longer needed. A closure that returns after its cancellation does not end the body.
    /// - Parameters:
    ///   - length: The length in bytes, if known. Sending another number of bytes is an error.
    ///   - trailers: Fields to send after the body.
    ///   - isReplayable: Whether the closure may be called again and then writes the same bytes, so that a client may retry the
    ///     request. It may be called again before an earlier, cancelled call has returned.
    ///   - pump: The closure.
    public static func writer(
        length: Int? = nil, trailers: HTTPFields? = nil, isReplayable: Bool = false,
        _ pump: @escaping @Sendable (HTTPRequestBody.Writer) async throws -> Void
    ) -> HTTPRequestBody {
        HTTPRequestBody(
            content: .stream(length: length, pump: pump), trailers: trailers, isReplayable: isReplayable)
    }
}

/// The bytes of a collection; those of a response's chunk without a copy.
func contiguous(_ bytes: some Collection<UInt8>) -> [UInt8] {
    (bytes as? HTTPResponseBody.Chunk)?.bytes ?? Array(bytes)
}
