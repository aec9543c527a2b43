import H2ClientTesting
import H2Measure

/// The meaning of `h2get serve`'s options, checked as a whole before it listens.
struct ServeSettings: Sendable {
    /// The folder to serve; nil for the routes alone.
    var directory: String?
    private(set) var configuration = OriginServer.Configuration()
    let authorityFile: String?
    let portFile: String?
    /// Whether these two may replace files.
    let isForced: Bool

    /// - Throws: `Failure` (`usage`).
    init(_ arguments: Arguments) throws {
        directory = arguments.operands.first
        guard arguments.operands.count <= 1 else {
            throw Failure.usage("serve takes one folder, and \(arguments.operands.count) are given")
        }
        authorityFile = try arguments.text(.caFile)
        portFile = try arguments.text(.portFile)
        isForced = arguments.isOn(.force)
        guard !isForced || authorityFile != nil || portFile != nil else {
            throw Failure.usage("--force is for --ca-file and --port-file")
        }
        configuration.documentRoot = directory
        configuration.servesDotFiles = arguments.isOn(.dotFiles)
        guard !configuration.servesDotFiles || directory != nil else {
            throw Failure.usage("--dot-files needs a folder to serve")
        }
        configuration.port = try arguments.value(.port, Self.number(in: 0...65_535)) ?? 8443
        configuration.address = try arguments.text(.address) ?? "127.0.0.1"
        try setSecurity(arguments)
        try setVersions(arguments)
        try setFaults(arguments)
        try setLimits(arguments)
        configuration.limits.workers = try Self.workers(arguments)
    }

    private mutating func setSecurity(_ arguments: Arguments) throws {
        let (certificate, key) = (try arguments.text(.cert), try arguments.text(.key))
        guard (certificate == nil) == (key == nil) else { throw Failure.usage("--cert and --key go together") }
        if arguments.isOn(.cleartext) {
            guard certificate == nil, authorityFile == nil else {
                throw Failure.usage("--cleartext has no certificate: leave out --cert, --key and --ca-file")
            }
            configuration.security = .cleartext
        } else if let certificate, let key {
            guard authorityFile == nil else {
                throw Failure.usage(
                    "--ca-file is for the certificate made here; with --cert you have your own authority")
            }
            configuration.security = .identity(certificateFile: certificate, keyFile: key)
        } else if !["127.0.0.1", "::1", "0.0.0.0", "::"].contains(configuration.address) {
            configuration.security = .selfSigned(names: ["localhost", "127.0.0.1", "::1", configuration.address])
        }
    }

    private mutating func setVersions(_ arguments: Arguments) throws {
        let (http1, http2) = (arguments.isOn(.http11), arguments.isOn(.http2))
        guard !(http1 && http2) else {
            throw Failure.usage("--http1.1 and --http2 cannot be combined; without them both are offered")
        }
        if http1 { configuration.versions = .http1 }
        if http2 { configuration.versions = .http2 }
        if let streams = try arguments.value(.maxStreams, Self.number(in: 0...Int(Int32.max))) {
            guard !http1 else { throw Failure.usage("--max-streams is of HTTP/2, and --http1.1 leaves that out") }
            configuration.settings.maxConcurrentStreams = UInt32(streams)
        }
    }

    private mutating func setFaults(_ arguments: Arguments) throws {
        let latency = try arguments.value(.latency, Self.number(in: 0...86_400_000)) ?? 0
        configuration.faults.latency = .milliseconds(latency)
        configuration.faults.goAwayAfterRequests = try arguments.value(.goawayAfter, Self.positive)
        configuration.faults.closeAfterResponses = try arguments.value(.closeAfter, Self.positive)
        configuration.faults.refuseEvery = try arguments.value(.refuseEvery, Self.positive)
        configuration.faults.resetAfterBodyBytes = try arguments.value(.resetAfterBytes, Self.positive)
    }

    private mutating func setLimits(_ arguments: Arguments) throws {
        if let time = try arguments.value(.idleTimeout, Self.positiveTime) { configuration.limits.idle = time }
        if let time = try arguments.value(.headTimeout, Self.positiveTime) { configuration.limits.requestHead = time }
        if let time = try arguments.value(.bodyTimeout, Self.positiveTime) { configuration.limits.bodyProgress = time }
        if let count = try arguments.value(.maxConnections, Self.number(in: 1...1_000_000)) {
            configuration.limits.connections = count
        }
    }

    private static func workers(_ arguments: Arguments) throws -> OriginServer.Workers? {
        guard let count = try arguments.value(.workers, positive) else {
            if let option = arguments.all(.workerQueue, .serviceTime, .retryAfter, .refusedStream).first(where: \.isOn)
            {
                throw Failure.usage("\(option.spelling) needs --workers N")
            }
            return nil
        }
        var workers = OriginServer.Workers(count: count)
        workers.queue = try arguments.value(.workerQueue, number(in: 0...Int.max)) ?? 0
        workers.serviceTime = try arguments.value(.serviceTime, time) ?? .zero
        let retryAfter = try arguments.value(.retryAfter, number(in: 0...86_400))
        if arguments.isOn(.refusedStream) {
            guard retryAfter == nil else {
                throw Failure.usage("--retry-after is a field of the 503 that --refused-stream replaces")
            }
            guard !arguments.isOn(.http11) else { throw Failure.usage("--refused-stream needs HTTP/2") }
            workers.refusal = .refusedStream
        } else {
            workers.refusal = .unavailable(retryAfter: retryAfter)
        }
        return workers
    }

    // MARK: - Values

    private static func number(in range: ClosedRange<Int>) -> (String) throws -> Int {
        { text in
            guard let number = Int(text) else { throw BadValue("write a whole number") }
            guard range.contains(number) else {
                throw BadValue(
                    "use \(range.lowerBound)" + (range.upperBound == .max ? " or more" : " to \(range.upperBound)"))
            }
            return number
        }
    }

    private static func positive(_ text: String) throws -> Int { try number(in: 1...Int.max)(text) }

    /// Parses a time such as `5ms`, `0.5s`, `2m` or `1h`, at most a day. A number without a unit means milliseconds.
    static func time(_ text: String) throws -> Duration {
        guard let time = QuantityText.nanoseconds(text, bare: .milliseconds), time <= 86_400_000_000_000 else {
            throw BadValue("write a time such as 5ms, 0.5s, 2m or 1h, a day at most; a number alone is milliseconds")
        }
        return .nanoseconds(Int64(time))
    }

    private static func positiveTime(_ text: String) throws -> Duration {
        let time = try time(text)
        guard time > .zero else { throw BadValue("use a time above 0") }
        return time
    }
}
