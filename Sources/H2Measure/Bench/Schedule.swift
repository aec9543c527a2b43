import H2Platform

/// A worker's part of the arrivals, and its progress through them.
struct Schedule {
    let part: Arrivals.Part
    private let beganAt: UInt64
    /// When it ends: nothing due at or after this belongs to it.
    private let endsAt: UInt64
    /// The number that have arrived.
    private(set) var taken = 0
    /// When the next is due, in the loop's time.
    private(set) var next: UInt64
    private var chance: Chance?

    /// Random arrivals (a Poisson process): the gaps are exponential, with the mean given by the current rate. The parts of
    /// several workers need no coordination, since the sum of Poisson processes is one again.
    private struct Chance {
        var generator: SplitMix64
        /// The number that have arrived by the rate, of the whole schedule.
        var count = 0.0

        mutating func advance(_ share: Double) {
            // Above 0, at most 1.
            let uniform = (Double(generator.next() >> 11) + 1) * 0x1p-53
            count -= log(uniform) / share
        }
    }

    /// - Parameters:
    ///   - length: nanoseconds; `max` for no end.
    ///   - seed: for random arrivals; nil for regular ones.
    init(_ part: Arrivals.Part, of arrivals: Arrivals, beganAt: UInt64, length: UInt64 = .max, seed: UInt64? = nil) {
        self.part = part
        self.beganAt = beganAt
        endsAt = length == .max ? .max : beganAt &+ length
        next = beganAt
        if let seed {
            chance = Chance(generator: SplitMix64(seed: seed))
            chance?.advance(part.share)
        }
        next = time(arrivals)
    }

    /// The number of requests that the slot of the next one has had before it.
    var round: Int { part.round(taken) }

    var isAtAnEnd: Bool { next >= endsAt }

    /// The last moment of its time, or the time when it began if it has no end.
    var end: UInt64 { endsAt == .max ? beganAt : endsAt &- 1 }

    /// The next one has arrived.
    mutating func take(_ arrivals: Arrivals) {
        taken += 1
        chance?.advance(part.share)
        next = time(arrivals)
    }

    private func time(_ arrivals: Arrivals) -> UInt64 {
        beganAt &+ (chance.map { arrivals.time(ofCount: $0.count) } ?? arrivals.time(of: taken, in: part))
    }

    /// The number that are due and have not been taken; for random arrivals, the expected number.
    func due(_ now: UInt64, _ arrivals: Arrivals) -> Int {
        func isDue(_ count: Int) -> Bool {
            let offset =
                chance.map { arrivals.time(ofCount: $0.count + Double(count - 1) / part.share) }
                ?? arrivals.time(of: taken + count - 1, in: part)
            return beganAt &+ offset <= now && beganAt &+ offset < endsAt
        }
        var (due, notDue) = (0, 1)
        while isDue(notDue) { (due, notDue) = (notDue, notDue * 2) }
        while notDue - due > 1 {
            let middle = (due + notDue) / 2
            if isDue(middle) { due = middle } else { notDue = middle }
        }
        return due
    }
}
