import H2Client

/// The origins of a run: which of them answer, and which are down.
///
/// An unreachable origin must not cost a time limit for each of its URLs, and one that restarts must not lose them.
///
/// 1. An origin that never served is given up after the first failure to connect (after --retry, if given), or
///    when it keeps ending its connections without serving anything.
/// 2. All transfers wait for an origin that has served. It is given up after it was away for `patience`, not counting
///    the time in which no transfer tried to reach it.
///
/// Confined to one actor.
final class KnownOrigins {
    /// How long an origin that has served may be away.
    static let patience = Duration.seconds(30)
    /// Pauses between attempts to reach an origin: doubled each time, from the lower bound up to the upper bound.
    private static let pauses = Duration.milliseconds(100)...Duration.seconds(1)

    private final class Record {
        var hasServed = false
        /// Consecutive transfers that got no response because their connection ended.
        var unserved = 0
        /// When an origin that has served stopped responding, moved later by the time in which no transfer tried it.
        var awaySince: ContinuousClock.Instant?
        /// Transfers that use the origin, or wait to retry.
        var asking = 0
        /// When the last of them ended.
        var askedUntil: ContinuousClock.Instant?
        /// Why the origin is given up.
        var failure: H2Error?
    }

    /// The number of consecutive transfers without a response after which an origin that never served is given up.
    private let unservedLimit: Int
    private let now: () -> ContinuousClock.Instant
    private var records: [Origin: Record] = [:]
    /// The record that was asked for last, which most transfers ask for again.
    private var last: (origin: Origin, record: Record)?

    /// - Parameter atOnce: the number of concurrent transfers, which all fail if one connection ends.
    init(atOnce: Int, now: @escaping () -> ContinuousClock.Instant = { ContinuousClock.now }) {
        unservedLimit = 3 * atOnce
        self.now = now
    }

    private func record(_ origin: Origin) -> Record? {
        if let last, last.origin == origin { return last.record }
        guard let record = records[origin] else { return nil }
        last = (origin, record)
        return record
    }

    private func recordOrNew(_ origin: Origin) -> Record {
        if let record = record(origin) { return record }
        let record = Record()
        records[origin] = record
        return record
    }

    /// Why the origin is given up, or nil if it is not.
    func failure(of origin: Origin) -> H2Error? { record(origin)?.failure }

    func hasServed(_ origin: Origin) -> Bool { record(origin)?.hasServed ?? false }

    /// Records that a transfer starts to use the origin. `ended` must follow.
    func began(_ origin: Origin) {
        let record = recordOrNew(origin)
        if record.asking == 0, let away = record.awaySince, let until = record.askedUntil {
            // It may have been reachable meanwhile.
            record.awaySince = away + (now() - until)
        }
        record.asking += 1
    }

    /// Records that a transfer ended, successfully or not.
    func ended(_ origin: Origin) {
        guard let record = record(origin) else { return }
        record.asking -= 1
        if record.asking == 0 { record.askedUntil = now() }
    }

    /// Records a response from the origin.
    func served(_ origin: Origin) {
        let record = recordOrNew(origin)
        guard !record.hasServed || record.unserved > 0 || record.awaySince != nil else { return }
        record.hasServed = true
        record.unserved = 0
        record.awaySince = nil
    }

    /// The wait before a transfer that could not reach the origin retries, or nil if a retry makes no sense.
    /// - Parameter attempts: the transfer's attempts so far.
    func pause(before origin: Origin, after error: H2Error, attempts: Int) -> Duration? {
        guard error.mayPass, let record = record(origin), record.hasServed, record.failure == nil else { return nil }
        guard isPatient(origin) else { return nil }
        return min(Self.pauses.lowerBound * (1 << min(attempts - 1, 10)), Self.pauses.upperBound)
    }

    /// The wait before a transfer begins, so that an origin that ends its connections while it restarts does not use up
    /// all remaining URLs.
    func pause(before origin: Origin) -> Duration {
        guard let record = record(origin), record.awaySince != nil, record.unserved > 0 else { return .zero }
        return .milliseconds(250)
    }

    /// Records a request that failed after all its attempts.
    /// - Parameter isConnected: whether the origin has, or had, a connection.
    func failed(_ origin: Origin, _ error: H2Error, isConnected: Bool) {
        let isUnreachable = error.isFailureToConnect || !isConnected
        guard isUnreachable || error.scope == .connection else { return }
        if hasServed(origin), error.mayPass || !isUnreachable {
            if !isUnreachable { record(origin)?.unserved += 1 }
            if !isPatient(origin) { record(origin)?.failure = error }
            return
        }
        guard !isUnreachable else {
            recordOrNew(origin).failure = error
            return
        }
        recordOrNew(origin).unserved += 1
        guard record(origin)?.unserved == unservedLimit else { return }
        record(origin)?.failure = H2Error(
            .connectionClosed, scope: .connection, initiator: .remote,
            message: "\(origin) ended its connections without serving any of \(unservedLimit) requests",
            remedy: "look at the server's log, or at -vv")
    }

    /// Whether to keep waiting for an origin that has served but fails now.
    private func isPatient(_ origin: Origin) -> Bool {
        let now = now()
        guard let since = record(origin)?.awaySince else {
            record(origin)?.awaySince = now
            return true
        }
        return now - since < Self.patience
    }
}

extension H2Error {
    /// Whether no connection could be established.
    var isFailureToConnect: Bool {
        switch (code, cause) {
        case (.resolveFailed, _), (.connectFailed, _), (.certificateRejected, _), (.tlsConfiguration, _),
            (.http2NotNegotiated, _), (.tlsFailed, _), (.timeout, .timeout(.resolve, _)),
            (.timeout, .timeout(.connect, _)), (.timeout, .timeout(.tls, _)):
            true
        default: false
        }
    }

    /// Whether a connection that could not be established may succeed later.
    var mayPass: Bool {
        switch code {
        case .certificateRejected, .tlsConfiguration, .http2NotNegotiated: false
        default: isFailureToConnect
        }
    }
}
