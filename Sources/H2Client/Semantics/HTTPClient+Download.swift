import H2Platform
public import HTTPTypes

/// How ``HTTPClient/download(_:to:options:settings:)`` works.
public struct DownloadSettings: Sendable, Hashable {
    /// How the file is written.
    public var file: FileWritingOptions
    /// Whether bytes of an earlier, interrupted download are used. Default true.
    public var resumes: Bool
    /// The number of connections in a row that may fail, each with less than 64 KiB, before the download does. Default 5. The
    /// waits between them are those of ``HTTPClient/RetryPolicy``.
    public var maximumFailures: Int
    /// Whether the bytes must have a digest that the server states (RFC 9530): `content-digest` or `repr-digest` of a complete
    /// response, `repr-digest` of one that was resumed. Default false, since few servers state one.
    public var requiresDigest: Bool

    /// Creates settings.
    public init(
        file: FileWritingOptions = FileWritingOptions(), resumes: Bool = true, maximumFailures: Int = 5,
        requiresDigest: Bool = false
    ) {
        self.file = file
        self.resumes = resumes
        self.maximumFailures = maximumFailures
        self.requiresDigest = requiresDigest
    }
}

/// A file that was downloaded.
public struct DownloadedFile: Sendable {
    /// The last response. Its body has been read.
    public let response: StreamedResponse
    /// The length of the file in bytes.
    public let byteCount: Int
    /// The bytes of it that an earlier call had received.
    public let resumedByteCount: Int

    /// Creates a value, for tests.
    public init(response: StreamedResponse, byteCount: Int, resumedByteCount: Int = 0) {
        self.response = response
        self.byteCount = byteCount
        self.resumedByteCount = resumedByteCount
    }
}

extension HTTPClient {
    /// Downloads a URL into a file, and continues an earlier download if there is one. See
    /// ``download(_:to:options:settings:)``.
    ///
    /// ```swift
    /// let file = try await client.download("https://example.com/image.iso", to: "image.iso")
    /// print(file.byteCount, file.resumedByteCount)
    /// ```
    /// - Throws: `H2Error` (`invalidURL`); the errors of the call with a request.
    @discardableResult
    public nonisolated(nonsending) func download(
        _ url: String, to path: String, headerFields: HTTPFields = [:], options: RequestOptions = RequestOptions(),
        settings: DownloadSettings = DownloadSettings()
    ) async throws -> DownloadedFile {
        try await download(
            HTTPRequest(.get, url: url, headerFields: headerFields), to: path, options: options, settings: settings)
    }

    /// Downloads the response to a request into a file: all of it, or nothing under that name.
    ///
    /// The bytes go to `NAME.part` beside it. If the download fails, is cancelled, or the process ends, they stay, with what
    /// tells them apart in `NAME.part.info`, and the next call with the same URL and path asks for the rest. That takes
    /// a server that states a length and a strong validator: `etag`, or `last-modified` before `date` (RFC 9110 section 8.8). If
    /// the file has changed since, or the answer does not fit, it is downloaded from its beginning. Within a call a connection
    /// that breaks is replaced in the same way. Another process that downloads to the same path meanwhile gets an error.
    ///
    /// Only 200 and, when it continues, 206 are accepted. The bytes are requested without a content coding, unless the request
    /// has an `accept-encoding`; coded ones cannot be continued.
    /// - Parameters:
    ///   - request: The request, by GET. It must not have a `range` of its own.
    ///   - path: The path of the file. What its links lead to is written.
    ///   - options: The options of the requests. `timeout` limits the whole call.
    ///   - settings: How it is done.
    /// - Throws: `H2Error`: `unexpectedResponse` for another status; `localIO` if the file cannot be written, or another
    ///   process writes it; `digestMismatch`, and then nothing is kept; why the last connection failed. `CancellationError`.
    @discardableResult
    public nonisolated(nonsending) func download(
        _ request: HTTPRequest, to path: String, options: RequestOptions = RequestOptions(),
        settings: DownloadSettings = DownloadSettings()
    ) async throws -> DownloadedFile {
        guard request.method == .get, request.headerFields[.range] == nil else {
            throw H2Error(
                .invalidRequest, initiator: .user, message: "only GET without a range can be downloaded to a file",
                remedy: "send the request, and write its response's body")
        }
        var run = try await DownloadRun(self, request, path, options, settings)
        return try await run.result()
    }
}

/// One call of `download`.
private struct DownloadRun {
    private let client: HTTPClient
    private var request: HTTPRequest
    private let options: RequestOptions
    private let settings: DownloadSettings
    /// The SHA-256 of the URL.
    private let identity: String
    // Only one call uses it at a time, each after the one before has returned.
    private let part: LoopBound<ResumablePart>
    private let startedAt: UInt64

    /// What is known of the part's bytes; nil if they are of no use.
    private var state: DownloadState?
    private var failures = 0
    private var resumedCount = 0
    /// Whether this call has written to the part.
    private var hasWritten = false

    /// The bytes that a connection has to deliver not to count as failed.
    private static let progress = 64 << 10

    nonisolated(nonsending) init(
        _ client: HTTPClient, _ request: HTTPRequest, _ path: String, _ options: RequestOptions,
        _ settings: DownloadSettings
    ) async throws {
        self.client = client
        self.request = request
        self.options = options
        self.settings = settings
        startedAt = client.pool.now
        if request.headerFields[.acceptEncoding] == nil {
            self.request.headerFields[.acceptEncoding] = "identity"
        }
        let digest = BodyDigest()
        digest.add(Array("\(request.scheme ?? "")://\(request.authority ?? "")\(request.path ?? "/")".utf8))
        identity = String(decoding: TokenBytes.hex(digest.finish() ?? []), as: UTF8.self)
        let (part, info): (LoopBound<ResumablePart>, [UInt8]?) = try await BlockingThreads.shared.result {
            let host = LibraryDownloadHost()
            let part = try ResumablePart(try DownloadTarget.regular(path, settings.file, host), host: host)
            return (LoopBound(part), settings.resumes && part.size > 0 ? part.info : nil)
        }
        self.part = part
        if let state = info.flatMap({ DownloadState($0) }), state.request == identity { self.state = state }
    }

    private nonisolated(nonsending) func onPart<R: Sendable>(
        _ work: @escaping @Sendable (ResumablePart) throws -> R
    ) async throws -> R {
        let part = part
        return try await BlockingThreads.shared.result { try work(part.value) }
    }

    nonisolated(nonsending) mutating func result() async throws -> DownloadedFile {
        do {
            while true {
                if let file = try await attempt() { return file }
            }
        } catch {
            // Bytes that cannot be continued are of no use.
            let isUseless = state == nil
            try? await onPart { if !$0.isAdopted, isUseless || $0.size == 0 { $0.discard() } }
            throw error
        }
    }

    /// One request. Returns nil if another is needed.
    private nonisolated(nonsending) mutating func attempt() async throws -> DownloadedFile? {
        let before = try await onPart { $0.size }
        do {
            return try await requestOnce(size: before)
        } catch {
            guard Reconnection.mayHelp(error) else { throw error }
            let size = try await onPart { $0.size }
            failures = size - before >= Self.progress ? 1 : failures + 1
            guard failures < settings.maximumFailures else { throw error }
            let wait = client.pool.backoff(before: failures + 1, options.retry ?? client.configuration.retry)
            if let limit = options.timeout ?? client.configuration.requestOptions.timeout,
                elapsed.saturatingSum(wait) >= limit.clampedNanoseconds
            {
                throw error
            }
            try await client.pool.pause(Duration(nanoseconds: wait))
            return nil
        }
    }

    private var elapsed: UInt64 {
        let now = client.pool.now
        return now > startedAt ? now - startedAt : 0
    }

    private nonisolated(nonsending) mutating func requestOnce(size: Int) async throws -> DownloadedFile? {
        let rest = state.flatMap { DownloadStep.Rest($0, size: size) }
        var request = request
        rest?.apply(to: &request)
        var options = options
        if let limit = options.timeout ?? client.configuration.requestOptions.timeout {
            let left = limit.clampedNanoseconds - min(elapsed, limit.clampedNanoseconds)
            options.timeout = Duration(nanoseconds: max(left, 1))
        }
        let response = try await client.send(request, options: options)
        let head = response.head
        switch DownloadStep(head, to: rest, request: identity) {
        case .refuse(let error): throw error
        case .requestAll:
            // The next request is for everything, so that this happens once in a row.
            state = nil
            return nil
        case .append(let offset):
            try await onPart { try $0.keep(offset) }
            if !hasWritten { resumedCount = offset }
        case .startOver(let newState):
            state = nil
            resumedCount = 0
            let info = newState.map { Array($0.text.utf8) }
            try await onPart { part in
                try part.keep(0)
                part.setInfo(info)
            }
            state = newState
        }
        hasWritten = true
        let count = try await writeBody(of: response)
        let length = try await onPart { $0.size }
        if head.status == .partialContent, let state {
            guard count > 0, length <= state.total else {
                self.state = nil
                throw H2Error(
                    .unexpectedResponse, initiator: .remote,
                    message: "the server sent \(count) bytes that do not fit into the \(state.total) of the file",
                    remedy: "try again: it will be downloaded from its beginning")
            }
            // RFC 9110 section 15.3.7: a server may send less than it was asked for.
            if length < state.total { return nil }
        }
        try await verifyWhole(head, response)
        return try await completed(response, length: length)
    }

    private nonisolated(nonsending) mutating func writeBody(of response: StreamedResponse) async throws -> Int {
        let descriptor = part.value.descriptor
        guard settings.requiresDigest else { return try await response.body.write(to: descriptor) }
        do {
            let body = response.verifiedBody(requiresDigest: response.status == .ok)
            return try await body.write(to: descriptor)
        } catch let error as H2Error where error.code == .digestMismatch {
            state = nil
            throw error
        }
    }

    /// Verifies a file that was put together from several responses.
    private nonisolated(nonsending) mutating func verifyWhole(
        _ head: HTTPResponse, _ response: StreamedResponse
    ) async throws {
        guard settings.requiresDigest, head.status == .partialContent else { return }
        var whole = head
        whole.status = .ok
        whole.headerFields[.contentDigest] = nil
        let check = LoopBound(DigestCheck(whole, isRequired: true))
        let trailers = await response.trailerFields()
        do {
            try await onPart { part in
                var check = check.value
                try part.forEachPiece { check.add($0) }
                var fields = trailers ?? [:]
                fields[.contentDigest] = nil
                try check.finish(trailers: fields)
            }
        } catch {
            state = nil
            throw error
        }
    }

    private nonisolated(nonsending) func completed(
        _ response: StreamedResponse, length: Int
    ) async throws -> DownloadedFile {
        let download = try await onPart { part in
            let download = part.completed()
            return LoopBound(download)
        }
        try await FileDestination.complete(download, settings.file)
        try await onPart { $0.discard() }
        return DownloadedFile(response: response, byteCount: length, resumedByteCount: resumedCount)
    }
}
