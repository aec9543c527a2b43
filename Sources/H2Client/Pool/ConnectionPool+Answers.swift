import H2Platform
import HTTPTypes

// Learning from responses, and retry accounting.

extension ConnectionPool {
    /// The origin of the request, which with coalescing may differ from the one the connection was opened for. nil if
    /// forgotten. For a request that a proxy forwards, it is known only if `noteTarget` was called; else it is the proxy.
    func origin(of exchange: Exchange) -> Origin? {
        let leased = leasedOrigin(of: exchange)
        return leased == nil ? nil : exchange.options.origin ?? leased
    }

    /// The same, except that for a request that a proxy forwards it is the proxy.
    func leasedOrigin(of exchange: Exchange) -> Origin? {
        let key = exchange.origin
        return lock.withLock {
            guard let entry = originsBySlot[key.slot], entry.key == key else { return nil }
            return entry.origin
        }
    }

    /// Seconds since 1970, for dates in header fields.
    static var wallTime: Int { time(nil) }

    /// Tells the adaptive limit the outcome of an exchange. Called on the loop, before the lease is returned.
    func learn(from exchange: Exchange) {
        guard exchange.submittedAt != 0 else { return }
        var answer = AdaptiveLimit.Answer.neutral
        var pause: UInt64?
        var answeredAt = exchange.firstByteAt
        if exchange.firstByteAt != 0 {
            let field = { exchange.head.firstValue(of: $0) }
            pause = RetryAfter.pause(field, now: Self.wallTime)
            answer =
                exchange.status == 429 || exchange.status == 503
                ? .overloaded(retryAfter: RetryAfter.wait(field, now: Self.wallTime)) : .good
        } else if case .failed(let error as H2Error) = exchange.phase {
            answeredAt = now
            if error.initiator == .remote, error.http2Code == .refusedStream || error.http2Code == .enhanceYourCalm {
                answer = .overloaded(retryAfter: nil)
            }
        }
        let latency = answeredAt > exchange.submittedAt ? answeredAt - exchange.submittedAt : 0
        change { $0.answered(exchange.origin, answer, latency: latency, pause: pause) }
    }

    // MARK: - Retries

    /// Takes a retry from the budget if one is left.
    func takeRetry() -> Bool { lock.withLock { retryBudget.takeRetry(now: now) } }

    /// Nanoseconds to wait before this attempt.
    func backoff(before attempt: Int, _ policy: HTTPClient.RetryPolicy) -> UInt64 {
        var generator: any RandomNumberGenerator = network?.generator ?? SystemRandomNumberGenerator()
        return RetryBackoff.wait(before: attempt, policy, using: &generator)
    }

    func countRetry() { lock.withLock { figures.retries += 1 } }

    /// The server requires HTTP/1.1 for the origin of this request (RFC 9113 section 7, HTTP_1_1_REQUIRED).
    func requireHTTP1(_ exchange: Exchange) { change { $0.requireHTTP1(exchange.origin) } }

    /// The request was lost on a reused HTTP/1.1 connection.
    func suspectReuse(_ exchange: Exchange) { change { $0.suspectReuse(exchange.origin) } }

    /// The server does not serve this request's origin on the shared connection (421).
    func misdirected(_ exchange: Exchange) { change { $0.cannotCoalesce(exchange.origin) } }

    // MARK: - Events of requests

    /// Reports that a request is queued. Returns its number: `known` if it was sent before.
    func queued(_ origin: Origin, as known: Int?) -> Int {
        let number = known ?? nextRequestNumber()
        tell(.requestQueued, origin: origin, request: HTTPClient.RequestID(number: number))
        return number
    }
}
