import H2Platform
import Histogram

/// A histogram log in HdrHistogram's format 1.3, which its viewers and libraries read. Logs of several measurements can be
/// merged without loss (`HistogramLogMerge`).
///
/// The latency of each interval is a line without a tag, since viewers show these by default. Figures kept only for the whole
/// measurement (corrected latency, first byte, TCP connect, TLS handshake) have one line each, with a tag. Values are
/// nanoseconds; the times of lines are seconds since the measurement began (`BaseTime`), and their largest value is in
/// milliseconds, as is customary in the format.
package enum HistogramLog {
    /// The name for lines without a tag, where one is needed.
    package static let untagged = "latency"

    static let legend = #""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#

    /// The whole log of one measurement. If the intervals' histograms were not kept (`keepsIntervalHistograms`), the latency is
    /// one line.
    /// - Parameter verdicts: noted in the log, for `HistogramLogMerge`.
    package static func text(_ result: BenchResult, verdicts: [Verdict] = []) -> String {
        var text = head(
            startedAt: result.startedAt - (result.clock?.offset ?? 0), HistogramLogNotes(result, verdicts))
        let tagged = [
            ("corrected", result.corrected), ("first_byte", result.firstByte), ("connect", result.connect),
            ("tls", result.handshake),
        ]
        for (tag, histogram) in tagged where histogram.totalCount > 0 {
            text += line(tag: tag, start: 0, length: result.elapsed, histogram)
        }
        let seconds = seconds(result)
        for second in seconds {
            text += line(tag: nil, start: second.start, length: second.end - second.start, second.latency)
        }
        if seconds.isEmpty { text += line(tag: nil, start: 0, length: result.elapsed, result.latency) }
        return text
    }

    /// The intervals' histograms. Intervals shorter than a second are joined to one second, so that a finer time line does not
    /// lengthen the log. Drained responses stay separate.
    private static func seconds(_ result: BenchResult) -> [(start: Double, end: Double, latency: TimeHistogram)] {
        var seconds: [(start: Double, end: Double, latency: TimeHistogram)] = []
        for interval in result.intervals {
            guard let latency = interval.latency else { continue }
            let end = interval.start + interval.length
            guard !interval.isDrain, let last = seconds.last, last.end - last.start < 0.95 else {
                seconds.append((interval.start, end, latency))
                continue
            }
            seconds[seconds.count - 1].end = end
            seconds[seconds.count - 1].latency = sum(last.latency, latency)
        }
        return seconds
    }

    /// With room for both; each has room only for its own values.
    private static func sum(_ one: TimeHistogram, _ other: TimeHistogram) -> TimeHistogram {
        var sum = TimeHistogram.nanoseconds()
        for histogram in [one, other] {
            // The smallest and the largest value are exact.
            for (index, step) in histogram.recorded().enumerated() {
                sum.record(index == 0 ? histogram.min : min(step.value, histogram.maxRecorded), count: step.count)
            }
            sum.record(histogram.maxRecorded, count: 0)
        }
        return sum
    }

    /// - Parameter startedAt: seconds since 1970.
    static func head(startedAt: Double, _ notes: HistogramLogNotes = HistogramLogNotes()) -> String {
        let date = date(startedAt)
        return """
            #[h2get bench: nanoseconds; lines without a tag are the latency of responses, by interval]
            #[Histogram log format version 1.3]
            \(notes.text)#[StartTime: \(fixed(startedAt, 3)) (seconds since epoch)\(date.isEmpty ? "" : ", \(date)")]
            #[BaseTime: \(fixed(startedAt, 3)) (seconds since epoch)]
            \(legend)

            """
    }

    /// - Parameters:
    ///   - tag: without a comma, space or line end; nil for none.
    ///   - start: seconds since the base time.
    static func line(tag: String?, start: Double, length: Double, _ histogram: TimeHistogram) -> String {
        let tag = tag.map { "Tag=\($0)," } ?? ""
        let most = histogram.totalCount == 0 ? 0 : Double(histogram.maxRecorded) / 1e6
        let payload = HistogramPayload(histogram).encoded()
        return "\(tag)\(fixed(start, 3)),\(fixed(length, 3)),\(fixed(most, 3)),\(payload)\n"
    }

    /// For example `Wed Sep 09 08:24:39 UTC 2015`; empty for a time that has no date.
    private static func date(_ seconds: Double) -> String {
        guard seconds.isFinite, abs(seconds) < 1e11 else { return "" }
        var time = time_t(seconds.rounded(.down))
        var parts = tm()
        guard gmtime_r(&time, &parts) != nil else { return "" }
        let bytes = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
            count = buffer.withMemoryRebound(to: CChar.self) { text in
                strftime(text.baseAddress!, text.count, "%a %b %d %H:%M:%S UTC %Y", &parts)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
