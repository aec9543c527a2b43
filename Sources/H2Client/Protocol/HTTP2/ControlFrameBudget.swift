/// Counts frames without useful content, so that a peer cannot keep us busy forever with SETTINGS, PING, PRIORITY,
/// WINDOW_UPDATE, RST_STREAM, empty DATA or frames of unknown types.
///
/// A leaky bucket: each such frame adds one, time drains `perSecond`, and events that legitimately cause such frames (our
/// requests, our DATA) drain some too.
struct ControlFrameBudget {
    private var bucket: LeakyBucket

    init(_ limits: ConnectionConfiguration.Limits) {
        bucket = LeakyBucket(limit: limits.controlFrames, perSecond: limits.controlFramesPerSecond)
    }

    var level: Int { bucket.level }

    /// Adds a frame. Returns false if there are too many.
    mutating func add(now: UInt64) -> Bool { bucket.add(1, now: now) }

    /// Forgives this number, in advance too: a server may answer a whole window of DATA with WINDOW_UPDATEs at once.
    mutating func forgive(_ count: Int) { bucket.drain(count, floor: -Self.advance) }

    /// Number of frames that can be forgiven in advance: one per KiB for 256 MiB of DATA.
    private static let advance = 1 << 18
}
