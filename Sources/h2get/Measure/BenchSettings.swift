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
    /// Nil unless a Locust master steers the load.
    let locust: LocustSettings?
    /// Nil unless live figures are served.
    let metrics: MetricsSettings?
    /// Whether to find out how far the clock is ahead of the server's.
    let alignsClock: Bool
    let isSilent: Bool
    let isVerbose: Bool
    let context: ReportContext
    private let api: BenchPlan.API

    init(_ arguments: Arguments) throws {
        try Self.checkStandardInput(arguments)
        let base = try arguments.text(.baseURI)
        let scenario = try Self.scenario(arguments)
        api = try arguments.value(.api, Quantity.choice(BenchPlan.API.self)) ?? (scenario == nil ? .direct : .async)
        let script = try Self.script(arguments, base: base, api)
        let urls =
            if let script {
                try MeasuredURLs(targets: script.targets, base: base, command: arguments.command)
            } else {
                try MeasuredURLs(
                    patterns: arguments.operands, inputFile: try arguments.text(.inputFile), base: base,
                    command: arguments.command)
            }
        let connection = MeasuredConnection(origin: urls.origin)
        let expectation = try Self.expectation(arguments)
        let method = try Self.method(arguments, expectation)
        let body = try arguments.text(.data).map(Self.content) ?? []
        plan = BenchPlan(
            origin: urls.origin, requests: try urls.requests(method, fields: arguments.all(.header), body: body))
        plan.expectation = expectation
        plan.protocols = try connection.protocols(arguments)
        plan.configuration = try connection.configuration(arguments)
        plan.connections = try arguments.value(.clients, Quantity.count(in: 1...1_000_000)) ?? 1
        plan.threads = try arguments.value(.threads, Quantity.count(in: 1...1_024)) ?? 1
        plan.api = api
        locust = try LocustSettings(arguments, isHTTP1: plan.protocols.isHTTP1)
        metrics = try MetricsSettings(arguments)
        alignsClock = arguments.isOn(.alignClock)
        conditions = try arguments.values(.failIf) { try FailCondition($0) }
        (isSilent, isVerbose) = try arguments.messages
        context = ReportContext(arguments)
        files = try ResultFiles(arguments, [.json, .csv, .hdr, .html])
        try setScenario(scenario, urls, arguments)
        try setPace(arguments, script)
        if let locust {
            try setUsers(locust, arguments)
        } else {
            try setExtent(arguments)
        }
        try setConnections(arguments)
        try setTLS(arguments)
        plan.keepsIntervalHistograms = files.contains(.hdr)
        guard !alignsClock || files.contains(.hdr) else {
            throw Failure.usage("--align-clock is for the times of the --hdr log, and there is none")
        }
        plan.breaksDown = arguments.isOn(.breakdown)
        plan.collectsFigures = locust != nil || metrics != nil
        plan.countsSeconds = locust != nil
        plan.startAt = try arguments.value(.startAt, Quantity.unixTime)
        if let start = plan.startAt, start - plan.warmUp.inSeconds < ProcessClocks.wallSeconds {
            throw Failure.usage("--start-at is over already, or less than --warm-up-time away; name a later time")
        }
    }

    // MARK: - Requests

    private static func expectation(_ arguments: Arguments) throws -> BenchPlan.Expectation? {
        guard arguments.isGiven(.expectStatus) || arguments.isGiven(.expectSize) || arguments.isGiven(.expectSHA256)
        else { return nil }
        return BenchPlan.Expectation(
            statuses: try arguments.value(.expectStatus, StatusList.init(text:))?.statuses,
            bodyBytes: try arguments.value(.expectSize, Quantity.size(in: 0...Int.max)),
            sha256: try arguments.value(.expectSHA256, sha256))
    }

    /// Parses a SHA-256 digest as sha256sum prints it.
    private static func sha256(_ text: String) throws -> [UInt8] {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == 64, text.utf8.count == 64 else {
            throw BadValue("write the 64 hexadecimal digits that sha256sum prints")
        }
        return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    private static func method(
        _ arguments: Arguments, _ expectation: BenchPlan.Expectation?
    ) throws -> HTTPRequest.Method {
        let (isHead, hasBody) = (arguments.isOn(.head), arguments.isGiven(.data))
        guard !isHead || !hasBody else { throw Failure.usage("-I asks without a body: leave out -d, or -I") }
        let name = try arguments.text(.request)
        guard !isHead || name == nil else { throw Failure.usage("-I is -X HEAD: leave out one of -I and -X") }
        if isHead || name == "HEAD" {
            let checks = [
                ("--expect-size", expectation?.bodyBytes != nil), ("--expect-sha256", expectation?.sha256 != nil),
            ]
            if let check = checks.first(where: \.1)?.0 {
                throw Failure.usage(
                    "responses to HEAD have no body, so \(check) has nothing to check: leave out \(check), or use GET")
            }
        }
        guard let name else { return isHead ? .head : hasBody ? .post : .get }
        return try HTTPRequest.Method(option: name)
    }

    private static func content(_ path: String) throws -> [UInt8] {
        guard path == "-" || FileKind(path: path) != .folder else {
            throw Failure(.readFailed, "\(printable(path)) is a folder; name a file (-d)")
        }
        return try readWhole(path, remedy: "use a smaller body")
    }

    /// Checks that at most one option reads stdin.
    private static func checkStandardInput(_ arguments: Arguments) throws {
        var readers: [String] = []
        if try arguments.text(.inputFile) == "-" { readers.append("-i -") }
        if try arguments.text(.timingScriptFile) == "-" { readers.append("--timing-script-file -") }
        if try arguments.text(.data) == "-" { readers.append("-d -") }
        readers += try arguments.all(.header).filter { try $0.file == "-" }.map { _ in "-H @-" }
        guard readers.count <= 1 else {
            throw Failure.usage("\(readers[0]) and \(readers[1]) both read stdin; keep one")
        }
    }

    // MARK: - Load

    /// The lines of the timing script that are to be sent, if there is one.
    private static func script(
        _ arguments: Arguments, base: String?, _ api: BenchPlan.API
    ) throws -> TimingScript? {
        guard let path = try arguments.text(.timingScriptFile) else { return nil }
        let others: [OptionKey] = [
            .requestRate, .rps, .stages, .ramp, .arrivals, .seed, .thinkTime, .duration, .warmUpTime, .drain,
        ]
        if let other = others.lazy.compactMap(arguments.last).first?.spelling {
            throw Failure.usage("--timing-script-file says when each request begins: leave out \(other)")
        }
        guard arguments.operands.isEmpty, !arguments.isGiven(.inputFile) else {
            throw Failure.usage("--timing-script-file has the URLs: leave out -i and those on the command line")
        }
        guard api == .direct else {
            throw Failure.usage(
                "--api async has no open loop: leave out --timing-script-file, or measure with --api direct")
        }
        var script = try TimingScript(path: path, hasBase: base != nil)
        if let count = try arguments.requests {
            guard count <= script.times.count else {
                throw Failure.usage(
                    "-n \(count) is more than the \(counted(script.times.count, "line")) of --timing-script-file; each connection "
                        + "sends the first N of them")
            }
            script.keep(count)
        }
        return script
    }

    private static func scenario(_ arguments: Arguments) throws -> Scenario? {
        guard let path = try arguments.text(.scenario) else {
            guard !arguments.isGiven(.firstUser) else {
                throw Failure.usage("--first-user is about the users of a scenario: it goes with --scenario")
            }
            return nil
        }
        let said: [OptionKey] = [
            .request, .head, .data, .inputFile, .baseURI, .timingScriptFile, .requestRate, .rps, .stages, .ramp,
            .arrivals, .thinkTime, .userKind, .expectStatus, .expectSize, .expectSHA256,
        ]
        if let option = said.lazy.compactMap({ arguments.last($0) }).first?.spelling {
            throw Failure.usage("--scenario says what is sent, and when: leave out \(option)")
        }
        guard try arguments.text(.api) ?? "async" == "async" else {
            throw Failure.usage("--scenario needs the async API: leave out --api")
        }
        do { return try Scenario.load(path: path) } catch {
            let problems =
                error.problems.map(\.description) + (error.isCutShort ? ["further problems are not shown"] : [])
            // A line for each.
            for problem in problems.dropLast() { ErrorOutput.standard.put("h2get: (2) \(problem)\n") }
            throw Failure.usage(problems.last ?? "")
        }
    }

    private mutating func setScenario(_ scenario: Scenario?, _ urls: MeasuredURLs, _ arguments: Arguments) throws {
        guard let scenario else { return }
        guard urls.targets.count == 1, urls.targets[0].path == "/" else {
            throw Failure.usage(
                "the paths are those of --scenario: give one URL with scheme, host and port, such as \(urls.origin)")
        }
        plan.requests = scenario.requests(plan.requests[0].request)
        plan.scenario = scenario
        plan.firstUser = try arguments.value(.firstUser, Quantity.count(in: 0...1_000_000_000)) ?? 0
    }

    private mutating func setPace(_ arguments: Arguments, _ script: TimingScript?) throws {
        let requestRate = try arguments.value(.requestRate, ArrivalRate.init(text:))
        let ratePerConnection = try arguments.value(.rps, Quantity.rate)
        let stages = try arguments.stages
        let ramp = try arguments.value(.ramp, Quantity.positiveTime)
        guard requestRate == nil || ratePerConnection == nil else {
            throw Failure.usage("--request-rate (over all connections) and --rps (on each) cannot be combined")
        }
        let isOpen = requestRate != nil || ratePerConnection != nil || stages != nil
        guard plan.api == .direct || !isOpen else {
            throw Failure.usage(
                "--api async has no open loop: leave out --request-rate, --rps and --stages, or measure with --api direct"
            )
        }
        guard stages == nil || (requestRate == nil && ratePerConnection == nil && ramp == nil) else {
            throw Failure.usage("--stages says all about the rate: leave out --request-rate, --rps and --ramp")
        }
        let arrivals = try arguments.value(.arrivals, Quantity.choice(ArrivalKind.self))
        guard arrivals == nil || isOpen else {
            throw Failure.usage("--arrivals is for open loops: it goes with --request-rate, --rps or --stages")
        }
        let thinkTime = try arguments.value(.thinkTime, Quantity.positiveTime)
        guard thinkTime == nil || !isOpen else {
            throw Failure.usage(
                "--think-time is for closed loops, and --request-rate, --rps and --stages make an open one")
        }
        plan.arrivesAtRandom = arrivals == .poisson
        let seed = try arguments.value(.seed, Quantity.count(in: 0...4_294_967_295))
        guard seed == nil || plan.arrivesAtRandom || plan.scenario != nil else {
            throw Failure.usage("--seed is for what is random: it goes with --arrivals poisson, or --scenario")
        }
        if plan.scenario != nil { plan.scenarioSeed = seed.map(UInt64.init) ?? .random(in: 0...UInt64.max) }
        // Machines that measure together must not send in lockstep.
        if plan.arrivesAtRandom { plan.arrivalSeed = UInt64(seed ?? Int(UInt32.random(in: 0...UInt32.max))) }
        plan.thinkTime = thinkTime ?? .zero
        switch requestRate {
        case nil where script != nil: plan.pace = .script(script?.times ?? [])
        case nil where stages != nil: plan.pace = .stages(stages?.stages ?? [])
        case nil:
            guard ramp == nil else {
                throw Failure.usage("--ramp goes with --request-rate: --request-rate A..B --ramp TIME")
            }
            if let rate = ratePerConnection { plan.pace = .arrivalsPerConnection(rate) }
        case .constant(let rate):
            // A ramp begins at 0.
            plan.pace = .arrivals(from: ramp == nil ? rate : 0, to: rate, ramp: ramp ?? .zero)
        case .range(let from, let to):
            guard let ramp = try ramp ?? arguments.duration else {
                throw Failure.usage("--request-rate A..B needs --ramp TIME, the time in which it goes from A to B")
            }
            plan.pace = .arrivals(from: from, to: to, ramp: ramp)
        }
        let streams = try arguments.value(.streams, Quantity.count(in: 1...1_000_000))
        guard plan.protocols.isHTTP1 else {
            plan.streams = streams ?? (plan.pace == .closed ? 1 : Self.openLoopStreams)
            return
        }
        guard (streams ?? 1) == 1 else {
            throw Failure.usage("HTTP/1.1 has one request at a time on a connection: use -c for more, not -m")
        }
    }

    /// The master says how much is sent, and when.
    private mutating func setUsers(_ locust: LocustSettings, _ arguments: Arguments) throws {
        plan.users = locust.users
        plan.extent = .untilStopped
        plan.connections = plan.threads
        plan.streams = locust.users.perConnection
        plan.drain = try arguments.value(.drain, Quantity.time) ?? plan.drain
        // A scenario has checks of its own.
        if plan.scenario != nil { return }
        // As for Locust's own users.
        var expectation = plan.expectation ?? BenchPlan.Expectation()
        expectation.statuses = expectation.statuses ?? Set(200...399)
        plan.expectation = expectation
    }

    private mutating func setExtent(_ arguments: Arguments) throws {
        guard plan.threads <= plan.connections else {
            throw Failure.usage(
                "-t \(plan.threads) threads have only -c \(counted(plan.connections, "connection")); use as many at least"
            )
        }
        let (given, stages) = (try arguments.requests, try arguments.stages)
        let drain = try arguments.value(.drain, Quantity.time)
        plan.warmUp = try arguments.value(.warmUpTime, Quantity.time) ?? .zero
        // Without -D and -n the stages give the duration.
        if let duration = try arguments.duration ?? (given == nil ? stages?.length : nil) {
            guard given == nil else {
                throw Failure.usage("-n and -D cannot be combined")
            }
            plan.extent = .time(duration)
            plan.drain = drain ?? plan.drain
            return
        }
        guard drain == nil else {
            throw Failure.usage("--drain is for the end of -D; with -n all requests are waited for")
        }
        if case .script(let times) = plan.pace {
            plan.extent = .requests(times.count * plan.connections)
            return
        }
        let requests = given ?? max(plan.connections, plan.requests.count)
        guard requests >= plan.connections else {
            throw Failure.usage(
                "-n \(requests) is less than one request for each of -c \(plan.connections) connections")
        }
        if let stages = stages?.stages, stages.last?.to == 0 {
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

    private mutating func setConnections(_ arguments: Arguments) throws {
        let period = try arguments.value(.ratePeriod, Quantity.positiveTime)
        if let count = try arguments.value(.connectionRate, Self.connectionRate) {
            guard count <= plan.connections else {
                throw Failure.usage(
                    "-r \(count) opens more connections at once than -c \(plan.connections) allows; use at most as many"
                        + " (requests a second are --request-rate)")
            }
            plan.connectionRamp = BenchPlan.ConnectionRamp(count: count, period: period ?? .seconds(1))
        } else if period != nil {
            throw Failure.usage("--rate-period goes with -r N, the connections to open in each")
        }
        plan.requestsPerConnection = try arguments.value(
            .requestsPerConnection, Quantity.count(in: 1...1_000_000_000))
        plan.activeTimeout = try arguments.value(.connectionActiveTimeout, Quantity.positiveTime)
        plan.inactivityTimeout = try arguments.value(.connectionInactivityTimeout, Quantity.positiveTime)
        let streamBits = try arguments.value(.windowBits, Self.windowBits)
        let connectionBits = try arguments.value(.connectionWindowBits, Self.windowBits)
        guard !plan.protocols.isHTTP1 || (streamBits == nil && connectionBits == nil) else {
            throw Failure.usage("-w and -W are windows of HTTP/2, and HTTP/1.1 has none: leave them out")
        }
        let frameSize = try arguments.value(.maxFrameSize, Quantity.size(in: 16_384...16_777_215))
        guard !plan.protocols.isHTTP1 || frameSize == nil else {
            throw Failure.usage("-f is about frames of HTTP/2, and HTTP/1.1 has none: leave it out")
        }
        plan.configuration.limits.frameSize = frameSize ?? plan.configuration.limits.frameSize
        plan.configuration.setWindows(
            streamBits: streamBits ?? Self.defaultWindowBits, connectionBits: connectionBits ?? Self.defaultWindowBits)
        plan.keepsTrying = arguments.isOn(.keepTrying)
        plan.sourceAddresses = try arguments.value(.source, SourceAddresses.init(text:))?.addresses ?? []
        if let path = try arguments.text(.unixSocket) {
            guard SocketAddress(path: path) != nil else {
                throw Failure.usage("--unix-socket takes the path of a socket, of 107 bytes at most")
            }
            guard !arguments.isGiven(.source), !arguments.isGiven(.connectTo) else {
                throw Failure.usage("--unix-socket says where to connect: leave out --source and --connect-to")
            }
            plan.configuration.unixSocketPath = path
        }
    }

    private mutating func setTLS(_ arguments: Arguments) throws {
        for option in arguments.all(.ciphers, .tls13Ciphers, .groups) where plan.origin.scheme != .https {
            throw Failure.usage(
                "\(option.spelling) is about TLS, which http:// URLs do without: leave it out, or use https://")
        }
        plan.configuration.tls.suites12 = try arguments.text(.ciphers)
        plan.configuration.tls.suites13 = try arguments.text(.tls13Ciphers)
        plan.configuration.tls.groups = try arguments.text(.groups)
    }

    private static func connectionRate(_ text: String) throws -> Int {
        do {
            return try Quantity.count(in: 1...1_000_000)(text)
        } catch {
            // A rate of requests, such as 0.5, 100/s or 100..2K.
            guard (try? ArrivalRate(text: text)) != nil else { throw error }
            throw BadValue("write how many connections to open in each period; requests a second are --request-rate")
        }
    }

    private static func windowBits(_ text: String) throws -> Int {
        guard let bits = Int(text), (16...30).contains(bits) else {
            throw BadValue("use 16 (65,535 bytes, where HTTP/2 begins) to 30")
        }
        return bits
    }
}

/// The value of `--arrivals`.
enum ArrivalKind: String, CaseIterable, Sendable {
    case even
    case poisson
}

/// The options that several checks need.
extension Arguments {
    fileprivate var requests: Int? {
        get throws { try value(.requests, Quantity.count(in: 1...1_000_000_000_000)) }
    }

    fileprivate var duration: Duration? { get throws { try value(.duration, Quantity.positiveTime) } }
    fileprivate var stages: RateStages? { get throws { try value(.stages, RateStages.init(text:)) } }
}

extension Arguments {
    /// The meaning of -s and -v for all measuring commands.
    /// - Throws: `Failure` (`usage`) if both are given.
    var messages: (isSilent: Bool, isVerbose: Bool) {
        get throws {
            guard !(isOn(.silent) && isOn(.verbose)) else { throw Failure.usage("-s and -v cannot be combined") }
            return (isOn(.silent), isOn(.verbose))
        }
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
