import HTTPTypes

/// The contents of a multipart form: its parts between delimiters.
struct MultipartBody: Sendable {
    private struct Part: Sendable {
        /// The delimiter and the header fields.
        let head: [UInt8]
        var body: HTTPRequestBody
    }

    private var parts: [Part] = []
    private let end: [UInt8]

    init(_ form: MultipartForm, boundary: String) {
        for (index, part) in form.parts.enumerated() {
            parts.append(
                Part(head: form.head(of: part, boundary: boundary, isFirst: index == 0), body: part.body))
        }
        end = MultipartForm.end(boundary: boundary, isEmpty: form.parts.isEmpty)
    }

    var hasUnopenedFiles: Bool { parts.contains { $0.body.isUnopenedFile } }
    var isReplayable: Bool { parts.allSatisfy(\.body.isReplayable) }

    /// The length in bytes; nil if a part's length is unknown.
    var length: Int? {
        var sum = end.count
        for part in parts {
            guard let length = part.body.knownLength else { return nil }
            let (whole, isOverflow) = sum.addingReportingOverflow(length)
            // No writer gets that far.
            guard !isOverflow, whole <= Int.max - part.head.count else { return nil }
            sum = whole + part.head.count
        }
        return sum
    }

    /// The same body with all files open, so that the length is known. May wait for a disk.
    /// - Throws: `H2Error` (`localIO`).
    func opened(_ open: (String) throws -> BodyFile) throws -> MultipartBody {
        var result = self
        for index in parts.indices {
            let body = parts[index].body
            switch body.content {
            case .none, .bytes, .openFile, .stream: break
            case .file(let path, let range):
                result.parts[index].body = HTTPRequestBody(
                    content: .openFile(try open(path).part(range)), trailers: nil, isReplayable: body.isReplayable)
            case .multipart(let inner):
                result.parts[index].body = try inner.opened(open).body(contentType: nil, wasOpened: true)
            }
        }
        return result
    }

    /// The body of a request with this form.
    func body(contentType: String?, wasOpened: Bool) -> HTTPRequestBody {
        HTTPRequestBody(
            content: .stream(length: length, pump: { try await write(to: $0) }), trailers: nil,
            isReplayable: isReplayable, contentType: contentType, wasOpened: wasOpened)
    }

    /// - Throws: The errors of the parts' bodies, and of `writer`.
    nonisolated(nonsending) func write(to writer: HTTPRequestBody.Writer) async throws {
        for part in parts {
            try await writer.write(part.head)
            let sink = PartSink(writer, length: part.body.knownLength)
            try await part.body.write(to: HTTPRequestBody.Writer(destination: .sink(sink)))
            try sink.checkLength()
        }
        try await writer.write(end)
    }
}

/// Takes the bytes of one part. A part that ends, or is too long, must neither end the form nor make it look complete.
///
/// Invariant behind `@unchecked Sendable`: `count` and `isFinished` are accessed under `lock`.
private final class PartSink: RequestBodySink, LiveObject, @unchecked Sendable {
    private let writer: HTTPRequestBody.Writer
    private let length: Int?
    private let lock = PthreadLock()
    private var count = 0
    private var isFinished = false

    init(_ writer: HTTPRequestBody.Writer, length: Int?) {
        self.writer = writer
        self.length = length
    }

    nonisolated(nonsending) func write(_ chunk: [UInt8]) async throws {
        let isOpen = lock.withLock {
            count += chunk.count
            return !isFinished
        }
        guard isOpen else {
            throw H2Error(
                .invalidRequest, initiator: .user, message: "a part of the form was written to after its end",
                remedy: "write nothing after finish()")
        }
        try checkLength(isEnd: false)
        try await writer.write(chunk)
    }

    nonisolated(nonsending) func finish(trailers: HTTPFields?) async throws { lock.withLock { isFinished = true } }

    /// - Throws: `H2Error` (`invalidRequest`) if the part does not have its declared length.
    func checkLength(isEnd: Bool = true) throws(H2Error) {
        let count = lock.withLock { self.count }
        guard let length, count > length || (isEnd && count < length) else { return }
        throw H2Error(
            .invalidRequest, initiator: .user,
            message: "a part of the form has \(count)\(isEnd ? "" : " or more") bytes, but was said to have \(length)",
            remedy: "give the right length, or none")
    }
}
