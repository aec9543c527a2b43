import H2Platform

/// An error of this library. Only the cancellation of a task has its own error, `CancellationError`.
///
/// An error tells what happened (``code-swift.property``), what it ended (``scope-swift.property``), who ended it
/// (``initiator-swift.property``), the underlying cause (``cause-swift.property``), and whether a retry is safe
/// (``isRetryable``). Its ``description`` also says what to try.
///
/// ```swift
/// do {
///     let response = try await client.get("https://example.com/")
///     print(response.status)
/// } catch let error as H2Error where error.code == .timeout {
///     print("too slow: \(error)")
/// } catch let error as H2Error where error.isRetryable {
///     print("not processed, safe to retry: \(error)")
/// }
/// ```
public struct H2Error: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kinds of errors.
    @nonexhaustive
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// The URL or origin cannot be used.
        case invalidURL
        /// The request is not valid: a bad field, no path, or a body whose length differs from its content-length.
        case invalidRequest
        /// An option has an invalid value.
        case invalidConfiguration
        /// The host name has no address.
        case resolveFailed
        /// No address accepted a connection.
        case connectFailed
        /// The TLS handshake failed.
        case tlsFailed
        /// The peer's certificate was rejected.
        case certificateRejected
        /// A configured certificate file, folder or key cannot be read.
        case tlsConfiguration
        /// The server does not support HTTP/2 here (ALPN chose another protocol, or none).
        case http2NotNegotiated
        /// The peer violated the protocol.
        case protocolViolation
        /// The stream was reset.
        case streamReset
        /// The server sent GOAWAY before it processed the request.
        case notProcessed
        /// The connection ended while the request was in progress, or before it was sent (see ``isRetryable``).
        case connectionClosed
        /// The connection is closing (by `close()` or GOAWAY) and takes no new requests.
        case connectionDraining
        /// The client was shut down.
        case clientShutDown
        /// A time limit expired.
        case timeout
        /// A limit of the configuration was exceeded.
        case limitExceeded
        /// The body is longer than the caller's limit.
        case bodyTooLarge
        /// A local file or descriptor could not be read or written.
        case localIO
        /// A redirect was not followed: there were too many, or it leads in a circle or to a URL that may not be used,
        /// or it needs a body that cannot be sent again.
        case redirectRefused
        /// The body cannot be decoded as its `content-encoding` says, or would exceed the limits.
        case contentCodingFailed
        /// A proxy refused the connection, or its answer cannot be used.
        case proxyFailed
        /// The client may not connect to any of the host's addresses.
        case addressRefused
        /// The body does not have the digest that the server stated, or one was required and none could be verified.
        case digestMismatch
        /// The response does not match the request: its status, type or range is different.
        case unexpectedResponse
    }

    /// The part that an error ended.
    @nonexhaustive
    public enum Scope: Sendable, Hashable {
        /// One stream, with its identifier (0 if it had none yet). Other streams are not affected.
        case stream(Int32)
        /// The whole connection with all of its streams.
        case connection
        /// Nothing on the wire.
        case client
    }

    /// Who ended the stream, connection or request.
    @nonexhaustive
    public enum Initiator: String, Sendable, Hashable {
        /// This library.
        case local
        /// The peer.
        case remote
        /// The code that called.
        case user
    }

    /// The phase in which a time limit expired.
    @nonexhaustive
    public enum Phase: String, Sendable, Hashable {
        /// Looking up the host's addresses: ``ConnectionConfiguration/Timeouts/resolve``.
        case resolve
        /// Connecting by TCP: ``ConnectionConfiguration/Timeouts/connect``.
        case connect
        /// The TLS handshake: ``ConnectionConfiguration/Timeouts/tls``.
        case tls
        /// Waiting for the acknowledgement of our SETTINGS: ``ConnectionConfiguration/Timeouts/settings``.
        case settings
        /// Waiting for a connection or stream: ``RequestOptions/queueTimeout``.
        case queued
        /// Sending the request's body: ``RequestOptions/sendTimeout``.
        case sending
        /// Waiting for the response's header fields: ``RequestOptions/firstByteTimeout``.
        case firstByte
        /// Waiting for the next piece of the response's body: ``RequestOptions/bodyProgressTimeout``.
        case betweenBytes
        /// The request as a whole: ``RequestOptions/timeout``.
        case wholeRequest
        /// Waiting for requests in progress while the connection closes: ``ConnectionConfiguration/Timeouts/drain``.
        case close
        /// Waiting for the acknowledgement of a PING.
        case ping
        /// Waiting for the socket to accept bytes: ``ConnectionConfiguration/Timeouts/writeStall``.
        case writeStall
        /// Retrying: ``HTTPClient/RetryPolicy/maximumTime``.
        case retrying
    }

    /// The underlying cause of an error.
    @nonexhaustive
    public enum Cause: Sendable, Hashable {
        /// No cause is known.
        case unknown
        /// The errno of a system call.
        case errno(Int32)
        /// The error code of getaddrinfo.
        case resolver(Int32)
        /// The peer's certificate was rejected.
        case certificate(CertificateFault)
        /// TLS failed.
        case tls(TLSFault)
        /// An HTTP/2 error code; `debugText` is GOAWAY's, made printable.
        case http2(HTTP2Code, debugText: String)
        /// A time limit: the phase that it limits, and its value.
        case timeout(Phase, after: Duration)
    }

    /// The kind of failure.
    public var code: Code
    /// The part that the error ended.
    public var scope: Scope
    /// Who ended the stream, connection or request.
    public var initiator: Initiator
    /// The underlying cause, if there is one.
    public var cause: Cause
    /// A description of what happened, without the remedy.
    public var message: String
    /// Advice on what to try; empty if there is none.
    public var remedy: String
    /// True only if the server cannot have processed the request (RFC 9113 section 8.7), so that even a request that is not
    /// idempotent is safe to retry.
    public var isRetryable: Bool
    /// Why the request was not retried although the client's policy would have allowed it.
    package var retryRefusal: RetryRefusal?

    /// Creates an error, for tests and for code that wraps the library.
    public init(
        _ code: Code, scope: Scope = .client, initiator: Initiator = .local, cause: Cause = .unknown,
        message: String, remedy: String = "", isRetryable: Bool = false
    ) {
        self.code = code
        self.scope = scope
        self.initiator = initiator
        self.cause = cause
        self.message = message
        self.remedy = remedy
        self.isRetryable = isRetryable
    }

    // Swift 6.3.1 inlines this across modules in release builds, and then crashes with an ownership error when a package reads
    // it in a catch clause. Speed does not matter here.
    /// The HTTP/2 error code; nil if none was involved.
    @inline(never)
    public var http2Code: HTTP2Code? {
        if case .http2(let code, _) = cause { code } else { nil }
    }

    /// The message, then the remedy.
    public var description: String { remedy.isEmpty ? message : "\(message); \(remedy)" }
}

/// The system's description of an errno, with the number.
package func describeErrno(_ code: CInt) -> String {
    "\(errnoText(code)) (errno \(code))"
}

/// The remedy if the system has run out of something; empty if unknown.
func exhaustionRemedy(_ code: CInt) -> String {
    switch code {
    case EMFILE: "raise the limit on open files (ulimit -n), or allow fewer connections"
    case ENFILE: "the whole machine is out of open files: raise fs.file-max, or close some"
    case ENOSPC: "raise the limit on watched descriptors (fs.epoll.max_user_watches), or allow fewer connections"
    case EAGAIN: "raise the limit on threads (ulimit -u, or pids.max of the container)"
    case ENOMEM, ENOBUFS: "the system is out of memory"
    default: ""
    }
}
