import H2Client
import H2Platform

/// The process's exit code. The numbers are curl's, so that scripts written for curl work.
enum ExitReason: Int32, Sendable, CaseIterable {
    case success = 0
    /// A URL's scheme is not fetched here, or not allowed.
    case unsupportedProtocol = 1
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
    /// The checksum of a file is wrong. The number is aria2's, which curl does not use.
    case checksumMismatch = 32
    /// The server did not send the range that -C needs.
    case rangeFailed = 33
    case tlsFailed = 35
    /// The offset of -C does not fit the file.
    case resumeFailed = 36
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
    /// A certificate revocation list cannot be used.
    case revocationFile = 82
    /// No public key of the server's is pinned.
    case pinMismatch = 90
    /// The server's certificate is revoked, or its status is unknown.
    case revoked = 91
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

extension ExitReason {
    /// Why the process ends with this code, for the documents.
    var meaning: String {
        switch self {
        case .success: "Everything was fetched or measured."
        case .unsupportedProtocol: "A URL's scheme is neither http nor https, or --proto does not allow it."
        case .usage: "The command line is invalid."
        case .badURL: "A URL is invalid."
        case .resolveFailed: "A host name was not resolved."
        case .connectFailed: "No connection was established."
        case .http2: "HTTP failed on a connection."
        case .partial: "A connection ended in the middle of a response."
        case .statusRefused: "The server answered 400 or more, and -f was given."
        case .writeFailed: "A body or a result could not be written."
        case .readFailed: "A body to send, a list of URLs or a log could not be read."
        case .timeout: "A time limit was exceeded."
        case .checksumMismatch: "A file does not have the checksum that it should have."
        case .rangeFailed: "The server did not send the range that -C needs."
        case .tlsFailed: "The TLS handshake failed."
        case .resumeFailed: "The offset of -C does not fit the file."
        case .redirectRefused: "A redirect was not followed."
        case .emptyReply: "A connection ended before any response."
        case .sendFailed: "Sending failed."
        case .receiveFailed: "Receiving failed."
        case .clientCertificate: "The client certificate or its key cannot be used."
        case .cipher: "OpenSSL does not know a cipher suite or group."
        case .notVerified: "The server's certificate was not verified."
        case .badEncoding: "A body could not be decoded."
        case .tooBig: "A body exceeds a size limit."
        case .authorityFile: "The file of authorities cannot be used."
        case .revocationFile: "The file of --crlfile cannot be used."
        case .pinMismatch: "No public key of the server is that of --pinnedpubkey."
        case .revoked: "The server's certificate is revoked, or its status is unknown."
        case .stream: "A stream failed, or requests of a measurement did."
        case .proxyFailed: "A proxy refused the connection."
        case .conditionFailed: "A condition of --fail-if holds."
        case .hungUp: "The terminal was closed (SIGHUP)."
        case .interrupted: "Interrupted by Ctrl-C (SIGINT)."
        case .terminated: "Ended by SIGTERM."
        }
    }
}

/// The phase in which a transfer failed, since an error means different things before and after the response's head.
enum TransferPhase: Sendable {
    /// Connecting, or waiting for the head.
    case request
    /// Receiving the body, after the head.
    case response
}

extension ExitReason {
    /// How transfers with this code failed, in a few words.
    var cause: String {
        switch self {
        case .success: "done"
        case .unsupportedProtocol: "with another scheme"
        case .usage: "invalid"
        case .badURL: "with an invalid URL"
        case .resolveFailed: "not resolved"
        case .connectFailed: "not connected"
        case .http2: "by HTTP"
        case .partial: "cut short"
        case .statusRefused: "with status 400 or more"
        case .writeFailed: "not written"
        case .readFailed: "not read"
        case .timeout: "timed out"
        case .checksumMismatch: "with a wrong checksum"
        case .rangeFailed: "without the range"
        case .tlsFailed: "by TLS"
        case .resumeFailed: "not continued"
        case .redirectRefused: "with a refused redirect"
        case .emptyReply: "without a response"
        case .sendFailed: "not sent"
        case .receiveFailed: "not received"
        case .clientCertificate: "by the client certificate"
        case .cipher: "by the cipher suites"
        case .notVerified: "not verified"
        case .badEncoding: "not decoded"
        case .tooBig: "too big"
        case .authorityFile: "by the authorities"
        case .revocationFile: "by the revocation list"
        case .pinMismatch: "not pinned"
        case .revoked: "with a revoked certificate"
        case .stream: "reset"
        case .proxyFailed: "by the proxy"
        case .conditionFailed: "by a condition"
        case .hungUp, .interrupted, .terminated: "interrupted"
        }
    }

    init(_ error: H2Error, during phase: TransferPhase) {
        self =
            switch error.code {
            case .invalidURL: .badURL
            case .invalidRequest, .invalidConfiguration: .usage
            case .resolveFailed: .resolveFailed
            case .connectFailed: .connectFailed
            case .tlsFailed: .tlsFailed
            case .certificateRejected: ExitReason(rejectedBy: error)
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
            case .digestMismatch: .checksumMismatch
            case .unexpectedResponse: .statusRefused
            }
    }

    private init(rejectedBy error: H2Error) {
        guard case .certificate(let fault) = error.cause else {
            self = .notVerified
            return
        }
        switch fault.kind {
        case .pinMismatch: self = .pinMismatch
        case .revoked, .unknownRevocation: self = .revoked
        default: self = .notVerified
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
        if let code = error.http2Code, !message.containsBytes(of: code.name) { message += " (error \(code))" }
        if case .http2(_, let debugText) = error.cause, !debugText.isEmpty, !message.containsBytes(of: debugText) {
            message += ", server says \"\(debugText)\""
        }
        let remedy = remedy ?? Failure.remedy(for: error)
        if !remedy.isEmpty { message += "; \(remedy)" }
    }

    /// Advice on what to try: one of our options if one helps, otherwise the library's advice.
    static func remedy(for error: H2Error) -> String {
        switch (error.code, error.cause) {
        // Trusting another CA would not help.
        case (.certificateRejected, .certificate(let fault)) where fault.kind == .wrongHost:
            "it is for another name: use that in the URL, with --connect-to HOST:PORT:HOST:PORT if it leads elsewhere"
        case (.certificateRejected, .certificate(let fault)) where fault.kind == .expired || fault.kind == .notYetValid:
            "renew it, or accept any certificate with -k"
        case (.certificateRejected, .certificate(let fault)) where fault.kind == .pinMismatch:
            "if the server's key has changed rightly, pin the new one with --pinnedpubkey"
        case (.certificateRejected, .certificate(let fault))
        where fault.kind == .revoked || fault.kind == .unknownRevocation: error.remedy
        case (.redirectRefused, _) where error.message.firstRange(ofASCII: "once more, after ") != nil:
            "allow more with --max-redirs N"
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
        case (.limitExceeded, _) where error.message.containsBytes(of: "informational responses"):
            "allow more with --informational-max and --informational-per-second"
        case (.localIO, .errno(ENOSPC)): "free some space, or choose another place with --output-dir"
        // Leave out advice that only a program can follow.
        default:
            ["ConnectionConfiguration.", "HTTPClient."].contains(where: error.remedy.containsBytes) ? "" : error.remedy
        }
    }

    /// An invalid command line.
    static func usage(_ message: String) -> Failure { Failure(.usage, message) }
}
