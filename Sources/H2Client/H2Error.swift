import H2Platform

/// Everything that can go wrong in this library, save a task's own cancellation, which is `CancellationError`.
///
/// An error says what happened (`code`), to what (`scope`), who ended it (`initiator`), what lay below (`cause`),
/// whether the server cannot have processed the request (`isRetryable`), and, in `description`, what to try.
public struct H2Error: Error, Sendable, CustomStringConvertible {
    /// What happened.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// The URL or origin cannot be used.
        case invalidURL
        /// The request cannot be sent as it is (a bad field, no path, a body of another length than it said).
        case invalidRequest
        /// An option has a value that it cannot have.
        case invalidConfiguration
        /// The host's name has no address.
        case resolveFailed
        /// No address accepted a connection.
        case connectFailed
        /// The TLS handshake failed.
        case tlsFailed
        /// The peer's certificate was rejected.
        case certificateRejected
        /// A certificate file, folder or key of ours cannot be read.
        case tlsConfiguration
        /// The server does not speak HTTP/2 here (ALPN chose something else, or nothing).
        case http2NotNegotiated
        /// The peer broke the protocol.
        case protocolViolation
        /// The stream was reset.
        case streamReset
        /// The server said GOAWAY before it processed this request.
        case notProcessed
        /// The connection ended while the request was under way, or before it began (`isRetryable` tells).
        case connectionClosed
        /// The connection is closing (drained by us or by GOAWAY) and takes no new request.
        case connectionDraining
        /// The client was shut down.
        case clientShutDown
        /// A time limit passed.
        case timeout
        /// A limit of the configuration was hit.
        case limitExceeded
        /// The body is longer than the caller would take.
        case bodyTooLarge
        /// A file or descriptor of ours could not be read or written.
        case localIO
    }

    /// What the error ended.
    public enum Scope: Sendable, Hashable {
        /// One stream, by its identifier (0: it never got one). Its siblings go on.
        case stream(Int32)
        /// The whole connection, and so each of its streams.
        case connection
        /// Nothing on the wire.
        case client
    }

    /// Who ended it.
    public enum Initiator: String, Sendable, Hashable {
        /// This library.
        case local
        /// The peer.
        case remote
        /// The code that called.
        case user
    }

    /// The phase of a request that a time limit watched.
    public enum Phase: String, Sendable, Hashable {
        case resolve, connect, tls, settings, queued, sending, firstByte, betweenBytes, wholeRequest, close, ping,
            writeStall, retrying
    }

    /// What lay below.
    public enum Cause: Sendable, Hashable {
        case none
        /// A system call's errno.
        case errno(Int32)
        /// A getaddrinfo code.
        case resolver(Int32)
        /// OpenSSL's certificate verification result (X509_V_ERR_...).
        case certificate(Int)
        /// OpenSSL's packed error.
        case tls(UInt)
        /// An HTTP/2 error code; `debugText` is GOAWAY's, as printable text.
        case http2(ErrorCode, debugText: String)
        case timeout(Phase, after: Duration)
    }

    /// What happened, for code that decides by it.
    public var code: Code
    /// What it happened to.
    public var scope: Scope
    /// Who ended it.
    public var initiator: Initiator
    /// What lay below, where something did.
    public var cause: Cause
    /// What happened, in words, without the remedy.
    public var message: String
    /// What to try; empty where nothing sensible can be said.
    public var remedy: String
    /// True only where the server cannot have processed the request (RFC 9113 section 8.7), so that even a request that
    /// is not idempotent may be sent again.
    public var isRetryable: Bool
    /// Why the request was not sent again, where a client's policy would have.
    package var retryRefusal: RetryRefusal?

    /// An error of one's own, for tests and for code that wraps the library.
    public init(
        _ code: Code, scope: Scope = .client, initiator: Initiator = .local, cause: Cause = .none,
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

    // Swift 6.3.1 inlines this across modules in release builds, and crashes on the result (an ownership error) in the
    // package of whoever reads it in a catch clause. Nobody needs it fast.
    /// The HTTP/2 error code, where one was involved.
    @inline(never)
    public var http2Code: ErrorCode? {
        if case .http2(let code, _) = cause { code } else { nil }
    }

    /// The message, then the remedy.
    public var description: String { remedy.isEmpty ? message : "\(message); \(remedy)" }
}

/// strerror's text with the number.
package func describeErrno(_ code: CInt) -> String {
    "\(String(cString: strerror(code))) (errno \(code))"
}

/// What to do about a system that is out of something; empty where that is not known.
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
