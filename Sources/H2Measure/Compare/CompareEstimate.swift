/// An estimate of a comparison's duration, from the few requests that find out what the server supports.
///
/// It changes with the simulated distance in proportion to the number of consecutive round trips, so an estimate for one
/// distance gives those for others.
/// others too.
package struct CompareEstimate: Sendable, Equatable {
    /// For all rounds, at the distance at which it was made.
    package private(set) var seconds = 0.0
    /// The number of round trips of the simulated distance in it.
    private var roundTrips = 0.0
    private var roundTrip = 0.0

    package init() {}

    mutating func add(_ probe: CompareProbe, _ way: CompareWay, _ plan: ComparePlan) {
        // The uncounted round has at most a hundred requests.
        let rounds = Double(plan.rounds) + Double(plan.warmUpRequests) / Double(max(plan.requests, 1))
        seconds += rounds * probe.seconds(of: way, plan)
        roundTrip = Double(plan.conditions.roundTrip) / 1e9
        // Two for a new connection, and one for each request.
        var counter = CompareProbe()
        (counter.connectSeconds, counter.requestSeconds) = (2, 1)
        var lossless = plan
        lossless.conditions.loss = 0
        roundTrips += rounds * counter.seconds(of: way, lossless)
    }

    /// The estimate for another distance.
    package func seconds(at conditions: LinkConditions) -> Double {
        max(0, seconds + roundTrips * (Double(conditions.roundTrip) / 1e9 - roundTrip))
    }
}
