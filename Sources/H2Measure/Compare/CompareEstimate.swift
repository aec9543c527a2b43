/// About how long a comparison takes, reckoned from the few requests that find out what the server can do.
///
/// A round trip more or less changes it by so many that wait for each other, so that what was seen at one distance tells of
/// others too.
package struct CompareEstimate: Sendable, Equatable {
    /// Of all rounds, at the distance at which it was made.
    package private(set) var seconds = 0.0
    /// Round trips of the simulated distance that are in that.
    private var roundTrips = 0.0
    private var roundTrip = 0.0

    package init() {}

    mutating func add(_ probe: CompareProbe, _ way: CompareWay, _ plan: ComparePlan) {
        // The round that is not counted has at most a hundred requests.
        let rounds = Double(plan.rounds) + Double(plan.warmUpRequests) / Double(max(plan.requests, 1))
        seconds += rounds * probe.seconds(of: way, plan)
        roundTrip = Double(plan.conditions.roundTrip) / 1e9
        // With two for a new connection, and one for each request.
        var counter = CompareProbe()
        (counter.connectSeconds, counter.requestSeconds) = (2, 1)
        var lossless = plan
        lossless.conditions.loss = 0
        roundTrips += rounds * counter.seconds(of: way, lossless)
    }

    /// The same at another distance.
    package func seconds(at conditions: LinkConditions) -> Double {
        max(0, seconds + roundTrips * (Double(conditions.roundTrip) / 1e9 - roundTrip))
    }
}
