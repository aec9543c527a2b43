import H2Client
import H2Platform

/// The process's exit code. The numbers are curl's, so that scripts written for curl work.
enum ExitReason: Int32, Sendable, CaseIterable {
    case success = 0
    /// The command line is invalid.
    case usage = 2
    /// The URL is invalid.
    case badURL = 3
    case resolveFailed = 6
    case connectFailed = 7
    /// HTTP failed on the connection.
    case http2 = 16
    /// The connection ended in the middle of a response.
    case partial = 18
    /// The server answered 400 or more, and -f was given.
    case statusRefused = 22
    /// A body could not be written.
    case writeFailed = 23
    /// A body to send, or a list of URLs, could not be read.
    case readFailed = 26
    case timeout = 28
    case tlsFailed = 35
    /// A redirect was not followed.
    case redirectRefused = 47
    /// The connection ended before any response.
    case emptyReply = 52
    case sendFailed = 55
    case receiveFailed = 56
    case clientCertificate = 58
    /// OpenSSL does not know a cipher suite or a group.
    case cipher = 59
    case notVerified = 60
    /// The body cannot be decoded.
    case badEncoding = 61
    case tooBig = 63
    case authorityFile = 77
    /// One stream failed.
    case stream = 92
    /// A proxy refused the connection.
    case proxyFailed = 97
    /// A --fail-if condition was met.
    case conditionFailed = 99
    /// The terminal was closed (SIGHUP).
    case hungUp = 129
    case interrupted = 130
    case terminated = 143
}

/// The phase in which a transfer failed, since an error means different things before and after the response's head.
enum TransferPhase: Sendable {
    /// Connecting, or waiting for the head.
    case request
    /// Receiving the body, after the head.
    case response
}

extension ExitReason {
    init(_ error: H2Error, during phase: TransferPhase) {
        self =
            switch error.code {
            case .invalidURL: .badURL
            case .invalidRequest, .invalidConfiguration: .usage
            case .resolveFailed: .resolveFailed
            case .connectFailed: .connectFailed
            case .tlsFailed: .tlsFailed
            case .certificateRejected: .notVerified
            case .tlsConfiguration: .authorityFile
            case .http2NotNegotiated, .connectionDraining, .notProcessed, .clientShutDown: .http2
            case .protocolViolation, .limitExceeded: error.scope.isStream ? .stream : .http2
            case .streamReset: .stream
            case .connectionClosed: ExitReason(closedBy: error, during: phase)
            case .timeout: .timeout
            case .bodyTooLarge: .tooBig
            case .localIO: phase == .request ? .readFailed : .writeFailed
            case .redirectRefused: .redirectRefused
            case .contentCodingFailed: .badEncoding
            case .proxyFailed: .proxyFailed
            case .addressRefused: .connectFailed
            case .digestMismatch: .partial
            case .unexpectedResponse: .statusRefused
            }
    }

    /// Classifies an ended connection: an HTTP/2 code is more specific than an errno, and that more than a plain close.
    private init(closedBy error: H2Error, during phase: TransferPhase) {
        if case .http2(let code, _) = error.cause, code != .noError {
            self = .http2
        } else if phase == .response {
            self = .partial
        } else if case .errno = error.cause {
            self = .receiveFailed
        } else {
            self = .emptyReply
        }
    }
}

extension H2Error.Scope {
    var isStream: Bool {
        if case .stream = self { true } else { false }
    }
}

/// Why a transfer or the whole run failed: an exit code for scripts and a sentence for the user.
struct Failure: Error, Sendable, Equatable {
    var status: ExitReason
    /// The cause and the remedy, in one line.
    var message: String

    init(_ status: ExitReason, _ message: String) {
        self.status = status
        self.message = message
    }

    /// - Parameter remedy: what to try, for commands without the options that fetching has.
    init(_ error: H2Error, during phase: TransferPhase, remedy: String? = nil) {
        status = ExitReason(error, during: phase)
        message = error.message
        if let code = error.http2Code, !message.contains(code.name) { message += " (error \(code))" }
        if case .http2(_, let debugText) = error.cause, !debugText.isEmpty, !message.contains(debugText) {
            message += ", server says \"\(debugText)\""
        }
        let remedy = remedy ?? Failure.remedy(for: error)
        if !remedy.isEmpty { message += "; \(remedy)" }
    }

    /// What to try: one of our options if one helps, otherwise the library's advice.
    static func remedy(for error: H2Error) -> String {
        switch (error.code, error.cause) {
        // Trusting another CA would not help.
        case (.certificateRejected, .certificate(let fault)) where fault.kind == .wrongHost:
            "it is for another name: use that in the URL, with --connect-to HOST:PORT:HOST:PORT if it leads elsewhere"
        case (.certificateRejected, .certificate(let fault)) where fault.kind == .expired || fault.kind == .notYetValid:
            "renew it, or accept any certificate with -k"
        case (.certificateRejected, _): "name its authority with --cacert FILE, or accept any certificate with -k"
        case (.timeout, .timeout(.resolve, _)), (.timeout, .timeout(.connect, _)), (.timeout, .timeout(.tls, _)):
            "is the server up? allow more time with --connect-timeout or -m"
        case (.timeout, .timeout(.wholeRequest, _)): "allow more time with -m"
        case (.timeout, .timeout(.queued, _)): "allow more time with --queue-timeout"
        case (.timeout, .timeout(.firstByte, _)): "allow more time with --first-byte-timeout"
        case (.timeout, .timeout(.sending, _)), (.timeout, .timeout(.betweenBytes, _)):
            "allow more time with --stall-timeout"
        case (.http2NotNegotiated, _): "use HTTP/1.1: give --http1.1, and leave out --http2-prior-knowledge"
        case (.streamReset, .http2(.refusedStream, _)): "try it again, with a lower --parallel-max"
        case (_, .http2(.enhanceYourCalm, _)) where error.initiator == .remote:
            "the server wants less load: try a lower --parallel-max"
        case (.limitExceeded, _) where error.message.contains("informational responses"):
            "allow more with --informational-max and --informational-per-second"
        case (.localIO, .errno(ENOSPC)): "free some space, or choose another place with --output-dir"
        // Leave out advice that only a program can follow.
        default: ["ConnectionConfiguration.", "HTTPClient."].contains(where: error.remedy.contains) ? "" : error.remedy
        }
    }

    /// An invalid command line.
    static func usage(_ message: String) -> Failure { Failure(.usage, message) }
}
