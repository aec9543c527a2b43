/// Time limits for each request of a connection that does not set its own, checked periodically.
///
/// They cost a request nothing: a connection examines its open streams when a request has been open for 50 ms, and from
/// then on once per `period`. So requests are ended late, by up to that period and those 50 ms.
struct DefaultLimits: Sendable {
    let firstByte: Duration?
    let sending: Duration?
    let betweenBytes: Duration?
    /// Nanoseconds between two checks.
    let period: UInt64

    /// Shorter limits are enforced precisely, by timers for each request.
    private static let shortest = Duration.seconds(10)

    /// Splits a client's options into its limits and the rest, which applies to each request. nil if all limits must be
    /// enforced precisely.
    init?(takenFrom options: inout RequestOptions) {
        let limits = [options.firstByteTimeout, options.sendTimeout, options.bodyProgressTimeout].compactMap { $0 }
        guard let shortest = limits.min(), shortest >= Self.shortest else { return nil }
        firstByte = options.firstByteTimeout
        sending = options.sendTimeout
        betweenBytes = options.bodyProgressTimeout
        period = shortest.clampedNanoseconds / 20
        options.removeLimits()
    }
}

extension Exchange {
    /// The state of a request at the last check of its `DefaultLimits`.
    struct LastCheck {
        var bytesSent = -1
        /// When sending last made progress.
        var quietSince: UInt64 = 0
    }

    /// Fails the request if it has exceeded a limit that its options do not set.
    func check(_ limits: DefaultLimits) {
        let now = connection.loop.now
        let isSending = isSending(since: &lastCheck.bytesSent)
        if isSending { lastCheck.quietSince = now }
        func expire(_ phase: H2Error.Phase, _ limit: Duration?, _ own: Duration?, since: UInt64) {
            guard own == nil, let limit, now > since, now - since >= limit.clampedNanoseconds else { return }
            fail(H2Error.timeout(phase, limit, stream: id))
        }
        if !isOutgoingDone {
            return expire(.sending, limits.sending, options.sendTimeout, since: lastCheck.quietSince)
        }
        switch (phase, waiter) {
        case (.awaitingHead, _):
            expire(
                .firstByte, limits.firstByte, options.firstByteTimeout, since: max(sentAt, lastCheck.quietSince))
        case (.body, .chunk), (.body, .all), (.body, .end):
            expire(
                .betweenBytes, limits.betweenBytes, options.bodyProgressTimeout,
                since: max(timers.progressAt, lastCheck.quietSince))
        default: break
        }
    }
}
