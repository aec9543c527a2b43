/// The streams of a closed loop that want to begin a request on a connection, and since when, in order. Each of the plan's
/// streams either has a request under way, wants to begin one, or rests because there are no more.
///
/// Only a time is kept for each, and a single one for all that have not begun their first request: a plan may have a million streams
/// per connection.
struct Wanting {
    /// The number that rest.
    private var resting: Int
    /// The number that have wanted to begin since `beganAt`; the others come after them.
    private var first = 0
    private var beganAt: UInt64 = 0
    private var times = Ring<UInt64>(capacity: 4)
    /// The number that want to begin.
    private(set) var count = 0

    init(count: Int) { resting = count }

    var isEmpty: Bool { count == 0 }

    /// All resting streams want to begin.
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

    /// A stream whose request is over wants to begin another.
    mutating func append(_ time: UInt64) {
        count += 1
        times.append(time)
    }

    /// A stream whose request is over rests.
    mutating func rest() { resting += 1 }

    /// There are more streams, and they want to begin.
    mutating func add(_ number: Int, now: UInt64) {
        resting += number
        beginAll(now: now)
    }

    /// There are fewer streams. Returns how many of `number` neither rested nor wanted to begin: they are under way.
    mutating func remove(_ number: Int) -> Int {
        let resters = min(number, resting)
        resting -= resters
        var left = number - resters
        while left > 0, popFirst() != nil { left -= 1 }
        return left
    }

    /// The next stream begins. Returns the time since which it has wanted to.
    mutating func popFirst() -> UInt64? {
        guard count > 0 else { return nil }
        count -= 1
        guard first > 0 else { return times.popFirst() }
        first -= 1
        return beganAt
    }
}
