/// When the requests of an open loop are to begin: a pure schedule, in nanoseconds since its beginning.
///
/// The rate goes evenly from one value to another within each stage, and stays at the last. Within a stage, by time t since its
/// beginning `from·t + (to - from)·t²/(2·length)` requests have begun in it; the time of the k-th is that solved for t.
package struct Arrivals: Sendable {
    private struct Stage {
        var from: Double
        var to: Double
        var length: Double
        /// Seconds, and requests, before it.
        var beginsAt: Double
        var begun: Double
        /// Requests in it.
        var count: Double
    }

    private var stages: [Stage] = []
    /// Requests a second behind the last stage; 0 for none.
    private var last: Double
    /// Of a script: when each of its lines is due on each of so many places.
    private var script: (times: [UInt64], places: Int)?
    private var endsAt = 0.0
    private var countAtEnd = 0.0
    /// Nanoseconds: a quarter of what 64 bits hold, as timers have it.
    private static let latest = 4_611_686_018_427_387_904.0

    /// - Parameters:
    ///   - from: requests a second at the beginning, 0 or more.
    ///   - to: requests a second after `ramp` seconds; above 0.
    ///   - ramp: 0 for the last rate from the beginning.
    package init(from: Double, to: Double, ramp: Double) {
        precondition(to > 0)
        self.init(stages: ramp > 0 ? [(from, to, ramp)] : [], last: to)
    }

    /// - Parameters:
    ///   - stages: in requests a second, 0 or more, and seconds, above 0.
    ///   - last: requests a second behind them.
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

    /// A script that each place goes through: all have its first line, then all the second.
    /// - Parameter times: nanoseconds, none earlier than the one before it.
    package init(script times: [UInt64], places: Int) {
        precondition(places > 0)
        last = 0
        script = (times, places)
    }

    /// The time of the request with this index, from 0; 146 years at most, which is where there is none.
    package func time(of index: Int) -> UInt64 {
        guard let script else { return time(ofCount: Double(index)) }
        let line = index / script.places
        return line < script.times.count ? script.times[line] : UInt64(Self.latest)
    }

    /// When so many requests have begun, whole or not.
    package func time(ofCount count: Double) -> UInt64 {
        let seconds: Double
        if count >= countAtEnd {
            seconds = last > 0 ? endsAt + (count - countAtEnd) / last : .infinity
        } else if let stage = stage(ofCount: count) {
            let (inStage, acceleration) = (count - stage.begun, (stage.to - stage.from) / stage.length)
            // The stable form of the quadratic's root: it holds where the acceleration is 0 or negative, too.
            let root = max(stage.from * stage.from + 2 * acceleration * inStage, 0).squareRoot()
            seconds = stage.beginsAt + (inStage <= 0 ? 0 : 2 * inStage / (stage.from + root))
        } else {
            seconds = endsAt
        }
        return UInt64(min((seconds * 1e9).rounded(), Self.latest))
    }

    /// The first stage that has not ended when so many requests have begun. There may be a thousand, and each arrival asks.
    private func stage(ofCount count: Double) -> Stage? {
        var (low, high) = (0, stages.count)
        while low < high {
            let middle = (low + high) / 2
            if count < stages[middle].begun + stages[middle].count { high = middle } else { low = middle + 1 }
        }
        return low < stages.count ? stages[low] : nil
    }

    /// The places that a part of a schedule sends for, of `all` places that take its requests in turn: `first`, and then
    /// each that comes `stride` later. So a part has as much of the schedule as it has places, and the parts together are
    /// the whole.
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

        /// Which request of the whole is the part's request with this index.
        package func request(_ index: Int) -> Int { round(index) * all + first + index % count * stride }

        /// How many requests its place has had before the part's request with this index.
        package func round(_ index: Int) -> Int { index / count }

        /// How much of the whole it is, 0 to 1.
        package var share: Double { Double(count) / Double(all) }
    }

    package func time(of index: Int, in part: Part) -> UInt64 { time(of: part.request(index)) }
}
