/// When the requests of an open loop are to begin: a pure schedule, in nanoseconds since its beginning.
///
/// The rate goes evenly from `from` to `to` within `ramp` seconds and stays there, so that by time t
/// `from·t + (to - from)·t²/(2·ramp)` requests have begun; the time of the k-th is that solved for t.
package struct Arrivals: Sendable, Equatable {
    private let from: Double
    private let to: Double
    private let ramp: Double
    private let countAtRampEnd: Double

    /// - Parameters:
    ///   - from: requests a second at the beginning, 0 or more.
    ///   - to: requests a second after `ramp` seconds; above 0.
    package init(from: Double, to: Double, ramp: Double) {
        precondition(from >= 0 && to > 0 && ramp >= 0)
        self.from = ramp > 0 ? from : to
        self.to = to
        self.ramp = ramp
        countAtRampEnd = (self.from + to) / 2 * ramp
    }

    /// The time of the request with this index, from 0.
    package func time(of index: Int) -> UInt64 {
        let count = Double(index)
        let seconds: Double
        if count >= countAtRampEnd {
            seconds = ramp + (count - countAtRampEnd) / to
        } else {
            let acceleration = (to - from) / ramp
            // The stable form of the quadratic's root: it holds where the acceleration is 0 or negative, too.
            let root = (from * from + 2 * acceleration * count).squareRoot()
            seconds = count == 0 ? 0 : 2 * count / (from + root)
        }
        return UInt64(seconds * 1e9)
    }

    /// The places that a part of a schedule sends for, of `all` places that take its requests in turn: `first`, and then
    /// each that comes `stride` later. So a part has as much of the schedule as it has places, and the parts together are
    /// the whole.
    package struct Part: Sendable, Equatable {
        private let first: Int
        private let stride: Int
        private let all: Int
        private let count: Int

        package init(first: Int, stride: Int, of all: Int) {
            precondition(first >= 0 && stride > 0 && all > first)
            (self.first, self.stride, self.all) = (first, stride, all)
            count = (all - first + stride - 1) / stride
        }

        /// Which request of the whole is the part's request with this index.
        package func request(_ index: Int) -> Int { index / count * all + first + index % count * stride }
    }

    package func time(of index: Int, in part: Part) -> UInt64 { time(of: part.request(index)) }
}
