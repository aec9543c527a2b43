import H2TestSupport
import HTTPTypes

@testable import H2Client

// What may become of a request, and what may be sent twice.

extension ClientSimulation {
    /// Whether a request may end so.
    func judge(_ error: any Error, _ plan: ClientPlan) {
        func say(_ holds: Bool, _ what: String) {
            if !holds { problems.append("request \(plan.index) \(what): \(error); \(plan)") }
        }
        guard let error = error as? H2Error else {
            return say(error is CancellationError && plan.cancelAfter != nil, "was not cancelled")
        }
        if hasBegunToShutDown { return }
        let limits = configuration.pool
        switch error.code {
        case .timeout: say(plan.hasTimeLimit || !isCalm, "has no time limit")
        case .clientShutDown: say(false, "came before the shutdown")
        case .limitExceeded:
            say(limits.whenSaturated == .fail || limits.waitingRequests < 100, "came to no limit")
        case .http2NotNegotiated: say(!mayBeReached(plan.origin) || !isCalm, "found no HTTP/2")
        case .connectFailed: say(!isCalm, "was not connected")
        case .connectionDraining:
            // A lent connection is the caller's business.
            say(!isCalm || plan.lent != nil, "failed for no reason")
        case .streamReset, .notProcessed, .connectionClosed:
            let answersEndConnections = plan.lent != nil
            say(!isCalm || answersEndConnections, "failed for no reason")
        default: say(false, "failed with what nobody did")
        }
    }

    /// Whether what came to servers more than once might.
    func checkLog() {
        for (id, arrivals) in network.arrivals {
            guard let index = id.split(separator: ".").first.flatMap({ Int($0) }) else { continue }
            let plan = network.plans[index]
            for (earlier, later) in zip(arrivals, arrivals.dropFirst()) {
                if let breach = breach(plan, earlier) {
                    problems.append(
                        "request \(id) came again on connection \(later.endpoint.number), though on "
                            + "\(earlier.endpoint.number) \(breach): \(plan)")
                }
            }
            let processed = arrivals.count { $0.fate != .unprocessed }
            if !RetryDecision.isIdempotent(plan.method), processed > 1 {
                problems.append("request \(id) was processed \(processed) times: \(plan)")
            }
            if !plan.isReplayable, arrivals.count > 1 {
                problems.append("request \(id) has a body for one time: \(plan)")
            }
            if arrivals.count > configuration.retry.maximumAttempts + RetryDecision.replayLimit + 2 {
                problems.append("request \(id) came \(arrivals.count) times")
            }
        }
    }

    /// Why an attempt must not be followed by another.
    private func breach(_ plan: ClientPlan, _ arrival: FaultyNetwork.Arrival) -> String? {
        let policy = configuration.retry
        // Another copy may be sent at any time.
        if configuration.requestOptions.hedging != nil, plan.lent == nil, plan.isReplayable,
            RetryDecision.isIdempotent(plan.method)
        {
            return nil
        }
        if policy.maximumAttempts <= 1 { return "nothing is sent again" }
        if plan.lent != nil { return "it was lent" }
        switch arrival.fate {
        case .unprocessed: return nil
        case .reset where !arrival.endpoint.isBroken: return "it was reset"
        case .answered(let status)
        where policy.statuses.contains(HTTPResponse.Status(code: status)) && RetryDecision.isIdempotent(plan.method):
            return nil
        // A connection that breaks off may take the answer with it.
        case .answered(let status) where !arrival.endpoint.isBroken: return "it was answered \(status)"
        case .underWay, .answered, .reset:
            if !policy.retriesIdempotent || !RetryDecision.isIdempotent(plan.method) { return "it may be processed" }
            if !arrival.endpoint.hasEnded, !arrival.endpoint.requiresHTTP1 { return "the connection stays" }
            return arrival.endpoint.hasServed || arrival.endpoint.requiresHTTP1 ? nil : "the connection was new"
        }
    }
}
