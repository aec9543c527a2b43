/// Who of a closed loop wants to begin a request on a connection, and since when, in order. Each of the plan's streams is in
/// one of three states: it has a request under way, it wants to begin one, or it rests since there are no more.
///
/// A time for each is all that is kept, and for those that have not had their first turn only one for all of them: a plan may
/// have a million streams for each connection.
struct Wanting {
    /// Those that rest.
    private var resting: Int
    /// Those that have wanted to begin since `beganAt`; the others come behind them.
    private var first = 0
    private var beganAt: UInt64 = 0
    private var times = Ring<UInt64>(capacity: 4)
    /// Those that want to begin.
    private var count = 0

    init(count: Int) { resting = count }

    var isEmpty: Bool { count == 0 }

    /// All that rest want to begin.
    mutating func beginAll(now: UInt64) {
        if isEmpty {
            first = resting
            beganAt = now
        } else {
            for _ in 0..<resting { times.append(now) }
        }
        count += resting
        resting = 0
    }

    /// One whose request is over wants to begin another.
    mutating func append(_ time: UInt64) {
        count += 1
        times.append(time)
    }

    /// One whose request is over rests.
    mutating func rest() { resting += 1 }

    /// Whose turn it is begins. Returns since when it has wanted to.
    mutating func popFirst() -> UInt64? {
        guard count > 0 else { return nil }
        count -= 1
        guard first > 0 else { return times.popFirst() }
        first -= 1
        return beganAt
    }
}
