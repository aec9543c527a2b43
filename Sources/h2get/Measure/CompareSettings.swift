import H2Client
import H2Measure

/// The meaning of `h2get compare`'s options, checked as a whole before anything is sent.
struct CompareSettings: MeasureSettings {
    /// One plan for each time of --rtt, differing only in the distance.
    let plans: [ComparePlan]
    let files: ResultFiles
    let isSilent: Bool
    let isVerbose: Bool
    let context: ReportContext

    init(_ arguments: Arguments) throws {
        let urls = try MeasuredURLs.byScheme(patterns: arguments.operands, command: arguments.command)
        let fields = try arguments.measuredFields
        // TLS settings apply to https:// URLs, if there are any.
        let measured = urls.first { $0.origin.scheme == .https } ?? urls[0]
        guard urls.count == 1 || !arguments.isGiven(.connectTo) else {
            throw Failure.usage(
                "--connect-to leads all connections to one address; with https:// and http:// leave it out")
        }
        var plan = ComparePlan(
            targets: try urls.map {
                ComparePlan.Target(origin: $0.origin, requests: try $0.requests(fields: fields))
            })
        plan.configuration = try MeasuredConnection(origin: measured.origin).configuration(arguments)
        plan.requests = try arguments.value(.requests, Quantity.count(in: 1...1_000_000)) ?? 100
        plan.connections = try arguments.value(.clients, Quantity.count(in: 2...10_000)) ?? 6
        plan.streams = try arguments.value(.streams, Quantity.count(in: 1...100_000)) ?? 100
        plan.rounds = try arguments.value(.rounds, Quantity.count(in: 1...1_000)) ?? 5
        // The results contain the seed, so that a run can be repeated.
        let seed = try arguments.value(.seed) { text in
            guard let seed = UInt64(text) else { throw BadValue("write the whole number that an earlier run shows") }
            return seed
        }
        plan.seed = seed ?? UInt64.random(in: 1...UInt64(UInt32.max))
        let loss = try arguments.value(.loss) { try OptionValue.loss($0) } ?? 0
        plans = try (arguments.value(.roundTrip, Self.roundTrips) ?? [0]).map { roundTrip in
            var plan = plan
            plan.conditions = LinkConditions(roundTrip: roundTrip, loss: loss)
            return plan
        }
        (isSilent, isVerbose) = try arguments.messages
        context = ReportContext(arguments)
        files = try ResultFiles(arguments, [.json, .html, .markdown, .svg])
    }

    /// Parses round-trip times into nanoseconds.
    private static func roundTrips(_ text: String) throws -> [UInt64] {
        let times = try text.split(separator: ",", omittingEmptySubsequences: false).map {
            try OptionValue.roundTrip(String($0))
        }
        guard Set(times).count == times.count else { throw BadValue("one of them stands there twice") }
        return times
    }
}

extension Arguments {
    /// -H of commands that read nothing else from stdin.
    /// - Throws: `Failure` (`usage`).
    var measuredFields: [Occurrence] {
        get throws {
            let fields = all(.header)
            guard try fields.count(where: { try $0.file == "-" }) <= 1 else {
                throw Failure.usage("two -H @- both read stdin; keep one")
            }
            return fields
        }
    }
}
