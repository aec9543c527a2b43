import H2Client
import H2Measure
import H2Platform

/// The meaning of the options about Locust.
struct LocustSettings: Sendable, Equatable {
    /// Where the master listens, as ZeroMQ writes it, and as people do.
    let endpoint: String
    let master: String
    let users: BenchPlan.Users

    private static let defaultPort = 5557
    private static let defaultUsersPerConnection = 100

    /// Nil without --locust-master.
    /// - Throws: `Failure` (`usage`).
    init?(_ arguments: Arguments, isHTTP1: Bool) throws {
        let kind = try arguments.value(.userKind, UserKind.init(text:))
        let perConnection = try arguments.value(.usersPerConnection, Quantity.count(in: 1...1_000_000))
        guard let name = try arguments.text(.locustMaster) else {
            if let option = arguments.all(.userKind, .usersPerConnection).last?.spelling {
                throw Failure.usage("\(option) is about Locust's users: it goes with --locust-master")
            }
            return nil
        }
        try Self.checkOthers(arguments)
        guard !isHTTP1 || (perConnection ?? 1) == 1 else {
            throw Failure.usage(
                "HTTP/1.1 has one request at a time on a connection: leave out --users-per-connection, or use HTTP/2")
        }
        guard kind != .connection || (perConnection ?? 1) == 1 else {
            throw Failure.usage("--user connection has a connection of its own: leave out --users-per-connection")
        }
        let isAlone = isHTTP1 || kind == .connection
        var users = BenchPlan.Users(perConnection: isAlone ? 1 : perConnection ?? Self.defaultUsersPerConnection)
        if case .rate(let rate) = kind {
            guard !arguments.isGiven(.thinkTime) else {
                throw Failure.usage("--user rate=N says when requests begin: leave out --think-time")
            }
            users.period = .seconds(1 / rate)
        }
        self.users = users
        (endpoint, master) = try Self.endpoint(name)
    }

    /// What the master decides, or what makes no sense with users that come and go.
    private static func checkOthers(_ arguments: Arguments) throws {
        let decided: [OptionKey] = [
            .requests, .duration, .clients, .streams, .requestRate, .rps, .ramp, .stages, .arrivals, .seed, .startAt,
            .warmUpTime, .timingScriptFile, .connectionRate, .ratePeriod,
        ]
        let isScripted = arguments.isGiven(.scenario)
        if let option = decided.lazy.filter({ $0 != .seed || !isScripted }).compactMap({ arguments.last($0) }).first?
            .spelling
        {
            throw Failure.usage(
                "with --locust-master the master says how many users there are, and when: leave out \(option)")
        }
        let others: [OptionKey] = [.connectionActiveTimeout, .connectionInactivityTimeout, .keepTrying]
        if let option = others.lazy.compactMap({ arguments.last($0) }).first?.spelling {
            throw Failure.usage(
                "with --locust-master connections come and go with the users, for as long as it runs: leave out \(option)"
            )
        }
    }

    /// Parses `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`.
    private static func endpoint(_ text: String) throws -> (endpoint: String, master: String) {
        let failure = Failure.usage(
            "--locust-master \(shown(text)): write HOST or HOST:PORT, an IPv6 address in brackets")
        guard let target = try? RequestTarget("http://\(text)"), target.path == "/", target.userInfo == nil,
            !text.utf8.contains(UInt8(ascii: "/")), text.utf8.last != UInt8(ascii: ":")
        else { throw failure }
        let hasPort = text.utf8.last != UInt8(ascii: "]") && text.utf8.contains(UInt8(ascii: ":"))
        let port = hasPort ? target.origin.port : defaultPort
        let host = target.origin.host
        let master = "\(host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host):\(port)"
        return ("tcp://\(master)", master)
    }
}

/// The value of `--user`.
enum UserKind: Sendable, Equatable {
    case stream
    case connection
    /// Requests a second.
    case rate(Double)

    @Sendable init(text: String) throws {
        switch text {
        case "stream": self = .stream
        case "connection": self = .connection
        default:
            guard text.hasPrefix("rate=") else { throw BadValue("use stream, connection or rate=N") }
            self = .rate(try Quantity.rate(String(text.dropFirst(5))))
        }
    }
}
