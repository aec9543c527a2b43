internal import H2Client
internal import Histogram

/// Latencies as they come, for one loop.
///
/// Most requests are sent the moment they are to begin, and head and end of their responses come in one read: then
/// latency, corrected latency and the time to first byte are one number, and it is recorded once. Only others are recorded
/// three times.
struct Recorder {
    /// Requests whose three times are the same, and the latencies of the others.
    private(set) var plain = TimeHistogram.nanoseconds()
    private(set) var other = TimeHistogram.nanoseconds()
    private(set) var otherCorrected = TimeHistogram.nanoseconds()
    private(set) var otherFirstByte = TimeHistogram.nanoseconds()

    @inline(__always)
    mutating func record(_ nanoseconds: UInt64) { plain.record(min(nanoseconds, TimeHistogram.longest)) }

    mutating func record(latency: UInt64, corrected: UInt64, firstByte: UInt64) {
        other.record(min(latency, TimeHistogram.longest))
        otherCorrected.record(min(corrected, TimeHistogram.longest))
        otherFirstByte.record(min(firstByte, TimeHistogram.longest))
    }

    mutating func reset() {
        guard plain.totalCount + other.totalCount > 0 else { return }
        plain.reset()
        guard other.totalCount > 0 else { return }
        other.reset()
        otherCorrected.reset()
        otherFirstByte.reset()
    }

    mutating func add(_ recorder: Recorder) {
        if recorder.plain.totalCount > 0 { plain.add(recorder.plain) }
        guard recorder.other.totalCount > 0 else { return }
        other.add(recorder.other)
        otherCorrected.add(recorder.otherCorrected)
        otherFirstByte.add(recorder.otherFirstByte)
    }

    var latency: TimeHistogram { sum(plain, other) }
    var corrected: TimeHistogram { sum(plain, otherCorrected) }
    var firstByte: TimeHistogram { sum(plain, otherFirstByte) }

    private func sum(_ first: TimeHistogram, _ second: TimeHistogram) -> TimeHistogram {
        guard second.totalCount > 0 else { return first }
        var sum = first
        sum.add(second)
        return sum
    }
}
