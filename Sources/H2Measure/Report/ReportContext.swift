package import H2Client
import HTTPTypes

/// The measuring program and its command line. Each page, document and summary includes them, so that it says by itself what
/// was measured.
package struct ReportContext: Sendable, Equatable {
    /// Name and version, such as `h2get 1.0.0`; empty if unknown.
    package var program: String
    /// The command line as given, without secrets; empty if there was none.
    package var commandLine: String

    package init(program: String = "", commandLine: String = "") {
        self.program = program
        self.commandLine = commandLine
    }

    /// The measurement's subject, by name.
    /// - Parameters:
    ///   - distance: the simulated distance, in words; nil if none can be simulated.
    ///   - spoken: the versions of HTTP and TLS.
    ///   - startedAt: seconds since 1970.
    package func facts(
        _ requests: [RequestList], distance: String? = nil, spoken: String, startedAt: Double
    ) -> [ReportFact] {
        let asked = requests.map(\.text).joined(separator: "; ")
        return [
            ReportFact("Requests", asked), ReportFact("Distance", distance ?? LinkConditions().inWords),
            ReportFact("Versions", [program, spoken].filter { !$0.isEmpty }.joined(separator: ", ")),
            ReportFact("Date", Page.date(startedAt)), ReportFact("Command", commandLine),
        ].filter { !$0.value.isEmpty }
    }

    /// The members that all documents have in common.
    func members(_ requests: [RequestList]) -> [JSONText.Member] {
        [
            .init("program", .string(program)), .init("command_line", .string(commandLine)),
            .init("requests", .array(requests.flatMap(\.entries).map(\.json))),
            .init("request_count", .integer(requests.reduce(0) { $0 + $1.count })),
        ]
    }
}

/// A fact about the measurement, as a name and a value.
package struct ReportFact: Sendable, Equatable {
    package var name: String
    /// May contain text from the user.
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// Lines for a terminal, with the names in a column.
    static func lines(_ facts: [ReportFact], width: Int) -> [String] {
        let margin = (facts.map(\.name.count).max() ?? 0) + 2
        // A narrow terminal has no room beside a name.
        guard width >= margin + 30 else {
            return facts.flatMap { fact in
                [fact.name] + wrapped(printable(fact.value), width: width - 2).map { "  " + $0 }
            }
        }
        return facts.flatMap { fact in
            wrapped(printable(fact.value), width: width - margin).enumerated().map { index, line in
                padded(index == 0 ? fact.name : "", margin) + line
            }
        }
    }
}

/// The requests sent in turn: methods and whole URLs, without credentials.
package struct RequestList: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var method: String
        package var url: String

        var text: String { "\(method) \(url)" }
        var json: JSONText { ["method": .string(method), "url": .string(url)] }
    }

    /// The number of requests named; there may be a million.
    private static let maximumEntries = 20

    package private(set) var entries: [Entry] = []
    package private(set) var count = 0

    package init() {}

    package init(origin: Origin, requests: [BenchPlan.Request]) {
        count = requests.count
        entries = requests.prefix(Self.maximumEntries).map { Entry(method: $0.method, url: $0.url(origin)) }
    }

    /// For example `GET https://localhost/1, and 19 others in turn`.
    package var text: String {
        guard let first = entries.first else { return "" }
        return count > 1 ? "\(first.text), and \(grouped(count - 1, "other")) in turn" : first.text
    }
}

extension BenchPlan.Request {
    var method: String { request.method.rawValue }

    /// The whole URL, without credentials.
    func url(_ origin: Origin) -> String { "\(origin)\(request.path ?? "/")" }
}

extension LinkConditions {
    /// For example `50.0 ms round trip and 1.0 % loss, simulated`.
    package var inWords: String {
        var parts: [String] = []
        if roundTrip > 0 { parts.append("\(timeText(roundTrip)) round trip") }
        if loss > 0 { parts.append("\(percent(loss)) loss") }
        return parts.isEmpty ? "none simulated" : parts.joined(separator: " and ") + ", simulated"
    }
}

extension BenchResult.Connections {
    /// For example `HTTP/2 over TLSv1.3 (TLS_AES_256_GCM_SHA384)`. May contain text from the server.
    package var spoken: String {
        let versions = [(http2, "HTTP/2"), (http1, "HTTP/1.1")].filter { $0.0 > 0 }.map(\.1)
        guard !versions.isEmpty else { return "no connection" }
        let spoken = versions.joined(separator: " and ")
        guard let tlsVersion else { return "\(spoken) in cleartext" }
        return "\(spoken) over \(tlsVersion)" + (cipher.map { " (\($0))" } ?? "")
    }
}
