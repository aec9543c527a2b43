/// Latencies of one loop, recorded as requests end.
///
/// Most requests are sent the moment they are due, and head and end of their responses arrive in one read. Then latency,
/// corrected latency and time to first byte are the same number, which is recorded once. Only the others are recorded three
/// times.
///
/// Not safe for concurrent use.
final class Recorder {
    /// Requests whose three times are the same, and the latencies of the others.
    private let plain = LatencyCounts()
    private let other = LatencyCounts()
    private let otherCorrected = LatencyCounts()
    private let otherFirstByte = LatencyCounts()

    @inline(__always)
    func record(_ nanoseconds: UInt64) { plain.record(nanoseconds) }

    func record(latency: UInt64, corrected: UInt64, firstByte: UInt64) {
        other.record(latency)
        otherCorrected.record(corrected)
        otherFirstByte.record(firstByte)
    }

    var isEmpty: Bool { plain.total + other.total == 0 }

    func reset() {
        for counts in [plain, other, otherCorrected, otherFirstByte] { counts.reset() }
    }

    func add(_ recorder: Recorder) {
        plain.add(recorder.plain)
        other.add(recorder.other)
        otherCorrected.add(recorder.otherCorrected)
        otherFirstByte.add(recorder.otherFirstByte)
    }

    /// Adds the latencies to `counts`.
    func addLatencies(to counts: LatencyCounts) {
        counts.add(plain)
        counts.add(other)
    }

    var latency: TimeHistogram { sum(other) }
    var corrected: TimeHistogram { sum(otherCorrected) }
    var firstByte: TimeHistogram { sum(otherFirstByte) }

    private func sum(_ second: LatencyCounts) -> TimeHistogram {
        let sum = LatencyCounts()
        sum.add(plain)
        sum.add(second)
        return sum.histogram()
    }
}
