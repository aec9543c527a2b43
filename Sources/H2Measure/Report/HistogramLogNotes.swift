/// What a histogram log says of its measurement besides latencies, in comments that other readers of the format skip.
package struct HistogramLogNotes: Sendable, Equatable {
    /// How far the machine's clock was ahead of the server's, in seconds, and how wrong that may be. The times of the log are
    /// the server's then.
    package struct Clock: Sendable, Equatable {
        package var offset: Double
        package var uncertainty: Double

        package init(offset: Double, uncertainty: Double) { (self.offset, self.uncertainty) = (offset, uncertainty) }
    }

    /// Nil if the log does not say.
    package var sent: Int?
    package var done: Int?
    package var failed: Int?
    package var clock: Clock?
    /// Warnings and notes.
    package var remarks: [Remark] = []

    package struct Remark: Sendable, Equatable {
        package var isWarning: Bool
        package var text: String

        package init(isWarning: Bool, text: String) { (self.isWarning, self.text) = (isWarning, text) }
    }

    /// Remarks beyond this number are skipped when a log is read, and so is the rest of a longer text.
    private static let maximumRemarks = 64
    private static let maximumText = 4_096

    package init() {}

    package init(_ result: BenchResult, _ verdicts: [Verdict]) {
        (sent, done, failed) = (result.requests.sent, result.requests.done, result.requests.failed)
        clock = result.clock
        remarks = verdicts.filter { $0.severity != .fine }.map {
            Remark(isWarning: $0.severity == .warning, text: $0.text)
        }
    }

    /// Lines of a log's head.
    var text: String {
        var lines: [String] = []
        if let sent, let done, let failed { lines.append("requests: \(sent) sent, \(done) done, \(failed) failed") }
        if let clock {
            lines.append("clock: \(fixed(clock.offset, 3)) s ahead, within \(fixed(clock.uncertainty, 3)) s")
        }
        lines += remarks.map { "\($0.isWarning ? "warning" : "note"): \(printable($0.text))" }
        return lines.map { "#[h2get \($0)]\n" }.joined()
    }

    /// Takes a comment of a log, without its `#`. Everything that is not of these lines is skipped.
    mutating func take(_ comment: String) {
        guard comment.hasPrefix("[h2get "), comment.hasSuffix("]") else { return }
        let line = comment.dropFirst(7).dropLast()
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else { return }
        let text = line[colon...].dropFirst().drop { $0 == " " }
        switch line[..<colon] {
        case "requests":
            let counts = Self.numbers(text).map { Int(exactly: $0) ?? nil }
            guard counts.count == 3, let all = counts as? [Int],
                all.allSatisfy({ (0...1_000_000_000_000_000).contains($0) })
            else { return }
            (sent, done, failed) = (all[0], all[1], all[2])
        case "clock":
            let numbers = Self.numbers(text)
            guard numbers.count == 2, abs(numbers[0]) < 1e9, (0..<1e9).contains(numbers[1]) else { return }
            clock = Clock(offset: numbers[0], uncertainty: numbers[1])
        case "warning", "note":
            guard remarks.count < Self.maximumRemarks else { return }
            remarks.append(Remark(isWarning: line[..<colon] == "warning", text: String(text.prefix(Self.maximumText))))
        default: return
        }
    }

    /// The numbers among the words of a line.
    private static func numbers(_ text: Substring) -> [Double] {
        text.split(whereSeparator: { $0 == " " || $0 == "," }).compactMap { word in
            word.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2d || $0 == 0x2e } ? Double(word) : nil
        }
    }
}
