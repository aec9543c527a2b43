import H2Client

/// A run's knowledge of its origins: one that is dead must not cost a time limit for each of its URLs, and one that
/// restarts must not lose them.
///
/// 1. An origin that never served is given up with the first failure to connect (after --retry, if that is given), or
///    when it ends its connections without serving anything.
/// 2. One that has served is waited for, by all the transfers that want it, and given up when it was away for `patience`,
///    not counting the time in which nobody asked it.
///
/// Belongs to one actor.
final class KnownOrigins {
    /// How long an origin that has served may be away.
    static let patience = Duration.seconds(30)
    /// Between two attempts to reach it: doubled from the first to the second.
    private static let pauses = Duration.milliseconds(100)...Duration.seconds(1)

    private struct Record {
        var hasServed = false
        /// Transfers in a row that got no response since their connection ended.
        var unserved = 0
        /// Of one that has served: since when nothing comes of it. Later by each time in which nobody asked.
        var awaySince: ContinuousClock.Instant?
        /// Transfers that ask it, or wait to do so again.
        var asking = 0
        /// When the last of them ended.
        var askedUntil: ContinuousClock.Instant?
        /// Why the origin is given up.
        var failure: H2Error?
    }

    /// So many transfers in a row without a response, and an origin that never served is given up.
    private let unservedLimit: Int
    private let now: () -> ContinuousClock.Instant
    private var records: [Origin: Record] = [:]

    /// - Parameter atOnce: transfers at once, which all fail if one connection ends.
    init(atOnce: Int, now: @escaping () -> ContinuousClock.Instant = { ContinuousClock.now }) {
        unservedLimit = 3 * atOnce
        self.now = now
    }

    /// Why nothing more is asked of the origin; nil where something is.
    func failure(of origin: Origin) -> H2Error? { records[origin]?.failure }

    func hasServed(_ origin: Origin) -> Bool { records[origin]?.hasServed ?? false }

    /// A transfer asks the origin from now on. `ended` must follow.
    func began(_ origin: Origin) {
        if let record = records[origin], record.asking == 0, let away = record.awaySince, let until = record.askedUntil
        {
            // It may have been there all the while.
            records[origin]?.awaySince = away + (now() - until)
        }
        records[origin, default: Record()].asking += 1
    }

    /// The transfer asks no more, whatever came of it.
    func ended(_ origin: Origin) {
        records[origin]?.asking -= 1
        if records[origin]?.asking == 0 { records[origin]?.askedUntil = now() }
    }

    /// A response has come.
    func served(_ origin: Origin) {
        guard records[origin].map({ !$0.hasServed || $0.unserved > 0 || $0.awaySince != nil }) ?? true else { return }
        records[origin, default: Record()].hasServed = true
        records[origin]?.unserved = 0
        records[origin]?.awaySince = nil
    }

    /// How long to wait before the origin is asked once more by a transfer that could not reach it; nil where that makes no
    /// sense.
    /// - Parameter attempts: of this transfer, so far.
    func pause(before origin: Origin, after error: H2Error, attempts: Int) -> Duration? {
        guard error.mayPass, let record = records[origin], record.hasServed, record.failure == nil else { return nil }
        guard isPatient(origin) else { return nil }
        return min(Self.pauses.lowerBound * (1 << min(attempts - 1, 10)), Self.pauses.upperBound)
    }

    /// How long a transfer waits before it begins: one that ends its connections must not be offered all that is left
    /// while it restarts.
    func pause(before origin: Origin) -> Duration {
        guard let record = records[origin], record.awaySince != nil, record.unserved > 0 else { return .zero }
        return .milliseconds(250)
    }

    /// A request failed, after all its attempts.
    /// - Parameter isConnected: whether the origin has, or had, a connection.
    func failed(_ origin: Origin, _ error: H2Error, isConnected: Bool) {
        let isUnreachable = error.isFailureToConnect || !isConnected
        guard isUnreachable || error.scope == .connection else { return }
        if hasServed(origin), error.mayPass || !isUnreachable {
            if !isUnreachable { records[origin]?.unserved += 1 }
            if !isPatient(origin) { records[origin]?.failure = error }
            return
        }
        guard !isUnreachable else {
            records[origin, default: Record()].failure = error
            return
        }
        records[origin, default: Record()].unserved += 1
        guard records[origin]?.unserved == unservedLimit else { return }
        records[origin]?.failure = H2Error(
            .connectionClosed, scope: .connection, initiator: .remote,
            message: "\(origin) ended its connections without serving any of \(unservedLimit) requests",
            remedy: "look at the server's log, or at -vv")
    }

    /// Whether an origin that has served, and fails now, is waited for still.
    private func isPatient(_ origin: Origin) -> Bool {
        let now = now()
        guard let since = records[origin]?.awaySince else {
            records[origin]?.awaySince = now
            return true
        }
        return now - since < Self.patience
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

    /// Whether a connection that never came to be may come to be later, as far as the error tells.
    var mayPass: Bool {
        switch code {
        case .certificateRejected, .tlsConfiguration, .http2NotNegotiated: false
        default: isFailureToConnect
        }
    }
}
