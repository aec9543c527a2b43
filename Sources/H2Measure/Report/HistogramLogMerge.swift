import Histogram

/// Several logs merged into one, as `h2get bench merge A.hlog B.hlog` shows it. Histograms add up without loss, so the
/// percentiles are those of all requests together. Averaging percentiles would not give that.
package struct HistogramLogMerge {
    /// All lines with one tag.
    package struct Series {
        /// Nil for lines without a tag; in logs that `h2get bench --hdr` writes these are the latency.
        package var tag: String?
        package var histogram: TimeHistogram { sum.histogram }
        /// The number of lines.
        package var intervals = 0
        /// When the first began and the last ended, in seconds since 1970 if the logs say when they began.
        package var start = Double.infinity
        package var end = -Double.infinity
        fileprivate var sum = HistogramSum()

        package var name: String { tag ?? HistogramLog.untagged }
    }

    /// A histogram takes 270 kB, so a log with very many tags would use too much memory.
    private static let maximumTags = 64

    /// In the order of the logs, the one without a tag first.
    package private(set) var series: [Series] = []
    /// The file names as given.
    package private(set) var files: [String] = []
    /// What each says of its measurement, and when it measured.
    private var notes: [HistogramLogNotes] = []
    private var times = HistogramLogTimes(logs: [])
    /// Seconds by which the clock of each log's machine was ahead.
    private let clockOffsets: [Double]

    /// - Parameter clockOffsets: how far the clock of the machine of each log was ahead, in seconds, in the order of the logs;
    ///   empty if none was.
    package init(clockOffsets: [Double] = []) { self.clockOffsets = clockOffsets }

    /// Reads the log at `path` and adds it.
    /// - Throws: `HistogramLogError`; lines read before the error remain added, so discard the merge.
    package mutating func add(path: String) throws {
        begin(path)
        notes.append(try HistogramLogReader.read(path: path) { try take($0) })
    }

    /// Adds the log in `text`, which errors call `file`.
    package mutating func add(_ text: String, file: String) throws {
        begin(file)
        notes.append(try HistogramLogReader.read(Array(text.utf8), file: file) { try take($0) })
    }

    private mutating func begin(_ file: String) {
        files.append(file)
        times.logs.append(HistogramLogTimes.Log(file: file))
    }

    private mutating func take(_ interval: HistogramLogReader.Interval) throws {
        var index = series.firstIndex { $0.tag == interval.tag }
        if index == nil {
            guard series.count < Self.maximumTags else {
                throw HistogramPayloadError("has one more tag than the \(Self.maximumTags) that are read")
            }
            index = interval.tag == nil ? 0 : series.count
            series.insert(Series(tag: interval.tag), at: index!)
        }
        try series[index!].sum.add(interval.payload)
        let log = files.count - 1
        let start = interval.start - (log < clockOffsets.count ? clockOffsets[log] : 0)
        series[index!].intervals += 1
        series[index!].start = min(series[index!].start, start)
        series[index!].end = max(series[index!].end, start + interval.length)
        if interval.tag == nil { times.logs[log].add(start, interval.length) }
    }

    /// The series with this name; nil if there is none.
    package func series(named name: String) -> Series? { series.first { $0.name == name } }

    // MARK: What is shown

    /// The percentiles, with a column for each tag.
    package func text(width: Int, color: Bool) -> String {
        let style = TextStyle(color: color)
        var text = wrapped("Merged from \(files.map(printable).joined(separator: ", "))", width: width)
        text.append("")
        for entry in series {
            let name = printable(entry.name)
            text += wrapped(
                "\(name): \(grouped(Int(clamping: entry.histogram.totalCount))) values in "
                    + "\(grouped(entry.intervals, "interval")) over \(timeText(seconds: max(entry.end - entry.start, 0)))",
                width: width)
        }
        text += logLines(width: width, style: style)
        text.append("")
        let table = PercentileTable(series.map { (printable($0.name), $0.histogram) })
        return (text + table.lines(width: width, style: style)).map { $0 + "\n" }.joined()
    }

    /// A line for each log, and what is to be said about them.
    private func logLines(width: Int, style: TextStyle) -> [String] {
        var lines: [String] = []
        var remarks: [HistogramLogNotes.Remark] = times.sentences(name: printable).map {
            HistogramLogNotes.Remark(isWarning: true, text: $0)
        }
        for (index, log) in times.logs.enumerated() where !log.parts.isEmpty {
            let notes = notes[index]
            var parts = ["\(HistogramLogTimes.time(log.start)) to \(HistogramLogTimes.time(log.end))"]
            if let sent = notes.sent { parts.append(grouped(sent, "request")) }
            if let failed = notes.failed { parts.append("\(grouped(failed)) failed") }
            if let clock = notes.clock {
                parts.append("clock \(fixed(clock.offset, 2)) s ahead of the server's, which is allowed for")
            }
            lines += wrapped("\(printable(log.file)): \(parts.joined(separator: ", "))", width: width)
            // A single log's own remarks are in its own summary, too; of several it must be clear which one they are about.
            remarks += notes.remarks.map { remark in
                var remark = remark
                remark.text = "\(printable(log.file)): \(printable(remark.text))"
                return remark
            }
        }
        let sums = (notes.compactMap(\.sent).reduce(0, +), notes.compactMap(\.failed).reduce(0, +))
        if notes.count > 1, notes.allSatisfy({ $0.sent != nil }) {
            lines.append("together: \(grouped(sums.0, "request")), \(grouped(sums.1)) failed")
        }
        for remark in remarks {
            let kind = remark.isWarning ? style.yellow("warning:") : "note:"
            lines += wrapped("\(remark.isWarning ? "warning:" : "note:") \(remark.text)", width: width, indent: 2)
                .enumerated().map { index, line in
                    index == 0 ? kind + line.dropFirst(remark.isWarning ? 8 : 5) : line
                }
        }
        return lines
    }

    /// The percentiles of one series in the format of HdrHistogram's plotters (`.hgrm`), in milliseconds.
    package static func percentileText(_ histogram: TimeHistogram) -> String {
        PercentileText(histogram).text
    }

    /// A new log with one line for each tag, which can be merged further.
    package var logText: String {
        let start = series.map(\.start).min() ?? 0
        return HistogramLog.head(startedAt: start)
            + series.map {
                HistogramLog.line(tag: $0.tag, start: $0.start - start, length: $0.end - $0.start, $0.histogram)
            }.joined()
    }
}
