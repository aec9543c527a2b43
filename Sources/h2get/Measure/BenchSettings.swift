import H2Client
import H2Measure
import HTTPTypes

/// The meaning of `h2get bench`'s options, checked as a whole before anything is sent.
struct BenchSettings: MeasureSettings {
    /// The default of -w and -W, as in h2load: large enough not to affect the measurement.
    static let defaultWindowBits = 30
    /// Concurrent requests per connection if a rate is given and -m is not.
    static let openLoopStreams = 100

    private(set) var plan: BenchPlan
    let files: ResultFiles
    /// When the measurement counts as failed.
    let conditions: [FailCondition]
    let isSilent: Bool
    let isVerbose: Bool

    init(_ command: BenchCommand) throws {
        let (load, request, connections) = (command.load, command.request, command.connections)
        try Self.checkStandardInput(command)
        let script = try Self.script(command)
        let urls =
            if let script {
                try MeasuredURLs(targets: script.targets, base: request.base, command: "h2get bench")
            } else {
                try MeasuredURLs(
                    patterns: command.urls, inputFile: request.inputFile, base: request.base, command: "h2get bench")
            }
        let connection = MeasuredConnection(origin: urls.origin)
        let method = try Self.method(request)
        let body = try request.data.map(Self.content) ?? []
        plan = BenchPlan(
            origin: urls.origin, requests: try urls.requests(method, fields: command.field.fields, body: body))
        plan.protocols = try connection.protocols(command.versions)
        plan.configuration = try connection.configuration(command.connection, command.tls)
        plan.connections = load.connections
        plan.threads = load.threads
        plan.api = connections.api
        conditions = command.output.conditions
        isSilent = command.messages.silent
        isVerbose = command.messages.verbose
        files = try ResultFiles([
            (.json, command.output.json), (.csv, command.output.csv), (.hdr, command.output.hdr),
            (.html, command.output.html),
        ])
        guard !(isSilent && isVerbose) else { throw Failure.usage("-s and -v cannot be combined") }
        try setPace(load, script)
        try setExtent(load)
        try setConnections(connections)
        plan.keepsIntervalHistograms = files.contains(.hdr)
        if request.expectedStatuses != nil || request.expectedSize != nil || request.expectedDigest != nil {
            plan.expectation = BenchPlan.Expectation(
                statuses: request.expectedStatuses?.statuses, bodyBytes: request.expectedSize,
                sha256: request.expectedDigest)
        }
        plan.keepsTrying = connections.keepTrying
        for (name, value) in [
            ("--ciphers", connections.ciphers), ("--tls13-ciphers", connections.ciphers13),
            ("--groups", connections.groups),
        ] {
            guard value == nil || urls.origin.scheme == .https else {
                throw Failure.usage(
                    "\(name) is about TLS, which http:// URLs do without: leave it out, or use https://")
            }
        }
        plan.configuration.tls.suites12 = connections.ciphers
        plan.configuration.tls.suites13 = connections.ciphers13
        plan.configuration.tls.groups = connections.groups
        if let path = connections.socketPath {
            guard SocketAddress(path: path) != nil else {
                throw Failure.usage("--unix-socket takes the path of a socket, of 107 bytes at most")
            }
            guard connections.source == nil, command.connection.connectTo == nil else {
                throw Failure.usage("--unix-socket says where to connect: leave out --source and --connect-to")
            }
        }
        plan.configuration.unixSocketPath = connections.socketPath
        plan.sourceAddresses = connections.source?.addresses ?? []
        plan.breaksDown = command.output.breakdown
        plan.startAt = load.startAt
        if let start = load.startAt, start - plan.warmUp.inSeconds < ProcessClocks.wallSeconds {
            throw Failure.usage("--start-at is over already, or less than --warm-up-time away; name a later time")
        }
    }

    // MARK: - Requests

    private static func method(_ request: BenchRequestArguments) throws -> HTTPRequest.Method {
        guard !request.head || request.data == nil else {
            throw Failure.usage("-I asks without a body: leave out -d, or -I")
        }
        guard !request.head || request.method == nil else {
            throw Failure.usage("-I is -X HEAD: leave out one of -I and -X")
        }
        if request.head || request.method == "HEAD" {
            let checks = [
                ("--expect-size", request.expectedSize != nil), ("--expect-sha256", request.expectedDigest != nil),
            ]
            if let check = checks.first(where: \.1)?.0 {
                throw Failure.usage(
                    "responses to HEAD have no body, so \(check) has nothing to check: leave out \(check), or use GET")
            }
        }
        guard let name = request.method else { return request.head ? .head : request.data == nil ? .get : .post }
        guard let method = HTTPRequest.Method(name) else {
            throw Failure.usage("'\(shown(name))' is not a valid method (-X)")
        }
        guard method != .connect else { throw Failure.usage("CONNECT opens a tunnel, which h2get does not use") }
        return method
    }

    private static func content(_ path: String) throws -> [UInt8] {
        guard path == "-" || FileKind(path: path) != .folder else {
            throw Failure(.readFailed, "\(printable(path)) is a folder; name a file (-d)")
        }
        return try readWhole(path, remedy: "use a smaller body")
    }

    /// Checks that at most one option reads stdin.
    private static func checkStandardInput(_ command: BenchCommand) throws {
        var readers: [String] = []
        if command.request.inputFile == "-" { readers.append("-i -") }
        if command.load.timingScript == "-" { readers.append("--timing-script-file -") }
        if command.request.data == "-" { readers.append("-d -") }
        readers += command.field.fields.filter { $0 == "@-" }.map { _ in "-H @-" }
        guard readers.count <= 1 else {
            throw Failure.usage("\(readers[0]) and \(readers[1]) both read stdin; keep one")
        }
    }

    // MARK: - Load

    /// The lines of the timing script that are to be sent, if there is one.
    private static func script(_ command: BenchCommand) throws -> TimingScript? {
        let load = command.load
        guard let path = load.timingScript else { return nil }
        let others: [(String, Bool)] = [
            ("--request-rate", load.requestRate != nil), ("--rps", load.ratePerConnection != nil),
            ("--stages", load.stages != nil),
            ("--ramp", load.ramp != nil), ("--arrivals", load.arrivals != nil), ("--seed", load.seed != nil),
            ("--think-time", load.thinkTime != nil), ("-D", load.duration != nil),
            ("--warm-up-time", load.warmUp != nil), ("--drain", load.drain != nil),
        ]
        if let other = others.first(where: \.1)?.0 {
            throw Failure.usage("--timing-script-file says when each request begins: leave out \(other)")
        }
        guard command.urls.isEmpty, command.request.inputFile == nil else {
            throw Failure.usage("--timing-script-file has the URLs: leave out -i and those on the command line")
        }
        guard command.connections.api == .direct else {
            throw Failure.usage(
                "--api async has no open loop: leave out --timing-script-file, or measure with --api direct")
        }
        var script = try TimingScript(path: path, hasBase: command.request.base != nil)
        if let count = load.requests {
            guard count <= script.times.count else {
                throw Failure.usage(
                    "-n \(count) is more than the \(counted(script.times.count, "line")) of --timing-script-file; each connection "
                        + "sends the first N of them")
            }
            script.keep(count)
        }
        return script
    }

    private mutating func setPace(_ load: BenchLoadArguments, _ script: TimingScript?) throws {
        guard load.requestRate == nil || load.ratePerConnection == nil else {
            throw Failure.usage("--request-rate (over all connections) and --rps (on each) cannot be combined")
        }
        guard plan.api == .direct || (load.requestRate == nil && load.ratePerConnection == nil && load.stages == nil)
        else {
            throw Failure.usage(
                "--api async has no open loop: leave out --request-rate, --rps and --stages, or measure with --api direct"
            )
        }
        guard load.stages == nil || (load.requestRate == nil && load.ratePerConnection == nil && load.ramp == nil)
        else {
            throw Failure.usage("--stages says all about the rate: leave out --request-rate, --rps and --ramp")
        }
        let isOpen = load.requestRate != nil || load.ratePerConnection != nil || load.stages != nil
        guard load.arrivals == nil || isOpen else {
            throw Failure.usage("--arrivals is for open loops: it goes with --request-rate, --rps or --stages")
        }
        guard load.thinkTime == nil || !isOpen else {
            throw Failure.usage(
                "--think-time is for closed loops, and --request-rate, --rps and --stages make an open one")
        }
        plan.arrivesAtRandom = load.arrivals == .poisson
        guard load.seed == nil || plan.arrivesAtRandom else {
            throw Failure.usage("--seed is for random arrivals: it goes with --arrivals poisson")
        }
        // Machines that measure together must not send in lockstep.
        if plan.arrivesAtRandom { plan.arrivalSeed = UInt64(load.seed ?? Int(UInt32.random(in: 0...UInt32.max))) }
        plan.thinkTime = load.thinkTime ?? .zero
        switch load.requestRate {
        case nil where script != nil: plan.pace = .script(script?.times ?? [])
        case nil where load.stages != nil: plan.pace = .stages(load.stages?.stages ?? [])
        case nil:
            guard load.ramp == nil else {
                throw Failure.usage("--ramp goes with --request-rate: --request-rate A..B --ramp TIME")
            }
            if let rate = load.ratePerConnection { plan.pace = .arrivalsPerConnection(rate) }
        case .constant(let rate):
            // A ramp begins at 0.
            plan.pace = .arrivals(from: load.ramp == nil ? rate : 0, to: rate, ramp: load.ramp ?? .zero)
        case .range(let from, let to):
            guard let ramp = load.ramp ?? load.duration else {
                throw Failure.usage("--request-rate A..B needs --ramp TIME, the time in which it goes from A to B")
            }
            plan.pace = .arrivals(from: from, to: to, ramp: ramp)
        }
        guard plan.protocols.isHTTP1 else {
            plan.streams = load.streams ?? (plan.pace == .closed ? 1 : Self.openLoopStreams)
            return
        }
        guard (load.streams ?? 1) == 1 else {
            throw Failure.usage("HTTP/1.1 has one request at a time on a connection: use -c for more, not -m")
        }
    }

    private mutating func setExtent(_ load: BenchLoadArguments) throws {
        guard load.threads <= load.connections else {
            throw Failure.usage(
                "-t \(load.threads) threads have only -c \(counted(load.connections, "connection")); use as many at least"
            )
        }
        plan.warmUp = load.warmUp ?? .zero
        // Without -D and -n the stages give the duration.
        if let duration = load.duration ?? (load.requests == nil ? load.stages?.length : nil) {
            guard load.requests == nil else {
                throw Failure.usage("-n and -D cannot be combined")
            }
            plan.extent = .time(duration)
            plan.drain = load.drain ?? plan.drain
            return
        }
        guard load.drain == nil else {
            throw Failure.usage("--drain is for the end of -D; with -n all requests are waited for")
        }
        if case .script(let times) = plan.pace {
            plan.extent = .requests(times.count * load.connections)
            return
        }
        let requests = load.requests ?? max(load.connections, plan.requests.count)
        guard requests >= load.connections else {
            throw Failure.usage(
                "-n \(requests) is less than one request for each of -c \(load.connections) connections")
        }
        if let stages = load.stages?.stages, stages.last?.to == 0 {
            // Nothing arrives after the last stage, so waiting for further requests would never end.
            let held = stages.reduce(0) { $0 + ($1.from + $1.to) / 2 * $1.length.inSeconds }
            guard Double(requests) <= held.rounded(.up) else {
                throw Failure.usage(
                    "the stages end at a rate of 0 after \(Int(held.rounded(.up))) requests, fewer than -n \(requests): use a"
                        + " smaller -n, or end them with a rate above 0")
            }
            guard !plan.arrivesAtRandom else {
                throw Failure.usage(
                    "stages that end at a rate of 0 may hold fewer than -n requests with --arrivals poisson: leave out -n,"
                        + " or end them with a rate above 0")
            }
        }
        plan.extent = .requests(requests)
    }

    // MARK: - Connections

    private mutating func setConnections(_ connections: BenchConnectionArguments) throws {
        if let count = connections.connectionRate {
            guard count <= plan.connections else {
                throw Failure.usage(
                    "-r \(count) opens more connections at once than -c \(plan.connections) allows; use at most as many"
                        + " (requests a second are --request-rate)")
            }
            plan.connectionRamp = BenchPlan.ConnectionRamp(count: count, period: connections.ratePeriod ?? .seconds(1))
        } else if connections.ratePeriod != nil {
            throw Failure.usage("--rate-period goes with -r N, the connections to open in each")
        }
        plan.requestsPerConnection = connections.requestsPerConnection
        plan.activeTimeout = connections.activeTimeout
        plan.inactivityTimeout = connections.inactivityTimeout
        guard !plan.protocols.isHTTP1 || (connections.windowBits == nil && connections.connectionWindowBits == nil)
        else {
            throw Failure.usage("-w and -W are windows of HTTP/2, and HTTP/1.1 has none: leave them out")
        }
        guard !plan.protocols.isHTTP1 || connections.frameSize == nil else {
            throw Failure.usage("-f is about frames of HTTP/2, and HTTP/1.1 has none: leave it out")
        }
        plan.configuration.limits.frameSize = connections.frameSize ?? plan.configuration.limits.frameSize
        plan.configuration.setWindows(
            streamBits: connections.windowBits ?? Self.defaultWindowBits,
            connectionBits: connections.connectionWindowBits ?? Self.defaultWindowBits)
    }
}

extension ConnectionConfiguration {
    /// Sets fixed window sizes, in bits as in h2load. Nothing is held back for slow readers, because there are none.
    mutating func setWindows(streamBits: Int, connectionBits: Int) {
        let (stream, connection) = (1 << streamBits - 1, 1 << connectionBits - 1)
        windows.stream = stream
        windows.connection = connection
        windows.maximum = stream
        windows.unreadLimit = max(stream, connection)
    }
}

extension BenchPlan.Protocols {
    /// Whether HTTP/2 is impossible.
    var isHTTP1: Bool { self == .cleartextHTTP1 || self == .tls(["http/1.1"]) }
}
