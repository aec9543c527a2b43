/// Bytes per second, averaged over about the last two seconds.
struct TransferRate: Sendable, Equatable {
    private static let memory = 2.0

    private var last: (bytes: Int, seconds: Double)
    /// nil until bytes have moved.
    private(set) var perSecond: Double?

    /// - Parameter seconds: when counting began, by any clock.
    init(at seconds: Double) { last = (0, seconds) }

    /// - Parameter bytes: the bytes so far.
    mutating func note(_ bytes: Int, at seconds: Double) {
        let time = seconds - last.seconds
        guard time > 0, bytes > 0 else { return }
        let now = Double(max(0, bytes - last.bytes)) / time
        // The first interval may be long and mostly a wait; all of it counts, so that the rate does not start too high.
        perSecond = perSecond.map { $0 + (now - $0) * time / (time + Self.memory) } ?? now
        last = (bytes, seconds)
    }

    static func == (one: TransferRate, other: TransferRate) -> Bool {
        one.last == other.last && one.perSecond == other.perSecond
    }
}
