#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What one connection has to write: filled up to a mark by frames, then emptied by writes, never both by turns.
final class OutputBuffer {
    /// Filling stops here; a frame that was begun below it still fits.
    static let mark = 64 << 10
    private static let largestFrame = 9 + (16 << 10)

    @exclusivity(unchecked) private var base: UnsafeMutableRawPointer
    @exclusivity(unchecked) private var capacity: Int
    @exclusivity(unchecked) private var start = 0
    @exclusivity(unchecked) private var end = 0

    init() {
        capacity = Self.mark + Self.largestFrame
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    var isEmpty: Bool { start == end }
    var isFull: Bool { end - start >= Self.mark }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + start, count: end - start) }

    func append(_ bytes: UnsafePointer<UInt8>, count: Int) {
        reserve(count).copyMemory(from: bytes, byteCount: count)
    }

    /// Room for `count` bytes that the caller fills in at once; they count as appended.
    func reserve(_ count: Int) -> UnsafeMutableRawPointer {
        if end + count > capacity { grow(count) }
        defer { end += count }
        return base + end
    }

    /// Takes back the last `count` bytes.
    func unreserve(_ count: Int) { end -= count }

    func consume(_ count: Int) {
        start += count
        if start == end { (start, end) = (0, 0) }
    }

    private func grow(_ count: Int) {
        let held = end - start
        capacity = max(capacity * 2, held + count)
        let wider = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        wider.copyMemory(from: base + start, byteCount: held)
        base.deallocate()
        (base, start, end) = (wider, 0, held)
    }
}
