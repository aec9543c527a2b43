import H2Client
import H2Measure

/// The meaning of `h2get sweep`'s options, checked as a whole before anything is sent.
struct SweepSettings: MeasureSettings {
    private(set) var plan: SweepPlan
    let files: ResultFiles
    let isSilent: Bool
    let isVerbose: Bool

    init(_ command: SweepCommand) throws {
        let urls = try MeasuredURLs(patterns: command.urls, command: "h2get sweep")
        guard command.field.fields.count(where: { $0 == "@-" }) <= 1 else {
            throw Failure.usage("two -H @- both read stdin; keep one")
        }
        let connection = MeasuredConnection(origin: urls.origin)
        let load = command.load
        plan = SweepPlan(origin: urls.origin, requests: try urls.requests(fields: command.field.fields))
        plan.protocols = try connection.protocols(command.versions)
        plan.configuration = try connection.configuration(command.connection, command.tls)
        // The same windows as in `bench`, so that results can be cross-checked.
        plan.configuration.setWindows(
            streamBits: BenchSettings.defaultWindowBits, connectionBits: BenchSettings.defaultWindowBits)
        plan.time = load.duration ?? plan.time
        plan.warmUp = load.warmUp ?? plan.warmUp
        plan.limits = load.limits.flatMap(\.self)
        plan.threads = load.threads
        if plan.protocols.isHTTP1 {
            guard load.streams == nil || load.streams == [1] else {
                throw Failure.usage(
                    "HTTP/1.1 has one request at a time on a connection: use --connections, not --streams")
            }
            plan.streams = [1]
            plan.connections = [1, 2, 4, 8, 16, 32, 64, 128, 256]
        }
        plan.streams = load.streams ?? plan.streams
        plan.connections = load.connections ?? plan.connections
        let most = plan.connections.last ?? 1
        guard load.threads <= most else {
            throw Failure.usage(
                "-t \(load.threads) threads have only --connections \(most): use as many at least, such as "
                    + "--connections \(load.threads)..\(load.threads * 4)")
        }
        isSilent = command.messages.silent
        isVerbose = command.messages.verbose
        guard !(isSilent && isVerbose) else { throw Failure.usage("-s and -v cannot be combined") }
        files = try ResultFiles([(.json, command.output.json), (.html, command.output.html)])
    }
}
