/// Counts frames that bring nothing, so that a peer cannot keep us busy for ever with SETTINGS, PING, PRIORITY,
/// WINDOW_UPDATE, RST_STREAM, empty DATA or frames of unknown types.
///
/// A leaky bucket: each such frame adds one, time drains `perSecond`, and what legitimately provokes such frames (a
/// request of ours, DATA of ours) drains some too.
struct FruitlessFrames {
    let limit: Int
    let perSecond: Int
    private(set) var level = 0
    private var drainedAt: UInt64 = 0

    init(_ limits: Configuration.Limits) {
        limit = limits.fruitlessFrames
        perSecond = limits.fruitlessFramesPerSecond
    }

    /// Adds one; false where that is too many.
    mutating func add(now: UInt64) -> Bool {
        if level <= 0 { drainedAt = now }
        level += 1
        guard level > limit else { return true }
        let drained = Int(clamping: (now &- drainedAt) / 1_000_000) * perSecond / 1_000
        if drained > 0 {
            level = max(0, level - drained)
            drainedAt = now
        }
        return level <= limit
    }

    /// Forgives as many, in advance too: a server may answer a whole window of DATA with WINDOW_UPDATEs at once.
    mutating func forgive(_ count: Int) { level = max(-Self.advance, level - count) }

    /// How many frames can be forgiven in advance: one a KiB, those for 256 MiB of DATA.
    private static let advance = 1 << 18
}
