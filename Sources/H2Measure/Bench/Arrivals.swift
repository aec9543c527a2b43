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

    /// A part of it for each of `parts`, whose requests together are as many, evenly mixed: the request `index` of part
    /// `part` is request `index * parts + part` of the whole.
    package func time(of index: Int, part: Int, of parts: Int) -> UInt64 { time(of: index * parts + part) }
}
