import H2Measure
import H2Platform

/// A line of progress with its width, which its colours hide.
struct ProgressLine: Sendable, Equatable {
    var text: String
    var columns: Int

    init(_ text: String) { (self.text, columns) = (text, TerminalText.columns(text)) }

    fileprivate init() { (text, columns) = ("", 0) }

    fileprivate mutating func add(_ text: String, _ style: (String) -> String = { $0 }) {
        columns += TerminalText.columns(text)
        self.text += style(text)
    }

    /// The line in at most `limit` columns. A line that is cut loses its colours.
    fileprivate func cut(to limit: Int, plain: String) -> ProgressLine {
        columns <= limit ? self : ProgressLine(TerminalText.shortened(plain, to: max(0, limit)))
    }
}

/// The lines that progress shows: functions of a snapshot, the terminal's size and the colours.
enum ProgressText {
    /// Transfers with a line of their own, at most.
    static let mostLines = 10

    /// A line for each running transfer, the rest in one line, and a line for all.
    /// - Parameter height: the terminal's lines, of which two stay free for the text above.
    static func lines(_ snapshot: ProgressSnapshot, width: Int, height: Int, style: TextStyle) -> [ProgressLine] {
        // Text in the last column makes some terminals wrap before the next character.
        let width = max(width - 1, 1)
        let isAlone = snapshot.total == 1
        if isAlone, let only = snapshot.running.first {
            return [line(only, TerminalText.columns(only.name), width, style)]
        }
        let room = max(0, height - 4)
        let shown = largest(snapshot.running, min(mostLines, room))
        // The bars stand below each other.
        let name = shown.reduce(0) { max($0, TerminalText.columns($1.name)) }
        var lines = shown.map { line($0, name, width, style) }
        if let rest = rest(snapshot.running, shown, width), room > 0 { lines.append(rest) }
        return lines + [total(snapshot, width, style)]
    }

    /// One bar for everything (-#).
    static func bar(_ snapshot: ProgressSnapshot, width: Int, style: TextStyle) -> ProgressLine {
        let width = max(width - 1, 1)
        guard let part = snapshot.part else {
            var parts = [byteCount(snapshot.bytes)]
            if let rate = snapshot.rate { parts.append("\(byteCount(Int(min(rate, 1e15))))/s") }
            if snapshot.total != 1 { parts.insert(doneText(snapshot), at: 0) }
            return joined(parts, width)
        }
        let percent = TerminalText.rightAligned("\(tenths(part)) %", to: 7)
        var line = ProgressLine()
        let room = width - 8
        if room >= 8 {
            let filled = Int(part * Double(room))
            if filled > 0 { line.add(String(repeating: "#", count: filled), style.green) }
            line.add(String(repeating: " ", count: room - filled + 1))
        }
        line.add(percent)
        return line.cut(to: width, plain: percent)
    }

    // MARK: - One transfer

    /// Those with the most bytes, in the order of the URLs, so that lines do not change places.
    private static func largest(_ running: [ProgressSnapshot.Running], _ count: Int) -> [ProgressSnapshot.Running] {
        func size(_ one: ProgressSnapshot.Running) -> Int { max(one.expected ?? 0, one.received) }
        guard running.count > count else { return running.sorted { $0.index < $1.index } }
        let sorted = running.sorted { (size($0), $1.index) > (size($1), $0.index) }
        return sorted.prefix(count).sorted { $0.index < $1.index }
    }

    /// The figures behind a name, each with its width. The narrower the terminal, the fewer of them are shown.
    private enum Figure: CaseIterable {
        case percent, size, rate, left

        var width: Int {
            switch self {
            case .percent: 5
            case .size: 8
            case .rate: 10
            case .left: 11
            }
        }

        func text(_ one: ProgressSnapshot.Running) -> String {
            switch self {
            case .percent: return one.part.map { "\(Int($0 * 100)) %" } ?? ""
            case .size: return byteCount(one.received)
            case .rate:
                if one.state == .waiting { return "waiting" }
                return one.rate.map { "\(byteCount(Int(min($0, 1e15))))/s" } ?? ""
            case .left: return one.secondsLeft.flatMap(clock).map { "ETA \($0)" } ?? ""
            }
        }
    }

    /// The fewest columns for a name, below which figures give way.
    private static let narrowestName = 12
    private static let narrowestBar = 10
    private static let widestBar = 30

    /// - Parameter name: the columns of the longest name.
    private static func line(
        _ one: ProgressSnapshot.Running, _ name: Int, _ width: Int, _ style: TextStyle
    ) -> ProgressLine {
        var figures = Figure.allCases
        func taken() -> Int { figures.reduce(0) { $0 + 2 + $1.width } }
        for figure in [Figure.left, .rate, .size, .percent] where width - taken() < narrowestName {
            figures.removeAll { $0 == figure }
        }
        var room = width - taken()
        // The bar takes what the name leaves, up to half of it.
        var bar = 0
        if room >= narrowestName + 2 + narrowestBar {
            bar = min(widestBar, max(room - 2 - max(name, narrowestName), min(room / 2, narrowestBar)))
            room -= bar + 2
        }
        var line = ProgressLine()
        let shown = TerminalText.shortened(one.name, to: room)
        line.add(bar == 0 && figures.isEmpty ? shown : TerminalText.padded(shown, to: room))
        if bar > 0 {
            let filled = Int((one.part ?? 0) * Double(bar - 2))
            line.add("  [")
            if filled > 0 { line.add(String(repeating: "=", count: filled), style.green) }
            line.add(String(repeating: " ", count: bar - 2 - filled) + "]")
        }
        for figure in figures {
            line.add("  " + TerminalText.rightAligned(figure.text(one), to: figure.width))
        }
        return line
    }

    private static func rest(
        _ running: [ProgressSnapshot.Running], _ shown: [ProgressSnapshot.Running], _ width: Int
    ) -> ProgressLine? {
        guard running.count > shown.count else { return nil }
        let bytes = running.reduce(0) { $0 + $1.received } - shown.reduce(0) { $0 + $1.received }
        let rate = running.reduce(0) { $0 + ($1.rate ?? 0) } - shown.reduce(0) { $0 + ($1.rate ?? 0) }
        return joined(
            [
                "and \(grouped(running.count - shown.count)) more", byteCount(bytes),
                "\(byteCount(Int(min(max(rate, 0), 1e15))))/s",
            ], width)
    }

    // MARK: - All

    private static func doneText(_ snapshot: ProgressSnapshot) -> String {
        "\(grouped(snapshot.ended))\(snapshot.total.map { "/\(grouped($0))" } ?? "") done"
    }

    private static func total(_ snapshot: ProgressSnapshot, _ width: Int, _ style: TextStyle) -> ProgressLine {
        var parts = [doneText(snapshot)]
        let failed = "\(grouped(snapshot.failed)) failed"
        if snapshot.failed > 0 { parts.append(failed) }
        parts.append("\(grouped(snapshot.running.count)) running")
        parts.append(byteCount(snapshot.bytes))
        if let rate = snapshot.rate { parts.append("\(byteCount(Int(min(rate, 1e15))))/s") }
        if let left = snapshot.secondsLeft.flatMap(clock) { parts.append("ETA \(left)") }
        if !snapshot.heldBack.isEmpty { parts.append(snapshot.heldBack) }
        var line = joined(parts, width)
        if snapshot.failed > 0, let place = line.text.firstRange(ofASCII: failed) {
            line.text.replaceSubrange(place, with: style.red(failed))
        }
        return line
    }

    /// As many of the parts, from the first on, as fit.
    private static func joined(_ parts: [String], _ width: Int) -> ProgressLine {
        var parts = parts
        while parts.count > 1, TerminalText.columns(parts.joined(separator: ", ")) > width { parts.removeLast() }
        return ProgressLine(TerminalText.shortened(parts.joined(separator: ", "), to: width))
    }

    // MARK: - Numbers

    /// Whole tenths of a percent, rounded down: 100 is for what is complete.
    private static func tenths(_ part: Double) -> String {
        let tenths = Int(max(0, part) * 1000)
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// A time such as `0:05`, `12:30` or `2:46:00`; nil above 100 hours.
    static func clock(_ seconds: Double) -> String? {
        guard seconds.isFinite, seconds >= 0, seconds < 360_000 else { return nil }
        let whole = Int(seconds.rounded(.up))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        guard whole >= 3600 else { return "\(whole / 60):\(two(whole % 60))" }
        return "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))"
    }
}
