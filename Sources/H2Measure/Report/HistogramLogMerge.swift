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

    package init() {}

    /// Reads the log at `path` and adds it.
    /// - Throws: `HistogramLogError`; lines read before the error remain added, so discard the merge.
    package mutating func add(path: String) throws {
        files.append(path)
        try HistogramLogReader.read(path: path) { try take($0) }
    }

    /// Adds the log in `text`, which errors call `file`.
    package mutating func add(_ text: String, file: String) throws {
        files.append(file)
        try HistogramLogReader.read(Array(text.utf8), file: file) { try take($0) }
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
        series[index!].intervals += 1
        series[index!].start = min(series[index!].start, interval.start)
        series[index!].end = max(series[index!].end, interval.start + interval.length)
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
        text.append("")
        let table = PercentileTable(series.map { (printable($0.name), $0.histogram) })
        return (text + table.lines(width: width, style: style)).map { $0 + "\n" }.joined()
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
