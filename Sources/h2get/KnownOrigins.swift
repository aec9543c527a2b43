import H2Client

/// What a run has learned of its origins: one that is dead must not cost a time limit for each of its URLs.
///
/// Belongs to one actor.
final class KnownOrigins {
    private struct Record {
        var hasServed = false
        /// Transfers in a row that got no response since their connection ended.
        var unserved = 0
        /// Why the origin is given up.
        var failure: H2Error?
    }

    /// So many transfers in a row without a response, and the origin is given up.
    private let unservedLimit: Int
    private var records: [Origin: Record] = [:]

    /// - Parameter atOnce: transfers at once, which all fail if one connection ends.
    init(atOnce: Int) { unservedLimit = 3 * atOnce }

    /// Why nothing more is asked of the origin; nil where something is.
    func failure(of origin: Origin) -> H2Error? { records[origin]?.failure }

    func hasServed(_ origin: Origin) -> Bool { records[origin]?.hasServed ?? false }

    /// A response has come.
    func served(_ origin: Origin) {
        guard records[origin].map({ !$0.hasServed || $0.unserved > 0 }) ?? true else { return }
        records[origin, default: Record()].hasServed = true
        records[origin]?.unserved = 0
    }

    /// A request failed, after all its attempts.
    /// - Parameter isConnected: whether the origin has, or had, a connection.
    func failed(_ origin: Origin, _ error: H2Error, isConnected: Bool) {
        if error.isFailureToConnect || !isConnected {
            records[origin, default: Record()].failure = error
            return
        }
        guard error.scope == .connection else { return }
        records[origin, default: Record()].unserved += 1
        guard records[origin]?.unserved == unservedLimit else { return }
        records[origin]?.failure = H2Error(
            .connectionClosed, scope: .connection, initiator: .remote,
            message: "\(origin) ended its connections without serving any of \(unservedLimit) requests",
            remedy: "look at the server's log, or at -vv")
    }
}

extension H2Error {
    /// Whether it is about a connection that never came to be.
    var isFailureToConnect: Bool {
        switch (code, cause) {
        case (.resolveFailed, _), (.connectFailed, _), (.certificateRejected, _), (.tlsConfiguration, _),
            (.http2NotNegotiated, _), (.tlsFailed, _), (.timeout, .timeout(.resolve, _)),
            (.timeout, .timeout(.connect, _)), (.timeout, .timeout(.tls, _)):
            true
        default: false
        }
    }
}
