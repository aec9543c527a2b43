import H2Client
import H2Measure

/// The meaning of `h2get sweep`'s options, checked as a whole before anything is sent.
struct SweepSettings: MeasureSettings {
    private(set) var plan: SweepPlan
    let files: ResultFiles
    let isSilent: Bool
    let isVerbose: Bool
    let context: ReportContext

    init(_ arguments: Arguments) throws {
        let urls = try MeasuredURLs(patterns: arguments.operands, command: arguments.command)
        let connection = MeasuredConnection(origin: urls.origin)
        plan = SweepPlan(origin: urls.origin, requests: try urls.requests(fields: try arguments.measuredFields))
        plan.protocols = try connection.protocols(arguments)
        plan.configuration = try connection.configuration(arguments)
        // The same windows as in `bench`, so that results can be cross-checked.
        plan.configuration.setWindows(
            streamBits: BenchSettings.defaultWindowBits, connectionBits: BenchSettings.defaultWindowBits)
        plan.time = try arguments.value(.duration, Quantity.positiveTime) ?? plan.time
        plan.warmUp = try arguments.value(.warmUpTime, Quantity.time) ?? plan.warmUp
        plan.limits = try arguments.values(.slo) { try OptionValue.latencyLimits($0) }.flatMap(\.self)
        plan.threads = try arguments.value(.threads, Quantity.count(in: 1...1_024)) ?? 1
        let streams = try arguments.value(.sweepStreams) { try OptionValue.steps($0, upTo: 1_000_000) }
        let connections = try arguments.value(.sweepConnections) { try OptionValue.steps($0, upTo: 100_000) }
        if plan.protocols.isHTTP1 {
            guard streams == nil || streams == [1] else {
                throw Failure.usage(
                    "HTTP/1.1 has one request at a time on a connection: use --connections, not --streams")
            }
            plan.streams = [1]
            plan.connections = [1, 2, 4, 8, 16, 32, 64, 128, 256]
        }
        plan.streams = streams ?? plan.streams
        plan.connections = connections ?? plan.connections
        let most = plan.connections.last ?? 1
        guard plan.threads <= most else {
            throw Failure.usage(
                "-t \(plan.threads) threads have only --connections \(most): use as many at least, such as "
                    + "--connections \(plan.threads)..\(plan.threads * 4)")
        }
        (isSilent, isVerbose) = try arguments.messages
        context = ReportContext(arguments)
        files = try ResultFiles(arguments, [.json, .html])
    }
}
