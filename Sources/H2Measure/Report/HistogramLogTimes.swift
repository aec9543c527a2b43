/// When each of several logs measured, and whether all did at the same time.
struct HistogramLogTimes {
    /// One log's parts of time with latencies, in seconds since 1970, in order and apart from each other.
    struct Log {
        var file: String
        var parts: [Range<Double>] = []

        var start: Double { parts.first?.lowerBound ?? 0 }
        var end: Double { parts.last?.upperBound ?? 0 }

        /// Adds a part that begins no earlier than the others, as the lines of a log do; an earlier one is sorted in.
        mutating func add(_ start: Double, _ length: Double) {
            let part = start..<(start + max(length, 0))
            guard let last = parts.last else { return parts.append(part) }
            if part.lowerBound >= last.lowerBound, part.lowerBound <= last.upperBound + HistogramLogTimes.tolerance {
                parts[parts.count - 1] = last.lowerBound..<max(last.upperBound, part.upperBound)
            } else {
                parts = HistogramLogTimes.union(parts + [part])
            }
        }
    }

    /// Loops end their intervals at slightly different times, and responses come in bunches.
    static let tolerance = 0.25
    /// The least time without any response that is told of.
    private static let shortestGap = 1.5

    var logs: [Log]

    /// Sentences about the times, for several logs. Empty if all measured together.
    func sentences(name: (String) -> String) -> [String] {
        var sentences: [String] = []
        let logs = logs.filter { !$0.parts.isEmpty }
        let all = Self.union(logs.flatMap(\.parts))
        for (before, after) in zip(all, all.dropFirst()) where after.lowerBound - before.upperBound >= Self.shortestGap
        {
            let length = timeText(seconds: after.lowerBound - before.upperBound)
            sentences.append(
                "No log has a response in the \(length) from \(Self.time(before.upperBound)) to \(Self.time(after.lowerBound)): "
                    + "the server was away, or nobody measured then.")
        }
        guard logs.count > 1, let first = all.first, let last = all.last else { return sentences }
        let whole = last.upperBound - first.lowerBound
        let (begin, end) = (logs.map(\.start).max() ?? 0, logs.map(\.end).min() ?? 0)
        let common = end - begin
        if common <= 0 {
            sentences.append(
                "The logs were not measured at the same time: their percentiles are those of different loads. Start the "
                    + "machines together with --start-at.")
        } else if common < 0.9 * whole {
            let late = logs.max { $0.start < $1.start }
            let early = logs.min { $0.end < $1.end }
            var parts: [String] = []
            if let late, late.start - first.lowerBound > 0.05 * whole {
                parts.append(
                    "\(name(late.file)) began \(timeText(seconds: late.start - first.lowerBound)) after the first")
            }
            if let early, last.upperBound - early.end > 0.05 * whole {
                parts.append(
                    "\(name(early.file)) ended \(timeText(seconds: last.upperBound - early.end)) before the last")
            }
            sentences.append(
                "All logs measured at the same time for only \(timeText(seconds: common)) of \(timeText(seconds: whole)): "
                    + "\(parts.joined(separator: ", and ")). Start the machines together with --start-at.")
        }
        return sentences
    }

    /// The parts of time that any of these covers.
    static func union(_ parts: [Range<Double>]) -> [Range<Double>] {
        parts.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { union, part in
            if let last = union.last, part.lowerBound <= last.upperBound + tolerance {
                union[union.count - 1] = last.lowerBound..<max(last.upperBound, part.upperBound)
            } else {
                union.append(part)
            }
        }
    }

    /// The time of day, such as `14:00:05.3 UTC`.
    static func time(_ seconds: Double) -> String {
        // A log may say anything.
        let tenths = Int((min(max(seconds, -1e15), 1e15) * 10).rounded())
        let day = ((tenths / 10) % 86_400 + 86_400) % 86_400
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(day / 3_600)):\(two(day / 60 % 60)):\(two(day % 60)).\(abs(tenths % 10)) UTC"
    }
}
