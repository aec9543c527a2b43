internal import H2Client
import H2Platform

/// The figures of a running measurement, in the text format of Prometheus, with the names of k6.
package struct PrometheusText: Sendable {
    /// What all names begin with, such as `h2get_`.
    private let prefix: String
    /// The labels of each name, ready to be written.
    private let labels: [String]
    /// Streams of a closed loop without users.
    private let streams: Int?
    /// The most causes of failures; those after them are counted together.
    private static let maximumCauses = 1_000
    /// Everything counted so far.
    private var total = LiveFigures()

    package init(_ plan: BenchPlan, prefix: String) {
        self.prefix = prefix
        labels = LiveNames(plan).all.map { #"method="\#(Self.escaped($0.method))",name="\#(Self.escaped($0.path))""# }
        streams = plan.users == nil && plan.pace == .closed ? plan.connections * plan.streams : nil
    }

    /// Whether `text` is the beginning of a metric's name.
    package static func isPrefix(_ text: String) -> Bool {
        guard let first = text.utf8.first, !isDigit(first) else { return false }
        return text.utf8.allSatisfy {
            isDigit($0) || isLetter($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ":")
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }

    /// Adds what was counted since the last call.
    package mutating func add(_ figures: LiveFigures) {
        for (key, part) in figures.parts {
            var part = part
            // Not shown, and they would grow with the time.
            part.endedBySecond = [:]
            part.milliseconds = RoundedMilliseconds()
            total.parts[key, default: LiveFigures.Part()].add(part)
        }
        for (failure, count) in figures.failures {
            var failure = failure
            if total.failures.count >= Self.maximumCauses, total.failures[failure] == nil { failure.cause = "(others)" }
            total.failures[failure, default: 0] += count
        }
        (total.users, total.inFlight, total.connections) = (figures.users, figures.inFlight, figures.connections)
        // While loops end, the sums of those left would fall, and counters never do.
        (total.received, total.sent) = (max(total.received, figures.received), max(total.sent, figures.sent))
    }

    package var text: String {
        var out = ""
        let parts = total.parts.map { (labels: labels(of: $0.key), part: $0.value) }.sorted { $0.labels < $1.labels }
        head("http_reqs_total", "counter", "Requests that ended, answered or not.", &out)
        for (labels, part) in parts { line("http_reqs_total", labels, "\(part.ended)", &out) }
        head("http_req_duration_seconds", "histogram", "Time from the beginning of a request to its end.", &out)
        for (labels, part) in parts { histogram(part, labels, &out) }
        head("http_req_failed_total", "counter", "Requests that failed, by cause.", &out)
        for (failure, count) in total.failures.sorted(by: { ($0.key.name, $0.key.cause) < ($1.key.name, $1.key.cause) })
        {
            let error = #"\#(labels[failure.name]),error="\#(Self.escaped(failure.cause))""#
            line("http_req_failed_total", error, "\(count)", &out)
        }
        gauge("vus", "Users, or streams that always have a request under way.", streams ?? total.users, &out)
        gauge("http_reqs_in_flight", "Requests under way.", total.inFlight, &out)
        gauge("connections", "Open connections.", total.connections, &out)
        single("data_received_total", "counter", "Bytes received, with TLS and framing.", "\(total.received)", &out)
        single("data_sent_total", "counter", "Bytes sent, with TLS and framing.", "\(total.sent)", &out)
        process(&out)
        return out
    }

    /// The process itself, under the names that every client library of Prometheus uses.
    private func process(_ out: inout String) {
        let usage = ProcessClocks.usage
        let seconds = ((usage.user + usage.system) * 1e6).rounded() / 1e6
        out += "# HELP process_cpu_seconds_total CPU time of this process.\n# TYPE process_cpu_seconds_total counter\n"
        out += "process_cpu_seconds_total \(seconds)\n"
        out += "# HELP process_max_resident_memory_bytes The largest resident size of this process.\n"
        out += "# TYPE process_max_resident_memory_bytes gauge\n"
        out += "process_max_resident_memory_bytes \(usage.residentBytes)\n"
    }

    private func histogram(_ part: LiveFigures.Part, _ labels: String, _ out: inout String) {
        let name = "http_req_duration_seconds"
        var count = 0
        for (bound, own) in zip(LiveFigures.bounds, part.counts) {
            count += own
            line("\(name)_bucket", #"\#(labels),le="\#(Double(bound) / 1e9)""#, "\(count)", &out)
        }
        line("\(name)_bucket", #"\#(labels),le="+Inf""#, "\(part.ended)", &out)
        line("\(name)_sum", labels, "\(Double(part.latencies) / 1e9)", &out)
        line("\(name)_count", labels, "\(part.ended)", &out)
    }

    private func labels(of key: LiveFigures.Key) -> String {
        #"\#(labels[key.name]),status="\#(key.status)",expected_response="\#(!key.isFailure)""#
    }

    private func head(_ name: String, _ type: String, _ help: String, _ out: inout String) {
        out += "# HELP \(prefix)\(name) \(help)\n# TYPE \(prefix)\(name) \(type)\n"
    }

    private func line(_ name: String, _ labels: String, _ value: String, _ out: inout String) {
        out += "\(prefix)\(name){\(labels)} \(value)\n"
    }

    private func gauge(_ name: String, _ help: String, _ value: Int, _ out: inout String) {
        single(name, "gauge", help, "\(value)", &out)
    }

    private func single(_ name: String, _ type: String, _ help: String, _ value: String, _ out: inout String) {
        head(name, type, help, &out)
        out += "\(prefix)\(name) \(value)\n"
    }

    /// The value of a label, without its quotes.
    static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { out, scalar in
            switch scalar {
            case "\\": out += #"\\"#
            case "\"": out += #"\""#
            case "\n": out += #"\n"#
            default: out.unicodeScalars.append(scalar)
            }
        }
    }
}
