/// The HTTP versions that a new connection may use.
package enum ProtocolOffer: UInt8, Hashable, Sendable {
    /// Over TLS: ALPN offers `h2` and `http/1.1`.
    case either
    /// Over TLS: ALPN offers only `h2`.
    case http2
    /// Over TLS: ALPN offers only `http/1.1`.
    case http1
    /// Cleartext HTTP/2 by prior knowledge (RFC 9113 section 3.3).
    case priorKnowledge
    /// Cleartext HTTP/1.1.
    case cleartextHTTP1

    /// Offers only one version.
    init(_ version: HTTPProtocolVersion, isSecure: Bool) {
        switch version {
        case .http1: self = isSecure ? .http1 : .cleartextHTTP1
        case .http2: self = isSecure ? .http2 : .priorKnowledge
        }
    }

    /// The offer over TLS of `h2`, `http/1.1` or both.
    package init(alpn names: [String]) {
        self = !names.contains("http/1.1") ? .http2 : names.contains("h2") ? .either : .http1
    }

    /// The ALPN names, the preferred first; empty in cleartext.
    var protocols: [String] {
        switch self {
        case .either: ["h2", "http/1.1"]
        case .http2: ["h2"]
        case .http1: ["http/1.1"]
        case .priorKnowledge, .cleartextHTTP1: []
        }
    }

    /// Whether it can only result in HTTP/1.1.
    var isHTTP1: Bool { self == .http1 || self == .cleartextHTTP1 }

    /// The negotiated version. This is the only place where ALPN decides.
    /// - Throws: `H2Error` (`http2NotNegotiated`) if the server chose no protocol that we speak.
    func version(_ choice: ProtocolChoice, of origin: Origin) throws(H2Error) -> HTTPProtocolVersion {
        let what: String
        switch (self, choice) {
        case (.priorKnowledge, _), (_, .chosen("h2")): return .http2
        case (.cleartextHTTP1, _), (_, .chosen("http/1.1")), (.either, .nothing), (.http1, .nothing): return .http1
        case (_, .nothing), (_, .cleartext): what = "chose no protocol (no ALPN)"
        case (_, .chosen(let name)), (_, .unoffered(let name)): what = "chose '\(name)'"
        }
        throw H2Error(
            .http2NotNegotiated, scope: .connection, initiator: .remote,
            message: "\(origin) does not speak HTTP/2: it \(what)",
            remedy: "enable h2 on the server, or allow HTTP/1.1")
    }
}
