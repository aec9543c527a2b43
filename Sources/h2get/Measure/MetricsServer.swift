import H2Client
import H2ClientTesting
import H2Measure
import HTTPTypes

/// The value of `--metrics-listen`, and the prefix of the names.
struct MetricsSettings: Sendable, Equatable {
    let address: String
    let port: Int
    let prefix: String

    /// Nil without --metrics-listen.
    /// - Throws: `Failure` (`usage`).
    init?(_ arguments: Arguments) throws {
        guard let place = try arguments.value(.metricsListen, Self.place) else {
            guard !arguments.isGiven(.metricsPrefix) else {
                throw Failure.usage("--metrics-prefix goes with --metrics-listen, which serves the figures")
            }
            return nil
        }
        (address, port) = place
        prefix = try arguments.value(.metricsPrefix, Self.prefix) ?? "h2get_"
    }

    @Sendable private static func prefix(_ text: String) throws -> String {
        guard PrometheusText.isPrefix(text), text.utf8.count <= 100 else {
            throw BadValue("use letters, digits, _ and :, and no digit first")
        }
        return text
    }

    /// Parses `PORT`, `ADDR:PORT` or `[ADDR]:PORT`.
    private static func place(_ text: String) throws -> (address: String, port: Int) {
        let bad = BadValue("write PORT or ADDR:PORT, such as 9100, 0.0.0.0:9100 or [::]:9100")
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else {
            guard let port = port(text[...]) else { throw bad }
            return ("127.0.0.1", port)
        }
        var address = text[..<colon]
        if address.utf8.first == UInt8(ascii: "["), address.utf8.last == UInt8(ascii: "]") {
            address = address.dropFirst().dropLast()
        } else if address.utf8.contains(UInt8(ascii: ":")) {
            throw bad
        }
        guard Resolver.isAddress(String(address)), let port = port(text[text.index(after: colon)...]) else { throw bad }
        return (String(address), port)
    }

    private static func port(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(text),
            port <= 65_535
        else { return nil }
        return port
    }
}

/// Serves the figures of a running measurement to Prometheus.
struct MetricsServer: Sendable {
    private let server: OriginServer

    /// The text of a moment, which serves all who ask within a tenth of a second.
    private struct Answer: Sendable {
        private var text: PrometheusText
        private var made: [UInt8] = []
        private var madeAt: ContinuousClock.Instant?

        init(text: PrometheusText) { self.text = text }

        mutating func body(_ figures: () -> LiveFigures) -> [UInt8] {
            let now = ContinuousClock.now
            if let madeAt, now - madeAt < .milliseconds(100) { return made }
            text.add(figures())
            (made, madeAt) = (Array(text.text.utf8), now)
            return made
        }
    }

    /// Begins to listen.
    /// - Parameter reader: the number under which it takes the figures.
    /// - Throws: `Failure` (`usage`) if the address cannot be used.
    init(_ settings: MetricsSettings, _ plan: BenchPlan, _ control: BenchControl, reader: Int) throws {
        let text = Locked(Answer(text: PrometheusText(plan, prefix: settings.prefix)))
        var configuration = OriginServer.Configuration(
            address: settings.address, port: settings.port, security: .cleartext)
        configuration.routes["/metrics"] = { request in
            guard request.method == .get || request.method == .head else {
                return .init(status: .methodNotAllowed, headerFields: [.allow: "GET, HEAD"])
            }
            return .init(
                headerFields: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: text.withLock { $0.body { control.takeFigures(for: reader) } })
        }
        // Few ask, and they must not disturb the measurement.
        configuration.limits.connections = 16
        // Nothing else of the test server.
        configuration.routes["/"] = { _ in .init(status: .notFound, text: "the figures are at /metrics\n") }
        do {
            server = try OriginServer.start(configuration)
        } catch let error as H2Error {
            throw Failure.usage("\(error.message) (--metrics-listen); \(error.remedy)")
        }
    }

    var url: String { "\(server.url)/metrics" }

    /// Lets a running request finish, for at most a second.
    func stop() async { await server.stop(grace: .seconds(1)) }
}
