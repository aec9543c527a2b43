import H2Client
import H2Measure
import HTTPTypes

/// The five slowest transfers of a run, and where their time went.
struct SlowestTransfers {
    struct Entry: Equatable {
        /// Printable, without secrets.
        var url: String
        var status: Int?
        var total: Duration
        var phases: TransferPhases?
    }

    static let count = 5
    /// The slowest first.
    private(set) var entries: [Entry] = []

    mutating func add(_ report: TransferReport) {
        guard isSlow(report.total) else { return }
        add(
            Entry(
                url: shortened(printable(withoutSecrets(report.url)), to: 200), status: report.response?.status.code,
                total: report.total, phases: report.phases))
    }

    mutating func add(_ entry: Entry) {
        guard isSlow(entry.total) else { return }
        let index = entries.firstIndex { $0.total < entry.total } ?? entries.count
        entries.insert(entry, at: index)
        if entries.count > Self.count { entries.removeLast() }
    }

    private func isSlow(_ total: Duration) -> Bool {
        entries.count < Self.count || entries[Self.count - 1].total < total
    }

    /// A heading and a line for each; empty for a single transfer, whose times are those of the run.
    var lines: [String] {
        guard entries.count > 1 else { return [] }
        return ["h2get: slowest:"]
            + entries.map { entry in
                "  \(entry.total.brief)  \(entry.url)" + (entry.status.map { " (\($0))" } ?? "")
                    + (entry.phases.map { ": \(Self.text($0))" } ?? ": no response")
            }
    }

    /// The phases that took any time, such as `queue 1.20 ms, first byte 3.00 ms, body 2.10 s (window stalls 1.90 s)`.
    static func text(_ phases: TransferPhases) -> String {
        let all = [
            ("queue", phases.queue), ("connect", phases.connect), ("TLS", phases.tls), ("first byte", phases.firstByte),
            ("body", phases.body),
        ]
        // Below this a phase explains nothing.
        let shortest = Duration.microseconds(10)
        let parts = all.filter { $0.1 >= shortest }.map { "\($0.0) \($0.1.brief)" }
        let stall = phases.windowStall >= shortest ? " (window stalls \(phases.windowStall.brief))" : ""
        return (parts.isEmpty ? "less than 0.01 ms" : parts.joined(separator: ", ")) + stall
    }
}
