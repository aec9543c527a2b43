import H2Client
import H2Measure

/// The meaning of `h2get compare`'s options, checked as a whole before anything is sent.
struct CompareSettings: MeasureSettings {
    /// One plan for each time of --rtt, differing only in the distance.
    let plans: [ComparePlan]
    let files: ResultFiles
    let isSilent: Bool
    let isVerbose: Bool

    init(_ command: CompareCommand) throws {
        let name = "h2get compare"
        let urls = try MeasuredURLs.byScheme(patterns: command.urls, command: name)
        guard command.field.fields.count(where: { $0 == "@-" }) <= 1 else {
            throw Failure.usage("two -H @- both read stdin; keep one")
        }
        // TLS settings apply to https:// URLs, if there are any.
        let measured = urls.first { $0.origin.scheme == .https } ?? urls[0]
        guard urls.count == 1 || command.connection.connectTo == nil else {
            throw Failure.usage(
                "--connect-to leads all connections to one address; with https:// and http:// leave it out")
        }
        var plan = ComparePlan(
            targets: try urls.map {
                ComparePlan.Target(origin: $0.origin, requests: try $0.requests(fields: command.field.fields))
            })
        plan.configuration = try MeasuredConnection(origin: measured.origin).configuration(
            command.connection, command.tls)
        plan.requests = command.work.requests
        plan.connections = command.work.connections
        plan.streams = command.work.streams
        plan.rounds = command.work.rounds
        // The results contain the seed, so that a run can be repeated.
        plan.seed = command.work.seed ?? UInt64.random(in: 1...UInt64(UInt32.max))
        plans = (command.distance.roundTrips ?? [0]).map { roundTrip in
            var plan = plan
            plan.conditions = LinkConditions(roundTrip: roundTrip, loss: command.distance.loss ?? 0)
            return plan
        }
        isSilent = command.messages.silent
        isVerbose = command.messages.verbose
        guard !(isSilent && isVerbose) else { throw Failure.usage("-s and -v cannot be combined") }
        files = try ResultFiles([
            (.json, command.output.json), (.html, command.output.html), (.markdown, command.output.markdown),
            (.svg, command.output.svg),
        ])
    }
}
