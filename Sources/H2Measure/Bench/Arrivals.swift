/// The times at which the requests of an open loop begin: a pure schedule, in nanoseconds since its beginning.
///
/// The rate changes linearly within each stage, and stays at the last value. By time t since a stage's beginning,
/// `from·t + (to - from)·t²/(2·length)` of its requests have begun; the time of the k-th is that formula solved for t.
package struct Arrivals: Sendable {
    private struct Stage {
        var from: Double
        var to: Double
        var length: Double
        /// Seconds, and requests, before this stage.
        var beginsAt: Double
        var begun: Double
        /// Requests in this stage.
        var count: Double
    }

    private var stages: [Stage] = []
    /// Requests per second after the last stage; 0 for none.
    private var last: Double
    /// For a script: when each of its lines is due on each of `slots` connection slots.
    private var script: (times: [UInt64], slots: Int)?
    private var endsAt = 0.0
    private var countAtEnd = 0.0
    /// In nanoseconds: a quarter of the range of 64 bits, the limit of timers.
    private static let latest = 4_611_686_018_427_387_904.0

    /// - Parameters:
    ///   - from: requests per second at the beginning, 0 or more.
    ///   - to: requests per second after `ramp` seconds; above 0.
    ///   - ramp: seconds; 0 to use the final rate from the beginning.
    package init(from: Double, to: Double, ramp: Double) {
        precondition(to > 0)
        self.init(stages: ramp > 0 ? [(from, to, ramp)] : [], last: to)
    }

    /// - Parameters:
    ///   - stages: in requests per second, 0 or more, and seconds, above 0.
    ///   - last: requests per second after the stages.
    package init(stages: [(from: Double, to: Double, seconds: Double)], last: Double) {
        self.last = last
        for stage in stages {
            precondition(stage.from >= 0 && stage.to >= 0 && stage.seconds > 0)
            let count = (stage.from + stage.to) / 2 * stage.seconds
            self.stages.append(
                Stage(
                    from: stage.from, to: stage.to, length: stage.seconds, beginsAt: endsAt, begun: countAtEnd,
                    count: count))
            endsAt += stage.seconds
            countAtEnd += count
        }
    }

    /// A script that each slot runs through: all of them get its first line, then all get the second.
    /// - Parameter times: nanoseconds, in ascending order.
    package init(script times: [UInt64], slots: Int) {
        precondition(slots > 0)
        last = 0
        script = (times, slots)
    }

    /// The time of the request with this index, from 0; at most 146 years, which also means that there is no such request.
    package func time(of index: Int) -> UInt64 {
        guard let script else { return time(ofCount: Double(index)) }
        let line = index / script.slots
        return line < script.times.count ? script.times[line] : UInt64(Self.latest)
    }

    /// The time at which `count` requests have begun, not necessarily a whole number.
    package func time(ofCount count: Double) -> UInt64 {
        let seconds: Double
        if count >= countAtEnd {
            seconds = last > 0 ? endsAt + (count - countAtEnd) / last : .infinity
        } else if let stage = stage(ofCount: count) {
            let (inStage, acceleration) = (count - stage.begun, (stage.to - stage.from) / stage.length)
            // The numerically stable form of the quadratic's root: it also holds if the acceleration is 0 or negative.
            let root = max(stage.from * stage.from + 2 * acceleration * inStage, 0).squareRoot()
            seconds = stage.beginsAt + (inStage <= 0 ? 0 : 2 * inStage / (stage.from + root))
        } else {
            seconds = endsAt
        }
        return UInt64(min((seconds * 1e9).rounded(), Self.latest))
    }

    /// The first stage that has not ended when `count` requests have begun. There may be a thousand stages, and each arrival
    /// looks one up.
    private func stage(ofCount count: Double) -> Stage? {
        var (low, high) = (0, stages.count)
        while low < high {
            let middle = (low + high) / 2
            if count < stages[middle].begun + stages[middle].count { high = middle } else { low = middle + 1 }
        }
        return low < stages.count ? stages[low] : nil
    }

    /// The slots that one part of a schedule sends for, out of `all` slots that take its requests in turn: `first`, and then
    /// every `stride`-th after it. The parts together are the whole schedule, each in proportion to its number of slots.
    package struct Part: Sendable, Equatable {
        package let first: Int
        private let stride: Int
        private let all: Int
        private let count: Int

        package init(first: Int, stride: Int, of all: Int) {
            precondition(first >= 0 && stride > 0 && all > first)
            (self.first, self.stride, self.all) = (first, stride, all)
            count = (all - first + stride - 1) / stride
        }

        /// The index in the whole schedule of the part's request with this index.
        package func request(_ index: Int) -> Int { round(index) * all + first + index % count * stride }

        /// The number of requests that its slot has had before the part's request with this index.
        package func round(_ index: Int) -> Int { index / count }

        /// The part's share of the whole, 0 to 1.
        package var share: Double { Double(count) / Double(all) }
    }

    package func time(of index: Int, in part: Part) -> UInt64 { time(of: part.request(index)) }
}
