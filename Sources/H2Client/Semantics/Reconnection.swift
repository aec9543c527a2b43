/// Decides when a client of server-sent events connects again. Times are nanoseconds.
struct Reconnection: Sendable {
    /// The wait after a connection that ended normally.
    var time: Duration
    private let longest: UInt64
    private let maximumFailures: Int?
    /// Connections in a row without a response.
    private var failures = 0
    /// Connections in a row that failed, or ended soon without an event.
    private var fruitless = 0
    private var hasReceived = false

    /// A server that asks for no wait and sends nothing must not be asked again and again.
    private static let shortestBackoff: UInt64 = 100_000_000

    init(_ settings: ServerSentEvents.Settings) {
        time = settings.reconnectionTime
        longest = settings.maximumReconnectionTime.clampedNanoseconds
        maximumFailures = settings.maximumFailures
    }

    /// A response arrived.
    mutating func answered() {
        failures = 0
        hasReceived = false
    }

    /// An event arrived.
    mutating func received() {
        hasReceived = true
        fruitless = 0
    }

    /// The wait after a connection that lasted this long.
    mutating func waitAfterEnd(lasted: UInt64) -> UInt64 {
        var random = SystemRandomNumberGenerator()
        return waitAfterEnd(lasted: lasted, using: &random)
    }

    mutating func waitAfterEnd(lasted: UInt64, using random: inout some RandomNumberGenerator) -> UInt64 {
        // A connection that was merely quiet is not a reason to wait longer.
        fruitless = hasReceived || lasted >= longest ? 0 : fruitless + 1
        return wait(&random, doublings: max(fruitless - 1, 0))
    }

    /// The wait after a connection that failed; nil if too many have failed.
    mutating func waitAfterFailure() -> UInt64? {
        var random = SystemRandomNumberGenerator()
        return waitAfterFailure(using: &random)
    }

    mutating func waitAfterFailure(using random: inout some RandomNumberGenerator) -> UInt64? {
        failures += 1
        fruitless += 1
        if let maximumFailures, failures >= maximumFailures { return nil }
        return wait(&random, doublings: fruitless - 1)
    }

    /// At least as long as the server asks for.
    private func wait(_ random: inout some RandomNumberGenerator, doublings: Int) -> UInt64 {
        let base = time.clampedNanoseconds
        var wait = base
        if fruitless > 0 {
            let (product, isOverflow) = max(base, Self.shortestBackoff).multipliedReportingOverflow(
                by: 1 << UInt64(min(doublings, 62)))
            wait = max(base, min(isOverflow ? .max : product, longest))
        }
        return wait.saturatingSum(UInt64.random(in: 0...wait / 4, using: &random))
    }

    /// Whether another connection might succeed.
    static func mayHelp(_ error: any Error) -> Bool {
        guard let error = error as? H2Error else { return false }
        if case .timeout(.wholeRequest, _) = error.cause { return false }
        return switch error.code {
        case .resolveFailed, .connectFailed, .streamReset, .notProcessed, .connectionClosed, .connectionDraining,
            .timeout, .proxyFailed, .tlsFailed:
            true
        case .invalidURL, .invalidRequest, .invalidConfiguration, .certificateRejected, .tlsConfiguration,
            .http2NotNegotiated, .protocolViolation, .clientShutDown, .limitExceeded, .bodyTooLarge, .localIO,
            .redirectRefused, .contentCodingFailed, .addressRefused, .digestMismatch, .unexpectedResponse:
            false
        }
    }
}
