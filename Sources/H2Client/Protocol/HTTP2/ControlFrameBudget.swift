/// Counts frames that bring nothing, so that a peer cannot keep us busy for ever with SETTINGS, PING, PRIORITY,
/// WINDOW_UPDATE, RST_STREAM, empty DATA or frames of unknown types.
///
/// A leaky bucket: each such frame adds one, time drains `perSecond`, and what legitimately provokes such frames (a
/// request of ours, DATA of ours) drains some too.
struct ControlFrameBudget {
    private var bucket: LeakyBucket

    init(_ limits: Configuration.Limits) {
        bucket = LeakyBucket(limit: limits.controlFrames, perSecond: limits.controlFramesPerSecond)
    }

    var level: Int { bucket.level }

    /// Adds one; false where that is too many.
    mutating func add(now: UInt64) -> Bool { bucket.add(1, now: now) }

    /// Forgives as many, in advance too: a server may answer a whole window of DATA with WINDOW_UPDATEs at once.
    mutating func forgive(_ count: Int) { bucket.drain(count, floor: -Self.advance) }

    /// How many frames can be forgiven in advance: one a KiB, those for 256 MiB of DATA.
    private static let advance = 1 << 18
}
