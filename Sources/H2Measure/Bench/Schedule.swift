import H2Platform

/// A worker's part of the arrivals, and how far it has come.
struct Schedule {
    let part: Arrivals.Part
    private let beganAt: UInt64
    /// When it ends: what is due then or later is none of it.
    private let endsAt: UInt64
    /// How many have arrived.
    private(set) var taken = 0
    /// When the next is due, by the loop's time.
    private(set) var next: UInt64
    private var chance: Chance?

    /// Arrivals at random (a Poisson process): the gaps are exponential, of the mean that the rate has at the time. The parts
    /// of several workers need not know of each other, for processes of that kind added up are one again.
    private struct Chance {
        var generator: SplitMix64
        /// How many have arrived as the rate has it, of the whole schedule.
        var count = 0.0

        mutating func advance(_ share: Double) {
            // Above 0, and up to 1.
            let uniform = (Double(generator.next() >> 11) + 1) * 0x1p-53
            count -= log(uniform) / share
        }
    }

    /// - Parameters:
    ///   - length: nanoseconds; `max` for no end.
    ///   - seed: for arrivals at random; nil for regular ones.
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

    /// How many requests the place of the next one has had before it.
    var round: Int { part.round(taken) }

    var isAtAnEnd: Bool { next >= endsAt }

    /// The last moment of its time; when it began, if it has no end.
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

    /// How many are due and have not been taken; of arrivals at random, how many there are to be expected.
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
