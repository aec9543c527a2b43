import Histogram

/// Several logs as one: what `h2get bench merge A.hlog B.hlog` shows. Histograms add up without loss, so that the
/// percentiles are those of all requests together, which no averaging of percentiles gives.
package struct HistogramLogMerge {
    /// All lines of one tag.
    package struct Series {
        /// nil for lines without one, which are the latency in what `h2get bench --hdr` writes.
        package var tag: String?
        package var histogram: TimeHistogram { sum.histogram }
        /// How many lines.
        package var intervals = 0
        /// When the first began and the last ended; seconds since 1970 where the logs say when they began.
        package var start = Double.infinity
        package var end = -Double.infinity
        fileprivate var sum = HistogramSum()

        package var name: String { tag ?? HistogramLog.untagged }
    }

    /// A histogram takes 270 kB, so that a log of nothing but tags would take much.
    private static let mostTags = 64

    /// In the order in which the logs have them, the one without a tag first.
    package private(set) var series: [Series] = []
    /// As they were given.
    package private(set) var files: [String] = []

    package init() {}

    /// Reads the log at `path` and adds it.
    /// - Throws: `HistogramLogError`; what was read before remains added, so that the merge is of no more use.
    package mutating func add(path: String) throws {
        files.append(path)
        try HistogramLogReader.read(path: path) { try take($0) }
    }

    /// Adds the log that is `text`, which errors call `file`.
    package mutating func add(_ text: String, file: String) throws {
        files.append(file)
        try HistogramLogReader.read(Array(text.utf8), file: file) { try take($0) }
    }

    private mutating func take(_ interval: HistogramLogReader.Interval) throws {
        var index = series.firstIndex { $0.tag == interval.tag }
        if index == nil {
            guard series.count < Self.mostTags else {
                throw HistogramPayloadError("has one more tag than the \(Self.mostTags) that are read")
            }
            index = interval.tag == nil ? 0 : series.count
            series.insert(Series(tag: interval.tag), at: index!)
        }
        try series[index!].sum.add(interval.payload)
        series[index!].intervals += 1
        series[index!].start = min(series[index!].start, interval.start)
        series[index!].end = max(series[index!].end, interval.start + interval.length)
    }

    /// The series of that name; nil where there is none.
    package func series(named name: String) -> Series? { series.first { $0.name == name } }

    // MARK: What is shown

    /// The percentiles, a column for each tag.
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

    /// The percentiles of one series in the form that HdrHistogram's plotters read (`.hgrm`), in milliseconds.
    package static func percentileText(_ histogram: TimeHistogram) -> String {
        PercentileText(histogram).text
    }

    /// One log again, with a line for each tag, to be merged further.
    package var logText: String {
        let start = series.map(\.start).min() ?? 0
        return HistogramLog.head(startedAt: start)
            + series.map {
                HistogramLog.line(tag: $0.tag, start: $0.start - start, length: $0.end - $0.start, $0.histogram)
            }.joined()
    }
}
