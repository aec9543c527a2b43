import H2Platform
public import HTTPTypes

/// How ``HTTPClient/download(_:to:options:settings:)`` works.
public struct DownloadSettings: Sendable, Hashable {
    /// How the file is written.
    public var file: FileWritingOptions
    /// Whether to use bytes from an earlier, interrupted download. Default true.
    public var resumes: Bool
    /// The number of connections in a row that may fail, each after less than 64 KiB, before the download fails.
    /// Default 5. The waits between them are those of ``HTTPClient/RetryPolicy``.
    public var maximumFailures: Int
    /// Whether the bytes must have a digest stated by the server (RFC 9530): `content-digest` or `repr-digest` for a
    /// complete response, `repr-digest` for a resumed one. Default false, since few servers state one.
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
    /// The number of bytes that an earlier call received.
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
    /// The bytes are written to `NAME.part` beside the target. If the download fails or is cancelled, or the process
    /// ends, they stay, with the data that identifies them in `NAME.part.info`, and the next call with the same URL and
    /// path requests the rest. The server must state a length and a strong validator: `etag`, or `last-modified` before
    /// `date` (RFC 9110 section 8.8). If the file has changed since, or the response does not fit, the download starts
    /// over. Within a call, a connection that breaks is replaced in the same way. If another process downloads to the
    /// same path at the same time, it gets an error.
    ///
    /// Only status 200 is accepted, and 206 for a continued download. The bytes are requested without a content coding,
    /// unless the request has an `accept-encoding`; encoded bytes cannot be continued.
    /// - Parameters:
    ///   - request: The request, with the method GET. It must not have a `range` field.
    ///   - path: The path of the file. Links are followed, and their target is written.
    ///   - options: The options of the requests. `timeout` limits the whole call.
    ///   - settings: The settings of the download.
    /// - Throws: `H2Error`: `unexpectedResponse` for another status; `localIO` if the file cannot be written, or
    ///   another process is writing it; `digestMismatch`, in which case nothing is kept; or the error of the last
    ///   connection. `CancellationError`.
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
    private var download: ContinuedDownload
    private let startedAt: UInt64
    private var failures = DownloadFailures()

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
        let host = LibraryDownloadHost()
        download = try await ContinuedDownload(
            of: "\(request.scheme ?? "")://\(request.authority ?? "")\(request.path ?? "/")", resumes: settings.resumes,
            host: host
        ) { try DownloadTarget.regular(path, settings.file, host) }
    }

    nonisolated(nonsending) mutating func result() async throws -> DownloadedFile {
        do {
            while true {
                if let file = try await attempt() { return file }
            }
        } catch {
            await download.abandon()
            throw error
        }
    }

    /// Sends one request. Returns nil if another is needed.
    private nonisolated(nonsending) mutating func attempt() async throws -> DownloadedFile? {
        let before = try await download.size()
        do {
            return try await requestOnce()
        } catch {
            guard DownloadFailures.mayPass(error) else { throw error }
            failures.add(received: try await download.size() - before)
            guard failures.count < settings.maximumFailures else { throw error }
            let wait = client.pool.backoff(before: failures.count + 1, options.retry ?? client.configuration.retry)
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

    private nonisolated(nonsending) mutating func requestOnce() async throws -> DownloadedFile? {
        var request = request
        try await download.apply(to: &request)
        var options = options
        if let limit = options.timeout ?? client.configuration.requestOptions.timeout {
            let left = limit.clampedNanoseconds - min(elapsed, limit.clampedNanoseconds)
            options.timeout = Duration(nanoseconds: max(left, 1))
        }
        let response = try await client.send(request, options: options)
        guard try await download.take(response.head) == .write else { return nil }
        guard try await download.write(response, requiresDigest: settings.requiresDigest).isWhole else { return nil }
        let length = try await download.size()
        try await FileDestination.complete(try await download.completed(), settings.file)
        await download.discard()
        return DownloadedFile(
            response: response, byteCount: length, resumedByteCount: download.resumedByteCount)
    }
}

/// The connections of a download that failed in a row.
package struct DownloadFailures: Sendable {
    package private(set) var count = 0
    /// The number of bytes that a connection must deliver so that it does not count as failed.
    private static let progress = 64 << 10

    package init() {}

    /// Counts a failed connection, after this number of bytes.
    package mutating func add(received: Int) { count = received >= Self.progress ? 1 : count + 1 }

    /// Whether another connection may help.
    package static func mayPass(_ error: any Error) -> Bool { Reconnection.mayHelp(error) }
}
