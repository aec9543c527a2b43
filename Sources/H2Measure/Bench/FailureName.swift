internal import H2Client

/// Names of failures that are not errors of the library.
enum FailureName {
    /// A request whose connection was ended because it was silent.
    static let silence = "no byte came in time (-N)"
}

extension H2Error {
    /// A short name under which similar errors are counted together: no stream numbers, no addresses.
    var kind: String {
        switch (code, cause) {
        case (.streamReset, .http2(let code, _)):
            "stream reset by the \(initiator == .remote ? "server" : "client"): \(code.name)"
        case (.notProcessed, .http2(let code, _)): "not processed: GOAWAY \(code.name)"
        case (.connectionClosed, .http2(let code, _)): "connection ended: GOAWAY \(code.name)"
        case (.connectionClosed, .errno(let code)) where code != 0: "connection ended: \(describeErrno(code))"
        case (.connectionClosed, _): initiator == .remote ? "connection closed by the server" : "connection closed"
        case (.timeout, .timeout(let phase, _)): "timeout: \(phase)"
        case (.connectFailed, .errno(let code)): "cannot connect: \(describeErrno(code))"
        // OpenSSL reports an end without an alert as an error of its own.
        case (.tlsFailed, .errno(0)),
            (.tlsFailed, .tls) where isUnexpectedEnd:
            "connection closed by the server in the TLS handshake"
        case (.tlsFailed, .errno(let code)): "TLS handshake failed: \(describeErrno(code))"
        case (.tlsFailed, _): "TLS handshake failed"
        case (.protocolViolation, _): "the server broke the protocol"
        default: Self.spaced(code.rawValue)
        }
    }

    private var isUnexpectedEnd: Bool {
        if case .errno = cause { true } else { message.hasSuffix("unexpected eof while reading") }
    }

    /// `connectFailed` as "connect failed".
    private static func spaced(_ name: String) -> String {
        name.reduce(into: "") { text, letter in
            if letter.isUppercase { text += " " }
            text += letter.lowercased()
        }
    }
}
