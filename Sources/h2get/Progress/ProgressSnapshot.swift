/// How far a run is, at one moment. Text is made of it by `ProgressText`.
struct ProgressSnapshot: Sendable, Equatable {
    struct Running: Sendable, Equatable {
        enum State: Sendable, Equatable {
            /// No response yet.
            case waiting
            case receiving
        }

        /// The position among the URLs.
        var index = 0
        /// Printable.
        var name = ""
        var state = State.receiving
        var received = 0
        /// The body's length; nil if the server does not say.
        var expected: Int?
        /// Bytes per second.
        var rate: Double?

        /// The part that has arrived, 0 to 1; nil if the length is not known.
        var part: Double? {
            guard let expected, expected > 0 else { return nil }
            return min(1, Double(received) / Double(expected))
        }

        /// nil if it cannot be told.
        var secondsLeft: Double? {
            guard let expected, let rate, rate > 0, received <= expected else { return nil }
            return Double(expected - received) / rate
        }
    }

    var running: [Running] = []
    /// Transfers that have ended well.
    var done = 0
    var failed = 0
    /// The number of URLs; nil until a list is read to its end.
    var total: Int?
    /// Bytes of all bodies so far.
    var bytes = 0
    var rate: Double?
    /// Seconds since the start.
    var elapsed = 0.0
    /// Such as `3 held back (--rate)`; empty if nothing is.
    var heldBack = ""

    var ended: Int { done + failed }

    /// The seconds until everything has ended; nil if they cannot be told.
    var secondsLeft: Double? {
        guard let total, total > ended else { return nil }
        // If all that is left is under way, its bytes say more than the number of transfers does.
        if total - ended == running.count, let rate, rate > 0 {
            let left = running.reduce(Int?(0)) { sum, one in
                guard let sum, let expected = one.expected else { return nil }
                return sum + max(0, expected - one.received)
            }
            if let left { return Double(left) / rate }
        }
        guard ended > 0 else { return nil }
        return elapsed / Double(ended) * Double(total - ended)
    }

    /// The part of everything that is done, 0 to 1; nil if it cannot be told.
    var part: Double? {
        guard let total, total > 0 else { return nil }
        if total == 1, ended == 0 { return running.first?.part }
        return min(1, (Double(ended) + running.reduce(0) { $0 + ($1.part ?? 0) }) / Double(total))
    }
}
