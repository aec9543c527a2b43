/// Finds frame headers (RFC 9113 section 4.1) in bytes that arrive in pieces of any size.
///
/// nghttp2 does not report frames that it ignores, such as DATA on a closed stream, and reports others only when complete.
struct FrameHeads {
    struct Head {
        var length: Int
        var type: UInt8
        var flags: UInt8
        var stream: Int32
    }

    private static let count = 9
    private static let headers: UInt8 = 1
    private static let continuation: UInt8 = 9
    private static let endHeaders: UInt8 = 4

    /// Bytes before the next header.
    private var rest: Int
    /// The received bytes of an incomplete header, as a number.
    private var part: UInt64 = 0
    private var partCount = 0
    private var partFirst: UInt8 = 0
    /// The type of the last frame whose header is complete.
    private(set) var type: UInt8 = 0
    /// Whether a header block continues in the next frame.
    private var isWithinBlock = false
    private var hasEnded = false

    /// - Parameter skipping: bytes before the first frame.
    init(skipping: Int) { rest = skipping }

    /// Whether no frame and no header block is incomplete.
    var isBetweenFrames: Bool { rest == 0 && partCount == 0 && !isWithinBlock }
    /// Whether bytes of the last frame's payload are still missing.
    var isWithinPayload: Bool { rest > 0 }

    /// Whether a frame, or a header block of several frames, has ended since the last call.
    mutating func takeEnded() -> Bool {
        defer { hasEnded = false }
        return hasEnded
    }

    /// Returns the next header and advances `at` past it, or returns nil and moves `at` to the end if there is none.
    @inline(__always)
    mutating func next(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Head? {
        if rest > 0 {
            let skipped = min(rest, bytes.count - at)
            at += skipped
            rest -= skipped
            guard rest == 0 else { return nil }
            if !isWithinBlock { hasEnded = true }
        }
        if partCount == 0, bytes.count - at >= Self.count {
            let base = bytes.baseAddress! + at
            let word = UInt64(bigEndian: (base + 1).loadUnaligned(as: UInt64.self))
            at += Self.count
            return head(first: base.load(as: UInt8.self), word)
        }
        while at < bytes.count {
            if partCount == 0 { partFirst = bytes[at] } else { part = part << 8 | UInt64(bytes[at]) }
            partCount += 1
            at += 1
            if partCount == Self.count {
                partCount = 0
                return head(first: partFirst, part)
            }
        }
        return nil
    }

    /// - Parameter word: the header's bytes after the first.
    private mutating func head(first: UInt8, _ word: UInt64) -> Head {
        let head = Head(
            length: Int(first) << 16 | Int(word >> 48), type: UInt8(truncatingIfNeeded: word >> 40),
            flags: UInt8(truncatingIfNeeded: word >> 32), stream: Int32(word & 0x7fff_ffff))
        (rest, type) = (head.length, head.type)
        if type == Self.headers || type == Self.continuation { isWithinBlock = head.flags & Self.endHeaders == 0 }
        if rest == 0, !isWithinBlock { hasEnded = true }
        return head
    }
}
